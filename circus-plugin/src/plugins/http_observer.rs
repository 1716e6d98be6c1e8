//! HttpObserver: asks a web server, and restarts a watcher when there is no good answer.

use super::{
    Setup,
    observer::{Names, Observer},
};
use crate::{
    machine::{Action, Input, Moment, Needs, Plugin},
    options::OptionError,
};

const NAMES: Names = Names {
    application: "http_observer",
    url: ("check_url", "http://localhost/"),
    timeout: 10.0,
    remedy: "restart_on_error",
    family: "http_stats",
};

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct HttpObserver(Observer);

impl HttpObserver {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        Observer::new(NAMES, &setup.options).map(Self)
    }
}

impl Plugin for HttpObserver {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        let Self(observer) = self;
        if let Input::Fetched(result) = input {
            observer.answered();
            match result {
                Ok(took) => {
                    observer.metrics.timed(&observer.metric("request_time"), took.as_millis(), out);
                }
                Err(error) => {
                    let text = format!("{}: {}", observer.url, error.reason);
                    observer.failed(Some(error.code), text, out);
                }
            }
        }
        if observer.is_time(now) {
            out.push(Action::Fetch { url: observer.url.clone(), timeout: observer.timeout });
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
    use std::time::Duration;

    use circus_common::config::plugin::builtin::Builtin;

    use super::{super::story::Story, *};
    use crate::machine::{FetchError, Order};

    #[test]
    fn a_good_answer_is_timed() {
        let mut story = Story::of(Builtin::HttpObserver, &[]);
        story.pass(60.0);
        let fetch = Action::Fetch { url: "http://localhost/".to_owned(), timeout: Duration::from_secs(10) };
        assert_eq!(story.did(), [fetch]);
        story.input(Input::Fetched(Ok(Duration::from_micros(12_900))));
        assert_eq!(story.metrics(), ["circus.http_observer.watcher.http_stats.request_time:12|ms"]);
    }

    #[test]
    fn an_error_restarts_the_watcher_that_is_named() {
        let mut story = Story::of(Builtin::HttpObserver, &[("restart_on_error", "web")]);
        story.input(Input::Fetched(Err(FetchError { code: 599, reason: "timed out".to_owned() })));
        let did = story.did();
        assert!(did.contains(&Action::Tell(Order::Restart("web".to_owned()))));
        let metrics: Vec<_> = did.iter().filter(|action| matches!(action, Action::Metric(_))).collect();
        let prefix = "circus.http_observer.watcher.http_stats";
        let lines = ["error", "error.599", "restart_on_error"];
        assert_eq!(
            metrics,
            lines.map(|what| Action::Metric(format!("{prefix}.{what}:1|c"))).iter().collect::<Vec<_>>()
        );
    }

    #[test]
    fn without_a_watcher_nothing_is_restarted() {
        let mut story = Story::of(Builtin::HttpObserver, &[]);
        story.input(Input::Fetched(Err(FetchError { code: 500, reason: "status 500".to_owned() })));
        assert_eq!(story.metrics().len(), 2);
    }
}
