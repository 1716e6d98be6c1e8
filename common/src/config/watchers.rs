//! `[watcher:NAME]` sections to [`WatcherConfig`]s.

use std::collections::{BTreeMap, btree_map::Entry as Slot};

use super::{
    Args, Files, Host, Seconds, WatcherConfig,
    environment::EnvSections,
    expand,
    hook::HookName,
    mistake::Degree,
    options::{self, OptionSpec},
    sections::{Entry, Report, Section, Sections},
    suggest,
    value::{Expansion, Kind, RLIMITS},
    virtualenv,
};

/// What a watcher section is read with.
pub(super) struct Surroundings<'s> {
    pub env: &'s EnvSections,
    /// `[env]` over circusd's own environment.
    pub global: &'s BTreeMap<String, String>,
    pub host: &'s Host,
    pub files: &'s dyn Files,
}

/// All watchers, sorted by name; those that cannot be created are left out.
///
/// Commands find a watcher by its name in lower case: of two that would be the same, the first in order of creation
/// stays.
pub(super) fn read(
    sections: &Sections,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Vec<WatcherConfig> {
    let mut found: Vec<(WatcherConfig, &Section)> = Vec::new();
    for section in sections.iter() {
        if let Some(name) = section.name.strip_prefix("watcher:") {
            found.extend(read_one(name.trim(), section, around, report).map(|watcher| (watcher, section)));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let mut first_of: BTreeMap<String, String> = BTreeMap::new();
    found.retain(|(watcher, section)| {
        let second = &watcher.name;
        let first = match first_of.entry(second.to_lowercase()) {
            Slot::Vacant(slot) => {
                slot.insert(second.clone());
                return true;
            }
            Slot::Occupied(slot) => slot,
        };
        let message = if first.get() == second {
            format!("another watcher is called `{second}` too; this one is left out")
        } else {
            let first = first.get();
            format!("the watchers `{first}` and `{second}` differ only in case; `{second}` is left out")
        };
        report.add(Degree::BrokenSection, section, None, message);
        false
    });
    found.into_iter().map(|(watcher, _)| watcher).collect()
}

/// One watcher; `None` when it is broken, of which the report then tells.
fn read_one(
    name: &str,
    section: &Section,
    around: &Surroundings<'_>,
    report: &mut Report,
) -> Option<WatcherConfig> {
    let name = match section.get("name") {
        Some(renamed) => expand::with_env(renamed, around.global).trim().to_owned(),
        None => name.to_owned(),
    };
    if name.is_empty() {
        report.add(Degree::BrokenSection, section, None, "a watcher needs a name; write `[watcher:NAME]`");
        return None;
    }
    let mut reader = Reader {
        watcher: WatcherConfig {
            args: Args::Text(String::new()),
            warmup_delay: Seconds::Whole(0),
            from_file: true,
            ..WatcherConfig::new(&name, "")
        },
        section,
        around,
        visible: BTreeMap::new(),
        report,
        good: true,
    };
    // The environment depends on this one flag, and the other values on the environment.
    if let Some(entry) = section.keys.get("copy_env") {
        reader.option("copy_env", entry, options::find("copy_env")?);
    }
    let env = around.env.of_watcher(&name, reader.watcher.copy_env, around.host);
    reader.visible.clone_from(around.global);
    reader.visible.extend(env.clone());
    reader.watcher.env = Some(env);
    section.keys.iter().filter(|(key, _)| *key != "copy_env").for_each(|(key, entry)| reader.key(key, entry));
    reader.finish()
}

/// A watcher in the making.
struct Reader<'r> {
    watcher: WatcherConfig,
    section: &'r Section,
    around: &'r Surroundings<'r>,
    /// What its `$(circus.env.X)` see.
    visible: BTreeMap<String, String>,
    report: &'r mut Report,
    good: bool,
}

impl Reader<'_> {
    fn mistake(&mut self, degree: Degree, key: Option<&str>, message: impl Into<String>) {
        self.good &= degree == Degree::Warning;
        self.report.add(degree, self.section, key, message);
    }

    /// Reads one key.
    fn key(&mut self, key: &str, entry: &Entry) {
        match options::find(key).filter(|spec| spec.legal.file) {
            Some(spec) => self.option(key, entry, spec),
            None => self.free_form(key, entry),
        }
    }

    /// Reads a known option.
    fn option(&mut self, key: &str, entry: &Entry, spec: &OptionSpec) {
        let text = match spec.kind.expansion() {
            Expansion::None => entry.value.clone(),
            Expansion::Global => expand::with_env(&entry.value, self.around.global),
            Expansion::Watcher => expand::with_env(&entry.value, &self.visible),
        };
        let value = match spec.kind.parse(&text) {
            Ok(value) => value,
            Err(message) => return self.mistake(Degree::Fatal, Some(key), message),
        };
        if value.as_f64().is_some_and(|number| number < 0.0) && is_amount(spec) {
            self.mistake(Degree::Warning, Some(key), format!("{value} is negative and taken as 0"));
        }
        if let Err(message) = (spec.write)(&mut self.watcher, spec.member(key), &value) {
            return self.mistake(Degree::Fatal, Some(key), message);
        }
        self.member(key, spec);
    }

    /// Looks at the second half of a key such as `rlimit_nofile`.
    fn member(&mut self, key: &str, spec: &OptionSpec) {
        let member = spec.member(key);
        let lower = member.to_lowercase();
        if spec.kind == Kind::Rlimit && !RLIMITS.contains(&lower.as_str()) {
            let hint = suggest::hint(&lower, RLIMITS.into_iter());
            self.mistake(
                Degree::BrokenSection,
                Some(key),
                format!("there is no resource limit `{member}`{hint}"),
            );
        }
        // Circus keeps such a hook and never calls it.
        if spec.kind == Kind::Hook && HookName::find(member).is_none() {
            let hint = suggest::hint(member, HookName::ALL.into_iter().map(HookName::as_str));
            self.mistake(Degree::Warning, Some(key), format!("there is no hook `{member}`{hint}"));
        }
    }

    /// Keeps a key that is no option, and says so when it was probably meant to be one.
    fn free_form(&mut self, key: &str, entry: &Entry) {
        match key {
            "name" => return,
            "env" => {
                let message =
                    format!("not used; write the variables into a section `[env:{}]`", self.watcher.name);
                return self.mistake(Degree::Warning, Some(key), message);
            }
            "use_papa" => return self.mistake(Degree::Warning, Some(key), "papa is not supported; ignored"),
            "stdout_stream" | "stderr_stream" => {
                let message = format!("a stream option needs a name after a dot, such as `{key}.class`");
                return self.mistake(Degree::Fatal, Some(key), message);
            }
            _ => {}
        }
        if !entry.inherited
            && let Some(meant) = misspelt(key)
        {
            let message = format!("an unknown option, kept as free-form; did you mean `{meant}`?");
            self.mistake(Degree::Warning, Some(key), message);
        }
        let value = expand::with_env(&entry.value, &self.visible);
        self.watcher.extra.insert(key.to_owned(), value.into());
    }

    /// Looks at the watcher as a whole.
    fn finish(mut self) -> Option<WatcherConfig> {
        self.watcher.stay_in(&self.around.host.cwd);
        let wrong = self.watcher.wrong_whole();
        let is_whole = wrong.is_empty();
        for (key, message) in wrong {
            self.mistake(Degree::BrokenSection, Some(key), message);
        }
        if is_whole && let Err(message) = virtualenv::apply(&mut self.watcher, self.around.files) {
            self.mistake(Degree::BrokenSection, Some("virtualenv"), message);
        }
        self.streams();
        self.command();
        self.good.then_some(self.watcher)
    }

    /// The streams, each as a whole.
    fn streams(&mut self) {
        for (key, message) in self.watcher.wrong_streams() {
            self.mistake(Degree::BrokenSection, Some(&key), message);
        }
        for (key, message) in self.watcher.odd_streams() {
            self.mistake(Degree::Warning, Some(&key), message);
        }
    }

    /// What can be said of the command before anything is spawned.
    fn command(&mut self) {
        if let Err(reason) = expand::command_line(&self.watcher, 1, &expand::Descriptors::new()) {
            self.mistake(Degree::Warning, Some("cmd"), format!("the command cannot be run: {reason}"));
        }
        let shell = self.watcher.shell;
        for (key, variable) in expand::unknown_variables(&self.watcher) {
            let (degree, message) = if shell {
                (
                    Degree::BrokenSection,
                    format!("`{variable}` is not known, and the shell would run it as a command"),
                )
            } else {
                (Degree::Warning, format!("`{variable}` is not known and stays as it is written"))
            };
            self.mistake(degree, Some(key), message);
        }
        if shell && expand::has_shell_syntax(&self.watcher) {
            let message =
                "the shell sees this text as it is written; Circus would have quoted its special characters";
            self.mistake(Degree::Warning, Some("shell"), message);
        }
        if !shell && self.watcher.shell_args.is_some() {
            self.mistake(Degree::Warning, Some("shell_args"), "has no effect without `shell = True`");
        }
        if self.watcher.numprocesses == 0 && !self.watcher.singleton {
            self.mistake(Degree::Warning, Some("numprocesses"), "with 0 no process will be started");
        }
    }
}

/// Whether a negative value of the option has no meaning.
fn is_amount(spec: &OptionSpec) -> bool {
    let has_negatives = matches!(spec.name, "priority" | "max_retry");
    !has_negatives && matches!(spec.kind, Kind::Integer | Kind::Number | Kind::Delay)
}

/// The option that a key was probably meant to be.
fn misspelt(key: &str) -> Option<String> {
    let of_files = options::TABLE.iter().filter(|spec| spec.legal.file);
    if let Some(name) =
        suggest::nearest(key, of_files.clone().map(|spec| spec.name).filter(|_| !key.contains('.')))
    {
        return Some(name.to_owned());
    }
    // `hook.before_start`: the part up to the separator is compared with the names of families.
    let cut = key.find(['.', '_'])? + 1;
    let whole = ["stdout_", "stderr_"].iter().any(|start| key.to_lowercase().starts_with(start));
    let cut = if whole { key.find('.')? + 1 } else { cut };
    let (head, member) = key.split_at(cut);
    let families = of_files.filter(|spec| spec.is_family()).map(|spec| spec.name);
    suggest::nearest(head, families).map(|family| format!("{family}{member}"))
}
