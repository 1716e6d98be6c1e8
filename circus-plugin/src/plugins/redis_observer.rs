//! RedisObserver: what a redis server says of itself, as gauges, and a restart when it is silent.

use std::collections::BTreeMap;

use super::{
    Setup,
    observer::{Names, Observer},
};
use crate::{
    machine::{Action, Input, Moment, Needs, Plugin},
    metrics::float,
    options::OptionError,
};

const NAMES: Names = Names {
    application: "redis_observer",
    url: ("redis_url", "redis://localhost:6379/0"),
    timeout: 5.0,
    remedy: "restart_on_timeout",
    family: "redis_stats",
};

/// The fields of INFO that are sent. One that the server does not have is left out.
const OBSERVED: [&str; 22] = [
    "pubsub_channels",
    "connected_slaves",
    "lru_clock",
    "connected_clients",
    "keyspace_misses",
    "used_memory",
    "used_memory_peak",
    "total_commands_processed",
    "used_memory_rss",
    "total_connections_received",
    "pubsub_patterns",
    "used_cpu_sys",
    "used_cpu_sys_children",
    "blocked_clients",
    "used_cpu_user",
    "client_biggest_input_buf",
    "mem_fragmentation_ratio",
    "expired_keys",
    "evicted_keys",
    "client_longest_output_list",
    "uptime_in_seconds",
    "keyspace_hits",
];

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct RedisObserver(Observer);

impl RedisObserver {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        Observer::new(NAMES, &setup.options).map(Self)
    }

    fn send(&self, info: &BTreeMap<String, String>, out: &mut Vec<Action>) {
        for (key, value) in OBSERVED.iter().filter_map(|key| Some((key, info.get(*key)?))) {
            self.0.metrics.gauge(&self.0.metric(key), as_python(value), out);
        }
    }
}

/// A number as Circus writes what redis says: `1.20` is `1.2`.
fn as_python(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(number) if text.contains('.') && number.is_finite() => float(number),
        Ok(_) | Err(_) => text.to_owned(),
    }
}

impl Plugin for RedisObserver {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        if let Input::Redis(result) = input {
            self.0.answered();
            match result {
                Ok(info) => self.send(&info, out),
                // The address may hold a password, so it is not repeated.
                Err(reason) => self.0.failed(None, format!("redis does not answer: {reason}"), out),
            }
        }
        if self.0.is_time(now) {
            out.push(Action::AskRedis { url: self.0.url.clone(), timeout: self.0.timeout });
        }
    }

    fn next_deadline(&self) -> Option<Moment> {
        self.0.next_deadline()
    }

    fn needs(&self) -> Needs {
        self.0.needs()
    }
}

#[cfg(test)]
mod tests {
    use circus_common::config::plugin::builtin::Builtin;

    use super::{super::story::Story, *};
    use crate::machine::Order;

    #[test]
    fn what_the_server_knows_is_sent_and_the_rest_left_out() {
        let mut story = Story::of(Builtin::RedisObserver, &[("loop_rate", "1")]);
        story.pass(1.0);
        assert!(matches!(story.did()[..], [Action::AskRedis { .. }]));
        let info = [("used_memory", "1024"), ("mem_fragmentation_ratio", "1.20"), ("redis_version", "7")];
        let info = info.map(|(key, value)| (key.to_owned(), value.to_owned()));
        story.input(Input::Redis(Ok(info.into())));
        let prefix = "circus.redis_observer.watcher.redis_stats";
        let lines = ["used_memory:1024|g", "mem_fragmentation_ratio:1.2|g"];
        assert_eq!(story.metrics(), lines.map(|line| format!("{prefix}.{line}")));
    }

    #[test]
    fn silence_restarts_the_watcher_that_is_named() {
        let mut story = Story::of(Builtin::RedisObserver, &[("restart_on_timeout", "redis")]);
        story.input(Input::Redis(Err("connection refused".to_owned())));
        let did = story.did();
        assert!(did.contains(&Action::Tell(Order::Restart("redis".to_owned()))));
        assert_eq!(did.iter().filter(|action| matches!(action, Action::Metric(_))).count(), 2);
    }
}
