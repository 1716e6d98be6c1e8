//! What `circusd --check FILE` prints: every mistake, then the plan of the start.
//!
//! The plan says what circusd would do with the file as it is: without the sections it would leave out, and without
//! what does not exist yet. What a machine may lack is asked of a `Machine`; the rest is a configuration in, a
//! text out.

mod class;
mod machine;

use std::fmt::{self, Write};

use circus_common::{
    config::{Args, Config, Degree, Host, Loaded, Mistake, WatcherConfig},
    visible,
};

use machine::{Here, Machine, broken_hooks, broken_streams, remarks};

/// Columns for names; a longer one moves its own line only.
const WIDEST: usize = 60;

/// The text, and whether the file is good (warnings do not make it bad). Looks at this machine.
#[must_use]
pub fn report(loaded: &Loaded, host: &Host) -> (String, bool) {
    report_on(loaded, host, &Here)
}

/// The mistakes of the file alone, each on a line of its own that ends with how bad it is.
#[must_use]
pub fn mistakes(loaded: &Loaded) -> String {
    lines(&loaded.mistakes)
}

fn report_on(loaded: &Loaded, host: &Host, machine: &dyn Machine) -> (String, bool) {
    let mut text = mistakes(loaded);
    if loaded.has(Degree::Fatal) {
        text.push_str("nothing would start\n");
        return (text, false);
    }
    let mut broken = broken_hooks(&loaded.config, host, machine);
    broken.extend(broken_streams(&loaded.config, host, machine));
    text.push_str(&lines(&broken));
    let good = broken.is_empty() && !loaded.has(Degree::BrokenSection);
    if good && loaded.config.watchers.is_empty() {
        text.push_str("no watcher is in the file; write a section `[watcher:NAME]` with a `cmd` (warning)\n");
    }
    text.push_str(&lines(&remarks(&loaded.config, machine)));
    // Writing to a string cannot fail.
    let is_whole = |watcher: &WatcherConfig| {
        !broken.iter().any(|mistake| mistake.section.strip_prefix("watcher:") == Some(&watcher.name))
    };
    let _ = plan(&loaded.config, &is_whole, &mut text);
    (text, good)
}

/// `file:line:` leads, so that editors find the place; how bad it is follows.
fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("{} ({})\n", Line(mistake), mistake.degree)).collect()
}

fn plan(config: &Config, is_whole: &dyn Fn(&WatcherConfig) -> bool, text: &mut String) -> fmt::Result {
    endpoints(config, text)?;
    let whole = in_order(config).into_iter().filter(|watcher| is_whole(watcher));
    let (starting, waiting): (Vec<_>, Vec<_>) = whole.partition(|watcher| watcher.autostart);
    watchers("watchers, in the order they start:", &starting, text)?;
    watchers("watchers that wait for `start` (autostart is off):", &waiting, text)
}

fn endpoints(config: &Config, text: &mut String) -> fmt::Result {
    let circus = &config.circus;
    writeln!(text, "endpoints:")?;
    let all = [
        ("commands", circus.endpoint.as_str()),
        ("events", &circus.pubsub_endpoint),
        ("discovery", &circus.multicast_endpoint),
        ("new events", &circus.events_endpoint),
        ("statistics", if circus.statsd { &circus.stats_endpoint } else { "" }),
    ];
    for (what, endpoint) in all.into_iter().filter(|(_, endpoint)| !endpoint.is_empty()) {
        writeln!(text, "  {what:<10}  {}", Line(endpoint))?;
    }
    Ok(())
}

/// Higher priorities first; among equals the order of creation, which is that of the sorted file.
fn in_order(config: &Config) -> Vec<&WatcherConfig> {
    let mut watchers: Vec<_> = config.watchers.iter().collect();
    watchers.sort_by_key(|watcher| std::cmp::Reverse(watcher.priority));
    watchers
}

fn watchers(title: &str, watchers: &[&WatcherConfig], text: &mut String) -> fmt::Result {
    if watchers.is_empty() {
        return Ok(());
    }
    writeln!(text, "{title}")?;
    let width = watchers.iter().map(|watcher| watcher.name.chars().count()).max().unwrap_or(0).min(WIDEST);
    for watcher in watchers {
        let name = Line(&watcher.name).to_string();
        let when = if watcher.on_demand { "  (on demand)" } else { "" };
        let (count, line) = (watcher.numprocesses, command_line(watcher));
        writeln!(text, "  {name:<width$}  {count} x {}{when}", Line(&line))?;
    }
    Ok(())
}

fn command_line(watcher: &WatcherConfig) -> String {
    match &watcher.args {
        Args::None => watcher.cmd.clone(),
        Args::Text(args) if args.is_empty() => watcher.cmd.clone(),
        Args::Text(args) => format!("{} {args}", watcher.cmd),
        Args::List(words) => format!("{} {}", watcher.cmd, words.join(" ")),
    }
}

/// A value on one line, with what moves the cursor made visible.
struct Line<T>(T);

impl<T: fmt::Display> fmt::Display for Line<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible::line(&self.0.to_string().replace('\n', " ")))
    }
}

#[cfg(test)]
pub(crate) mod tests;
