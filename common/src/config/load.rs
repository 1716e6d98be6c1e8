//! Files to a [`Config`]: reads all sections and notes every mistake on the way.

use std::path::Path;

use super::{
    Config, Files, Host, Loaded, WatcherConfig, circus,
    environment::{EnvSections, NamedEnv},
    expand, include,
    mistake::Degree,
    places::Places,
    plugin, programs,
    sections::{Report, Section, Sections},
    socket, suggest, watchers,
};

/// Reads the main file and everything it includes. Never fails: what is wrong is among the mistakes.
#[must_use]
pub fn load(main: &Path, host: &Host, files: &dyn Files) -> Loaded {
    let mut report = Report::default();
    let sections = include::read_all(main, host, files, &mut report);
    let env = env_sections(&sections, host);
    let global = env.global(host);
    let mut config = Config {
        circus: circus::read(sections.get("circus"), &global, &mut report),
        watchers: watchers::read(
            &sections,
            &watchers::Surroundings { env: &env, global: &global, host, files },
            &mut report,
        ),
        sockets: socket::read(&sections, &global, &mut report),
        plugins: plugin::read(&sections, &global, host, &mut report),
        places: Places::of(&sections),
    };
    let (watchers, circus) = (&mut config.watchers, &config.circus);
    programs::append(watchers, circus, sections.get("circus"), (host, files), &mut report);
    config.run_plugins(&programs::program(plugin::PROGRAM, host, files));
    for watcher in &config.watchers {
        sockets_of(watcher, &config, &sections, &mut report);
        groups_of(watcher, &sections, &mut report);
    }
    sections.iter().for_each(|section| foreign(section, &mut report));
    Loaded { config, mistakes: report.finish() }
}

/// `[env]` and `[env:PATTERNS]`. Their variables see circusd's own environment, not each other.
fn env_sections(sections: &Sections, host: &Host) -> EnvSections {
    let variables = |section: &Section| -> Vec<(String, String)> {
        let expanded = |text: &str| expand::with_env(text, &host.env);
        section.keys.iter().map(|(name, entry)| (name.clone(), expanded(&entry.value))).collect()
    };
    let mut env = EnvSections::default();
    for section in sections.iter() {
        if section.name == "env" {
            env.all = variables(section).into_iter().collect();
        } else if let Some(patterns) = section.name.strip_prefix("env:") {
            let patterns = patterns.split(',').map(|pattern| pattern.trim().to_owned()).collect();
            env.by_name.push(NamedEnv { patterns, variables: variables(section) });
        }
    }
    env
}

/// Warns of sockets that a watcher uses and cannot have. One may still be added, so it is never worse than that.
fn sockets_of(watcher: &WatcherConfig, config: &Config, sections: &Sections, report: &mut Report) {
    let Some(section) = sections.get(&format!("watcher:{}", watcher.name)) else { return };
    let named = expand::sockets_named(watcher);
    let absent = |name: &str| {
        let known = || config.sockets.iter().map(|socket| socket.name.as_str());
        let hint = suggest::hint(name, known());
        known().all(|socket| socket != name).then(|| format!("there is no [socket:{name}]{hint}"))
    };
    for message in named.iter().filter_map(|name| absent(name)) {
        report.add(Degree::Warning, section, None, format!("{message}; its variable stays as it is written"));
    }
    if !named.is_empty() && !watcher.use_sockets {
        let message = "the command names a socket that its processes do not get; add `use_sockets = True`";
        report.add(Degree::Warning, section, None, message);
    }
    let handed = [("stdin_socket", watcher.stdin_socket.as_slice()), ("listen_fds", &watcher.listen_fds)];
    for (key, names) in handed {
        for message in names.iter().filter_map(|name| absent(&name.to_lowercase())) {
            report.add(Degree::Warning, section, Some(key), format!("{message}; every spawn fails"));
        }
    }
    if watcher.on_demand && config.sockets.is_empty() {
        let message = "there is no socket whose first connection could start it";
        report.add(Degree::Warning, section, Some("on_demand"), message);
    }
    if watcher.idle_timeout > 0.0 && !watcher.on_demand {
        let message = "has no effect without `on_demand = True`";
        report.add(Degree::Warning, section, Some("idle_timeout"), message);
    }
}

/// Warns of a group without a user, which drops less than one may think.
fn groups_of(watcher: &WatcherConfig, sections: &Sections, report: &mut Report) {
    let Some(section) = sections.get(&format!("watcher:{}", watcher.name)) else { return };
    if watcher.gid.is_some() && watcher.uid.is_none() {
        let message = "without `uid` its processes stay in circusd's supplementary groups";
        report.add(Degree::Warning, section, Some("gid"), message);
    }
}

/// The beginnings of section headers that mean something.
const PREFIXES: [&str; 4] = ["watcher:", "socket:", "plugin:", "env:"];

/// Warns of a section nobody reads.
fn foreign(section: &Section, report: &mut Report) {
    let name = section.name.as_str();
    if name == "circus" || name == "env" || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return;
    }
    let hint = match name.split_once(':') {
        Some((kind, rest)) => suggest::nearest(&format!("{}:", kind.trim()), PREFIXES.into_iter())
            .map(|prefix| format!("; did you mean [{prefix}{}]?", rest.trim_matches([' ', '[', ']'])))
            .unwrap_or_default(),
        None => suggest::hint(name, ["circus", "env"].into_iter()),
    };
    report.add(Degree::Warning, section, None, format!("an unknown section, not used{hint}"));
}
