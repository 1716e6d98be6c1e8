//! CommandReloader: restarts a watcher whose program, script or watched files were changed.
//!
//! What a watcher runs follows from its options; where those files are, the runner finds out. The first sight of a
//! file is no change, and a file that is missing for a moment, as while it is replaced, is none either.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use circus_common::config::{
    expand::{program_files, words},
    python_text,
};
use serde_json::Value;

use super::Setup;
use crate::{
    machine::{Action, Answer, Input, Level, Look, Members, Moment, Order, Plugin, Question, SeenFile},
    options::OptionError,
    ticker::Ticker,
};

/// After a change nothing is done until it has been quiet for so long: a file is not written in one moment.
const QUIET: Duration = Duration::from_millis(300);
/// But not longer than this.
const PATIENCE: Duration = Duration::from_secs(3);

/// Directories to be watched: for themselves, and with all below them.
type Directories = (BTreeSet<PathBuf>, BTreeSet<PathBuf>);

/// What a watcher runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Watched {
    look: Look,
    /// The files as they were seen last; `None` before the first sight.
    files: Option<BTreeMap<PathBuf, u128>>,
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rhythm {
    /// When the kernel says that something changed, and it has been quiet since.
    Told { first: Option<Moment>, look_at: Option<Moment> },
    /// Every so often.
    Polling,
}

/// The plugin.
#[derive(Clone, Debug)]
pub(super) struct CommandReloader {
    ticker: Ticker,
    rhythm: Rhythm,
    patterns: Vec<String>,
    watchers: BTreeMap<String, Watched>,
    directories: Directories,
}

impl CommandReloader {
    pub(super) fn new(setup: &Setup) -> Result<Self, OptionError> {
        let options = &setup.options;
        // An integer in Circus; a fraction does no harm.
        let ticker = Ticker::every(options.loop_rate(1.0)?);
        Ok(Self {
            ticker,
            rhythm: Rhythm::Told { first: None, look_at: None },
            patterns: options.text("watch", "").split_whitespace().map(str::to_owned).collect(),
            watchers: BTreeMap::new(),
            directories: Directories::default(),
        })
    }

    fn answered(&mut self, question: Question, answer: &Answer, out: &mut Vec<Action>) {
        let Some(answer) = answer.good() else { return };
        if question == Question::List {
            let names = answer.get("watchers").and_then(Value::as_array).into_iter().flatten();
            let names: BTreeSet<String> = names
                .filter_map(Value::as_str)
                .filter(|name| !name.starts_with("plugin:"))
                .map(str::to_owned)
                .collect();
            self.watchers.retain(|name, _| names.contains(name));
            out.extend(names.into_iter().map(|name| Action::Ask(Question::Options(name))));
        } else if let Question::Options(name) = question
            && let Some(options) = answer.get("options").and_then(Value::as_object)
        {
            let look = self.look_of(&name, options);
            let watched = self.watchers.entry(name).or_default();
            if watched.look != look {
                // Another command is a first sight: the watcher was reloaded for it already.
                *watched = Watched { look: look.clone(), files: None };
            }
            out.push(Action::Look(look));
        }
    }

    /// The files a watcher is made of.
    fn look_of(&self, name: &str, options: &Members) -> Look {
        let text = |key: &str| options.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let directory = PathBuf::from(text("working_dir"));
        let mut command = words::split(&text("cmd")).unwrap_or_default();
        command.extend(arguments(options.get("args")));
        let own = text("command_reloader.watch");
        let patterns = self.patterns.iter().map(String::as_str).chain(own.split_whitespace());
        let mut look = Look {
            watcher: name.to_owned(),
            patterns: patterns.map(|pattern| directory.join(pattern).display().to_string()).collect(),
            ..Look::default()
        };
        if let Some((program, rest)) = command.split_first() {
            let path = options.get("env").and_then(|env| env.get("PATH")).and_then(Value::as_str);
            look.program = program_files(program, &directory, path);
            if is_interpreter(program)
                && let Some(script) = rest.iter().find(|word| !word.starts_with('-'))
            {
                look.files.push(directory.join(script));
            }
        }
        look
    }

    fn looked(&mut self, name: &str, found: Vec<SeenFile>, out: &mut Vec<Action>) {
        let Some(watched) = self.watchers.get_mut(name) else { return };
        let changed = watched.files.as_ref().and_then(|known| {
            found
                .iter()
                .find(|file| known.get(&file.path) != Some(&file.modified))
                .map(|file| file.path.clone())
        });
        let files = watched.files.get_or_insert_default();
        files.extend(found.into_iter().map(|file| (file.path, file.modified)));
        if let Some(path) = changed {
            out.push(Action::Log(Level::Info, format!("{} modified. Restarting.", path.display())));
            out.push(Action::Tell(Order::Restart(name.to_owned())));
        }
        self.watch(out);
    }

    /// Watches the directories of all files: a file itself is often replaced by another of its name.
    fn watch(&mut self, out: &mut Vec<Action>) {
        let of_files = |watched: &Watched| {
            let files = watched.files.iter().flat_map(BTreeMap::keys).chain(&watched.look.files);
            files.filter_map(|file| file.parent().map(Path::to_path_buf)).collect::<Vec<_>>()
        };
        let mut wanted: Directories = (BTreeSet::new(), BTreeSet::new());
        for watched in self.watchers.values() {
            wanted.0.extend(of_files(watched));
            for pattern in &watched.look.patterns {
                let (directory, is_deep) = fixed_part(pattern);
                if is_deep {
                    wanted.1.insert(directory)
                } else {
                    wanted.0.insert(directory)
                };
            }
        }
        let (flat, deep) = &mut wanted;
        flat.retain(|directory| !deep.contains(directory));
        if wanted != self.directories {
            self.directories.clone_from(&wanted);
            let (flat, deep) = wanted;
            out.push(Action::Watch { flat: flat.into_iter().collect(), deep: deep.into_iter().collect() });
        }
    }

    fn look_again(&self, out: &mut Vec<Action>) {
        out.extend(self.watchers.values().map(|watched| Action::Look(watched.look.clone())));
    }

    fn touched(&mut self, now: Moment) {
        if let Rhythm::Told { first, look_at } = &mut self.rhythm {
            let begun = *first.get_or_insert(now);
            *look_at = Some((now + QUIET).min(begun + PATIENCE));
        }
    }

    fn due(&mut self, now: Moment, out: &mut Vec<Action>) {
        match &mut self.rhythm {
            Rhythm::Told { first, look_at } => {
                if look_at.is_some_and(|at| at <= now) {
                    (*first, *look_at) = (None, None);
                    self.look_again(out);
                }
            }
            Rhythm::Polling => {
                if self.ticker.is_due(now) {
                    self.look_again(out);
                }
            }
        }
    }
}

fn arguments(args: Option<&Value>) -> Vec<String> {
    match args {
        Some(Value::String(text)) => words::split(text).unwrap_or_default(),
        Some(Value::Array(items)) => items.iter().map(python_text::str).collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => Vec::new(),
    }
}

/// Programs whose first argument is the program.
fn is_interpreter(program: &str) -> bool {
    const KNOWN: [&str; 12] =
        ["python", "pypy", "perl", "ruby", "node", "bash", "dash", "sh", "zsh", "php", "lua", "Rscript"];
    let name = program.rsplit('/').next().unwrap_or(program);
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    KNOWN.contains(&plain)
}

/// The directory of a pattern, up to its first wildcard, and whether the pattern goes deeper than that.
fn fixed_part(pattern: &str) -> (PathBuf, bool) {
    let end = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let slash = pattern[..end].rfind('/').map_or(0, |at| at.max(1));
    (PathBuf::from(&pattern[..slash]), pattern[end..].contains('/'))
}

impl Plugin for CommandReloader {
    fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Connected => out.push(Action::Ask(Question::List)),
            // A watcher that starts may be new, or made anew by a reload of the configuration.
            Input::Event(seen) if ["add", "start", "updated", "remove"].contains(&seen.event.as_str()) => {
                out.push(Action::Ask(Question::List));
            }
            Input::Answered { question, answer, .. } => self.answered(question, &answer, out),
            Input::Looked { watcher, files } => self.looked(&watcher, files, out),
            Input::Touched => self.touched(now),
            Input::CannotWatch => self.rhythm = Rhythm::Polling,
            Input::Event(_)
            | Input::Deadline
            | Input::WayLost
            | Input::Untold { .. }
            | Input::Datagram(_)
            | Input::Fetched(_)
            | Input::Redis(_)
            | Input::Delivered { .. }
            | Input::Scrape { .. }
            | Input::Descriptors(_)
            | Input::SocketHits { .. } => {}
        }
        self.due(now, out);
    }

    fn next_deadline(&self) -> Option<Moment> {
        match self.rhythm {
            Rhythm::Told { look_at, .. } => look_at,
            Rhythm::Polling => Some(self.ticker.next()),
        }
    }
}

#[cfg(test)]
mod tests {
    use circus_common::config::plugin::builtin::Builtin;
    use serde_json::json;

    use super::{super::story::Story, *};

    /// A plugin that has seen the one watcher with these options, and what it looks at.
    fn story(settings: &[(&str, &str)], options: Value) -> (Story, Look) {
        let mut story = Story::of(Builtin::CommandReloader, settings);
        story.answer(Question::List, json!({"watchers": ["plugin:x", "web"]}));
        assert_eq!(story.did()[1..], [Action::Ask(Question::Options("web".to_owned()))]);
        story.answer(Question::Options("web".to_owned()), json!({"options": options}));
        let Some(Action::Look(look)) = story.did().pop() else { panic!("it looks") };
        (story, look)
    }

    fn options(cmd: &str) -> Value {
        json!({"cmd": cmd, "args": "", "working_dir": "/srv", "env": {"PATH": "/a:/b"}})
    }

    fn file(path: &str, modified: u128) -> SeenFile {
        SeenFile { path: path.into(), modified }
    }

    fn see(story: &mut Story, files: Vec<SeenFile>) {
        story.input(Input::Looked { watcher: "web".to_owned(), files });
    }

    fn restart() -> Action {
        Action::Tell(Order::Restart("web".to_owned()))
    }

    #[test]
    fn the_program_is_the_first_word_wherever_the_system_finds_it() {
        assert_eq!(story(&[], options("serve -p 80")).1.program, ["/a/serve", "/b/serve"].map(PathBuf::from));
        assert_eq!(story(&[], options("./serve 'a b'")).1.program, ["/srv/./serve"].map(PathBuf::from));
        let python = story(&[], options("/usr/bin/python3.11 -u app.py --x")).1;
        assert_eq!(python.files, ["/srv/app.py"].map(PathBuf::from));
        assert!(story(&[], options("serve app.py")).1.files.is_empty());
    }

    #[test]
    fn further_files_are_named_by_patterns() {
        let mut all = options("serve");
        all["command_reloader.watch"] = "/etc/w.conf".into();
        let (mut story, look) = story(&[("watch", "conf/*.ini src/**/*.py")], all);
        assert_eq!(look.patterns, ["/srv/conf/*.ini", "/srv/src/**/*.py", "/etc/w.conf"]);
        see(&mut story, vec![]);
        let flat = ["/etc", "/srv/conf"].map(PathBuf::from).to_vec();
        assert_eq!(story.did(), [Action::Watch { flat, deep: vec!["/srv/src".into()] }]);
    }

    #[test]
    fn the_first_sight_is_no_change_and_another_time_or_path_is() {
        let (mut story, look) = story(&[], options("serve"));
        see(&mut story, vec![file("/a/serve", 1)]);
        assert_eq!(story.did(), [Action::Watch { flat: vec!["/a".into()], deep: vec![] }]);
        story.input(Input::Touched);
        story.pass(0.2);
        story.input(Input::Touched);
        story.pass(0.2);
        assert!(story.did().is_empty(), "it is still being written");
        story.pass(0.2);
        assert_eq!(story.did(), [Action::Look(look)]);
        see(&mut story, vec![file("/a/serve", 2)]);
        let log = Action::Log(Level::Info, "/a/serve modified. Restarting.".to_owned());
        assert_eq!(story.did(), [log, restart()]);
        see(&mut story, vec![file("/a/serve", 2)]);
        assert!(story.did().is_empty());
        see(&mut story, vec![file("/opt/v2/serve", 2)]);
        assert!(story.did().contains(&restart()));
    }

    #[test]
    fn a_file_that_is_missing_for_a_moment_is_no_change() {
        let (mut story, _) = story(&[], options("serve"));
        see(&mut story, vec![file("/a/serve", 1)]);
        see(&mut story, vec![]);
        see(&mut story, vec![file("/a/serve", 1)]);
        assert!(!story.did().contains(&restart()));
    }

    #[test]
    fn another_command_is_a_first_sight() {
        let (mut story, _) = story(&[], options("serve"));
        see(&mut story, vec![file("/a/serve", 1)]);
        story.answer(Question::Options("web".to_owned()), json!({"options": options("other")}));
        see(&mut story, vec![file("/a/other", 9)]);
        assert!(!story.did().contains(&restart()));
    }

    #[test]
    fn who_writes_without_a_pause_is_looked_at_all_the_same() {
        let (mut story, look) = story(&[], options("serve"));
        for _ in 0..16 {
            story.input(Input::Touched);
            story.pass(0.2);
        }
        assert_eq!(story.did(), [Action::Look(look)]);
    }

    #[test]
    fn where_the_kernel_does_not_tell_it_is_looked_every_loop_rate() {
        let (mut story, look) = story(&[("loop_rate", "2")], options("serve"));
        assert_eq!(story.next_deadline(), None);
        story.input(Input::CannotWatch);
        story.pass(4.0);
        assert_eq!(story.did(), [Action::Look(look.clone()), Action::Look(look)]);
    }
}
