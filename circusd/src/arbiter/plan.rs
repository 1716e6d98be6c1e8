//! What `reloadconfig` would do: the difference between what runs and a newly read configuration.
//!
//! Compared is file against file, so what `incr` and `set` changed since stays as it is where the file did not change.

use circus_common::config::{CircusConfig, Config, SocketChange, SocketConfig, WatcherConfig};
use serde_json::{Value, json};

use super::socket::SocketPlan;

/// A planned transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// `[circus]` keys whose change needs the restart in place.
    pub reasons: Vec<&'static str>,
    /// `[circus]` keys that change while everything runs.
    pub settings: Vec<&'static str>,
    /// What happens to sockets; of those opened anew `replaced` names the ones that are open already.
    pub sockets: SocketPlan,
    /// Sockets that are open and are opened anew.
    pub replaced: Vec<String>,
    /// Watchers that are new.
    pub add: Vec<WatcherConfig>,
    /// Watchers that are gone.
    pub remove: Vec<String>,
    /// Watchers that are stopped and made anew, with the options that differ.
    pub recreate: Vec<(WatcherConfig, Vec<String>)>,
    /// Watchers of which only the number differs: name, new options, old number.
    pub resize: Vec<(WatcherConfig, u32)>,
    /// Watchers that nothing happens to.
    pub unchanged: Vec<String>,
}

/// A watcher that runs, as the plan sees it: its name and what the file said of it when it was last read.
pub(super) type Present<'a> = (&'a str, Option<&'a WatcherConfig>);

impl Plan {
    /// Compares.
    pub fn between(
        running: &CircusConfig,
        present: &[Present<'_>],
        open: &[&SocketConfig],
        wanted: &Config,
    ) -> Self {
        let mut plan = Self { reasons: restarting(running, &wanted.circus), ..Self::default() };
        plan.settings = live(running, &wanted.circus);
        plan.compare_sockets(open, &wanted.sockets);
        for (name, _) in present.iter().filter(|(name, _)| !wanted.watchers.iter().any(|w| w.name == *name)) {
            plan.remove.push((*name).to_owned());
        }
        for watcher in &wanted.watchers {
            match present.iter().find(|(name, _)| *name == watcher.name) {
                None => plan.add.push(watcher.clone()),
                // Its processes hold a socket that is another now.
                Some((_, Some(old))) if old.same_as(watcher) && !plan.opened_for(watcher).is_empty() => {
                    let keys = plan.opened_for(watcher).iter().map(|name| format!("socket:{name}")).collect();
                    plan.recreate.push((watcher.clone(), keys));
                }
                Some((_, Some(old))) if old.same_as(watcher) => plan.unchanged.push(watcher.name.clone()),
                Some((_, Some(old)))
                    if old.differs_only_in_numprocesses(watcher) && plan.opened_for(watcher).is_empty() =>
                {
                    plan.resize.push((watcher.clone(), old.numprocesses));
                }
                Some((_, old)) => plan.recreate.push((watcher.clone(), differing(*old, watcher))),
            }
        }
        plan
    }

    fn compare_sockets(&mut self, open: &[&SocketConfig], wanted: &[SocketConfig]) {
        for config in wanted {
            let change = match open.iter().find(|socket| socket.name == config.name) {
                None => SocketChange::Anew,
                Some(socket) => socket.change_to(config),
            };
            match change {
                SocketChange::None => {}
                SocketChange::Adjust => self.sockets.adjust.push(config.clone()),
                SocketChange::Anew => self.sockets.open.push(config.clone()),
            }
        }
        let gone = open.iter().filter(|socket| wanted.iter().all(|config| config.name != socket.name));
        self.sockets.close = gone.map(|socket| socket.name.clone()).collect();
        let replaced = self.sockets.open.iter().filter(|config| open.iter().any(|it| it.name == config.name));
        self.replaced = replaced.map(|config| config.name.clone()).collect();
    }

    /// The sockets a watcher uses that are opened.
    fn opened_for(&self, watcher: &WatcherConfig) -> Vec<String> {
        let used = watcher.sockets();
        self.sockets
            .open
            .iter()
            .map(|config| config.name.clone())
            .filter(|name| used.contains(name))
            .collect()
    }

    /// The answer of a dry run.
    pub fn report(&self) -> Value {
        let names = |watchers: &[WatcherConfig]| watchers.iter().map(|w| w.name.clone()).collect::<Vec<_>>();
        let recreate: Vec<Value> =
            self.recreate.iter().map(|(watcher, keys)| json!({"name": watcher.name, "keys": keys})).collect();
        let resize: Vec<Value> = self
            .resize
            .iter()
            .map(|(watcher, from)| json!({"name": watcher.name, "from": from, "to": watcher.numprocesses}))
            .collect();
        // A restart of the daemon leaves nothing unchanged.
        let unchanged = if self.reasons.is_empty() { self.unchanged.as_slice() } else { &[] };
        json!({
            "restart": !self.reasons.is_empty(),
            "reasons": self.reasons,
            "add": names(&self.add),
            "remove": self.remove,
            "recreate": recreate,
            "resize": resize,
            "settings": self.settings,
            "sockets": self.report_sockets(),
            "unchanged": unchanged,
        })
    }
}

impl Plan {
    fn report_sockets(&self) -> Value {
        let names = |configs: &[SocketConfig]| configs.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        let mut added = names(&self.sockets.open);
        added.retain(|name| !self.replaced.contains(name));
        json!({
            "add": added,
            "remove": self.sockets.close,
            "replace": self.replaced,
            "adjust": names(&self.sockets.adjust),
        })
    }
}

/// The options in which two watchers differ; all of them when one came by command.
fn differing(old: Option<&WatcherConfig>, new: &WatcherConfig) -> Vec<String> {
    let (before, after) = (old.map(WatcherConfig::whole).unwrap_or_default(), new.whole());
    let mut keys: Vec<String> = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(*value))
        .map(|(key, _)| key.clone())
        .chain(before.keys().filter(|key| !after.contains_key(*key)).cloned())
        .collect();
    keys.sort();
    keys
}

fn restarting(old: &CircusConfig, new: &CircusConfig) -> Vec<&'static str> {
    let changes = [
        ("endpoint", old.endpoint != new.endpoint),
        ("pubsub_endpoint", old.pubsub_endpoint != new.pubsub_endpoint),
        // Where statistics come or go with it, the one watcher says it all.
        ("stats_endpoint", old.stats_endpoint != new.stats_endpoint && old.statsd && new.statsd),
        ("events_endpoint", old.events_endpoint != new.events_endpoint),
        ("endpoint_owner", old.endpoint_owner != new.endpoint_owner),
        ("allow_remote", old.allow_remote != new.allow_remote),
    ];
    changed(&changes)
}

fn live(old: &CircusConfig, new: &CircusConfig) -> Vec<&'static str> {
    let changes = [
        ("check_delay", old.check_delay.total_cmp(&new.check_delay).is_ne()),
        ("warmup_delay", old.warmup_delay != new.warmup_delay),
        ("loglevel", old.loglevel != new.loglevel),
        ("logoutput", old.logoutput != new.logoutput),
        ("loggerconfig", old.loggerconfig != new.loggerconfig),
        ("debug", old.debug != new.debug),
        ("umask", old.umask != new.umask),
        ("pidfile", old.pidfile != new.pidfile),
        ("multicast_endpoint", old.multicast_endpoint != new.multicast_endpoint),
        ("statsd", old.statsd != new.statsd),
        ("httpd", old.httpd != new.httpd),
        ("python", old.python != new.python),
    ];
    changed(&changes)
}

fn changed(changes: &[(&'static str, bool)]) -> Vec<&'static str> {
    changes.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
}

#[cfg(test)]
mod tests {
    use circus_common::config::Places;

    use super::*;

    fn config(watchers: Vec<WatcherConfig>) -> Config {
        Config {
            circus: CircusConfig::default(),
            watchers,
            sockets: Vec::new(),
            plugins: Vec::new(),
            places: Places::default(),
        }
    }

    fn watcher(name: &str, numprocesses: u32) -> WatcherConfig {
        WatcherConfig { numprocesses, from_file: true, ..WatcherConfig::new(name, "sleep 1") }
    }

    fn plan(old: &[WatcherConfig], new: Vec<WatcherConfig>) -> Plan {
        let present: Vec<Present<'_>> =
            old.iter().map(|watcher| (watcher.name.as_str(), Some(watcher))).collect();
        Plan::between(&CircusConfig::default(), &present, &[], &config(new))
    }

    #[test]
    fn what_did_not_change_is_left_alone() {
        let same = plan(&[watcher("a", 1)], vec![watcher("a", 1)]);
        assert_eq!(same, Plan { unchanged: vec!["a".to_owned()], ..Plan::default() });
    }

    #[test]
    fn a_number_is_changed_in_place_and_anything_else_makes_the_watcher_anew() {
        let other = WatcherConfig { max_age: 5, numprocesses: 2, ..watcher("b", 2) };
        let plan = plan(&[watcher("a", 1), watcher("b", 1)], vec![watcher("a", 3), other.clone()]);
        assert_eq!(plan.resize, [(watcher("a", 3), 1)]);
        assert_eq!(plan.recreate, [(other, vec!["max_age".to_owned(), "numprocesses".to_owned()])]);
    }

    #[test]
    fn options_that_are_not_reported_are_named_too() {
        let mut other = WatcherConfig { autostart: false, ..watcher("a", 1) };
        other.rlimits.insert("nofile".to_owned(), Some(10));
        let plan = plan(&[watcher("a", 1)], vec![other.clone()]);
        assert_eq!(plan.recreate, [(other, vec!["autostart".to_owned(), "rlimit_nofile".to_owned()])]);
    }

    #[test]
    fn names_decide_what_is_added_and_what_is_removed_and_case_counts() {
        let plan = plan(&[watcher("a", 1)], vec![watcher("A", 1)]);
        assert_eq!((plan.remove, plan.add), (vec!["a".to_owned()], vec![watcher("A", 1)]));
    }

    #[test]
    fn a_watcher_that_came_by_command_is_made_anew_when_the_file_names_it() {
        let plan =
            Plan::between(&CircusConfig::default(), &[("a", None)], &[], &config(vec![watcher("a", 1)]));
        assert_eq!(plan.recreate.len(), 1);
    }

    #[test]
    fn an_endpoint_needs_the_restart_and_a_log_level_does_not() {
        let mut wanted = config(Vec::new());
        wanted.circus.endpoint = "tcp://127.0.0.1:1".to_owned();
        wanted.circus.loglevel = Some("debug".to_owned());
        let plan = Plan::between(&CircusConfig::default(), &[], &[], &wanted);
        assert_eq!((plan.reasons, plan.settings), (vec!["endpoint"], vec!["loglevel"]));
    }
}
