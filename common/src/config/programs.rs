//! Watchers that no section names: the programs circusd brings along and runs as it runs any other.

use indexmap::IndexMap;

use super::{
    Args, CircusConfig, Files, Host, WatcherConfig,
    endpoint::{Endpoint, Host as Name},
    expand::words,
    mistake::Degree,
    sections::{Report, Section},
};

/// The watcher of `statsd`, and its program.
const STATS: &str = "circusd-stats";

/// Appends them behind the watchers of the file, which is also the order of creation.
pub(super) fn append(
    watchers: &mut Vec<WatcherConfig>,
    circus: &CircusConfig,
    section: Option<&Section>,
    (host, files): (&Host, &dyn Files),
    report: &mut Report,
) {
    if !circus.statsd {
        return;
    }
    let taken = watchers.iter().any(|watcher| watcher.name.to_lowercase() == STATS);
    let mut warn = |message: &str| {
        // Only a section can have switched it on.
        if let Some(section) = section {
            report.add(Degree::Warning, section, Some("statsd"), message);
        }
    };
    if taken {
        return warn("a watcher of the file is called `circusd-stats`; it is run instead");
    }
    if [&circus.endpoint, &circus.pubsub_endpoint].iter().any(|text| is_unforeseeable(text)) {
        warn("circusd-stats cannot find an endpoint whose port the kernel chooses");
    }
    watchers.push(stats(circus, host, files));
}

fn stats(circus: &CircusConfig, host: &Host, files: &dyn Files) -> WatcherConfig {
    let mut command = vec![
        program(STATS, host, files),
        "--endpoint".to_owned(),
        for_clients(&circus.endpoint),
        "--pubsub".to_owned(),
        for_clients(&circus.pubsub_endpoint),
        "--statspoint".to_owned(),
        circus.stats_endpoint.trim().to_owned(),
    ];
    command.extend(log_options(circus));
    own(STATS, &command, circus, circus.statsd_close_outputs, host)
}

/// What the log options of such a program are: the command line's do not reach it, as in Circus.
pub(super) fn log_options(circus: &CircusConfig) -> Vec<String> {
    let level = if circus.debug { Some("DEBUG") } else { circus.loglevel.as_deref() };
    let options = [("--log-level", level), ("--log-output", circus.logoutput.as_deref())];
    let given = options.into_iter().filter_map(|(option, value)| Some((option, value?)));
    given
        .filter(|(_, value)| !value.is_empty())
        .flat_map(|(option, value)| [option.to_owned(), value.to_owned()])
        .collect()
}

/// A watcher of circusd's own: one process with circusd's own environment and all sockets.
fn own(
    name: &str,
    command: &[String],
    circus: &CircusConfig,
    close_outputs: bool,
    host: &Host,
) -> WatcherConfig {
    let stream = || IndexMap::from([("class".to_owned(), "StdoutStream".into())]);
    WatcherConfig {
        args: Args::None,
        singleton: true,
        use_sockets: true,
        copy_env: true,
        copy_path: true,
        env: Some(host.env.clone()),
        working_dir: host.cwd.display().to_string(),
        close_child_stdout: close_outputs,
        close_child_stderr: close_outputs,
        stdout_stream: circus.debug.then(stream),
        stderr_stream: circus.debug.then(stream),
        from_file: true,
        brought_along: true,
        ..WatcherConfig::new(
            name,
            &command.iter().map(|word| words::quote(word)).collect::<Vec<_>>().join(" "),
        )
    }
}

/// Beside circusd's own executable, else wherever PATH leads.
pub(super) fn program(name: &str, host: &Host, files: &dyn Files) -> String {
    let beside = host.programs.join(name);
    let is_there = !host.programs.as_os_str().is_empty() && files.exists(&beside);
    beside.to_str().filter(|_| is_there).unwrap_or(name).to_owned()
}

/// Where a program of this machine connects to: a socket file before a port, and never to "every interface".
pub(super) fn for_clients(text: &str) -> String {
    let all = Endpoint::parse_list(text).unwrap_or_default();
    let best = all.iter().find(|endpoint| endpoint.ipc_path().is_some()).or(all.first());
    match best {
        Some(Endpoint::Tcp { host: Name::Any, port }) => format!("tcp://127.0.0.1:{port}"),
        Some(Endpoint::Tcp { host: Name::Address(address), port }) if address.is_unspecified() => {
            let loopback = if address.is_ipv6() { "[::1]" } else { "127.0.0.1" };
            format!("tcp://{loopback}:{port}")
        }
        Some(endpoint) => endpoint.to_string(),
        // It is fatal, and said elsewhere.
        None => text.to_owned(),
    }
}

fn is_unforeseeable(text: &str) -> bool {
    let all = Endpoint::parse_list(text).unwrap_or_default();
    !all.is_empty() && all.iter().all(|endpoint| matches!(endpoint, Endpoint::Tcp { port: 0, .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_go_to_a_socket_file_first_and_never_to_every_interface() {
        for (bound, connected) in [
            ("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5555"),
            ("tcp://*:5555", "tcp://127.0.0.1:5555"),
            ("tcp://0.0.0.0:5555", "tcp://127.0.0.1:5555"),
            ("tcp://[::]:5555", "tcp://[::1]:5555"),
            ("tcp://10.0.0.1:5555 ipc:///run/c", "ipc:///run/c"),
            ("tcp://host:1 tcp://host:2", "tcp://host:1"),
        ] {
            assert_eq!(for_clients(bound), connected);
        }
    }
}
