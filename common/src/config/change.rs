//! What `add`, `set`, `get` and `options` do to and read from one watcher's options.

use std::{collections::BTreeMap, path::Path};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    Args, Files, Host, Orphans, Seconds, WatcherConfig, environment,
    options::{self, Change, OptionSpec},
    python_text::repr_text,
};
use crate::{Channel, Signal};

/// Variables that differ between two starts of one and the same circusd; a reload of the configuration ignores them.
const VOLATILE: [&str; 4] = ["__CF_USER_TEXT_ENCODING", "PS1", "COMP_WORDBREAKS", "PROMPT_COMMAND"];

/// Whether the option is that output's stream, or a key of it.
fn belongs(key: &str, channel: Channel) -> bool {
    key.strip_prefix(channel.option()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Why an option was not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The key or the value is not acceptable: errno 3.
    #[error("{0}")]
    Message(String),
    /// The value does not fit this watcher: errno 5.
    #[error("{0}")]
    Command(String),
}

impl WatcherConfig {
    /// A watcher with every default, as `add` begins with.
    #[must_use]
    pub fn new(name: &str, cmd: &str) -> Self {
        Self {
            name: name.to_owned(),
            cmd: cmd.to_owned(),
            args: Args::None,
            numprocesses: 1,
            warmup_delay: Seconds::Fraction(0.0),
            working_dir: String::new(),
            shell: false,
            shell_args: None,
            executable: None,
            uid: None,
            gid: None,
            copy_env: false,
            copy_path: false,
            virtualenv: None,
            virtualenv_py_ver: None,
            env: None,
            send_hup: false,
            stop_signal: Signal::TERM,
            stop_children: false,
            max_retry: Some(5),
            graceful_timeout: 30.0,
            priority: 0,
            singleton: false,
            use_sockets: false,
            on_demand: false,
            max_age: 0,
            max_age_variance: 30,
            respawn: true,
            autostart: true,
            close_child_stdin: true,
            close_child_stdout: false,
            close_child_stderr: false,
            stdin_socket: None,
            python: None,
            listen_fds: Vec::new(),
            idle_timeout: 0.0,
            stdout_stream: None,
            stderr_stream: None,
            rlimits: IndexMap::new(),
            hooks: BTreeMap::new(),
            hook_timeout: 30.0,
            respawn_healthy: 1.0,
            reload_settle: 0.3,
            reload_undo: None,
            orphans: Orphans::End,
            extra: BTreeMap::new(),
            from_file: false,
            brought_along: false,
        }
    }

    /// The watcher of an `add`.
    ///
    /// # Errors
    /// The reason, when the options do not make a watcher.
    pub fn from_add(
        name: &str,
        cmd: &str,
        args: Args,
        options: &Map<String, Value>,
        host: &Host,
        files: &dyn Files,
    ) -> Result<Self, String> {
        if name.trim().is_empty() {
            return Err("command name shouldn't be empty".to_owned());
        }
        let mut watcher = Self { args, ..Self::new(name, cmd) };
        for (key, value) in options {
            options::check(key, value)?;
            if let Some(spec) = options::find(key) {
                (spec.write)(&mut watcher, spec.member(key), value)?;
            }
        }
        watcher.stay_in(&host.cwd);
        if let Some((_, message)) = watcher.wrong_whole().into_iter().next() {
            return Err(message);
        }
        environment::of_add(&mut watcher, host, files)?;
        Ok(watcher)
    }

    /// What does not go together: the option at fault, and the message.
    pub(super) fn wrong_whole(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if self.singleton && self.numprocesses > 1 {
            let message = format!("cannot have {} processes with a singleton watcher", self.numprocesses);
            wrong.push(("numprocesses", message));
        }
        if self.copy_path && !self.copy_env {
            wrong.push(("copy_path", "`copy_path` needs `copy_env = True`".to_owned()));
        }
        if self.virtualenv.is_some() && !self.copy_env {
            wrong.push(("virtualenv", "`virtualenv` needs `copy_env = True`".to_owned()));
        }
        wrong
    }

    /// Changes one option and says what that asks for. After an error nothing is changed. Whether a stream is good as a
    /// whole is told by [`Self::check_streams`]: several of its members may be changed together.
    ///
    /// After a change of `copy_env` or `working_dir` the caller, who knows circusd's own, calls [`Self::recopy_env`] or
    /// [`Self::stay_in`].
    ///
    /// # Errors
    /// See [`SetError`].
    pub fn set(&mut self, key: &str, value: &Value) -> Result<Change, SetError> {
        let Some(spec) = options::find(key).filter(|spec| spec.legal.set) else {
            return self.set_free_form(key, value);
        };
        options::check(key, value).map_err(SetError::Message)?;
        let wanted = value.as_i64().unwrap_or_default();
        if key == "numprocesses" && self.singleton && wanted > 1
            || key == "singleton" && *value == Value::Bool(true) && self.numprocesses > 1
        {
            return Err(SetError::Command("Singleton watcher has a single process".to_owned()));
        }
        // As in Circus: where there was no stream there is no pipe to swap it on, so the processes are replaced.
        let first_of_stream = Channel::ALL
            .into_iter()
            .any(|channel| belongs(key, channel) && self.stream_members(channel).is_none());
        let mut changed = self.clone();
        // `set` turns this one number into a fraction, which is what `options` shows afterwards.
        let value = match (key, value.as_f64()) {
            ("warmup_delay", Some(seconds)) => &Value::from(seconds),
            _ => value,
        };
        (spec.write)(&mut changed, spec.member(key), value).map_err(SetError::Message)?;
        *self = changed;
        Ok(if first_of_stream { Change::Reload } else { spec.change })
    }

    /// Replaces a free-form option the watcher has; there is no way to add one.
    fn set_free_form(&mut self, key: &str, value: &Value) -> Result<Change, SetError> {
        match self.extra.get_mut(key) {
            Some(present) => {
                *present = value.clone();
                Ok(Change::None)
            }
            None => Err(SetError::Message(format!("unknown key {}", repr_text(key)))),
        }
    }

    /// Makes circusd's own directory that of the processes, unless another is named.
    pub fn stay_in(&mut self, own: &Path) {
        if self.working_dir.is_empty() {
            self.working_dir = own.display().to_string();
        }
    }

    /// Makes the environment follow a changed `copy_env`: circusd's variables come beneath it, or leave it.
    pub fn recopy_env(&mut self, host: &BTreeMap<String, String>) {
        let env = self.env.take().unwrap_or_default();
        self.env = Some(if self.copy_env {
            let mut whole = host.clone();
            whole.extend(env);
            whole
        } else {
            env.into_iter().filter(|(name, value)| host.get(name) != Some(value)).collect()
        });
    }

    /// Every option as `options` answers, sorted by key.
    #[must_use]
    pub fn report(&self) -> Map<String, Value> {
        let mut all: BTreeMap<&str, Value> =
            options::TABLE.iter().filter_map(|spec| Some((spec.reported?, (spec.read)(self)?))).collect();
        all.extend(self.extra.iter().map(|(key, value)| (key.as_str(), value.clone())));
        all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// Every option, also those that `options` leaves out, to be compared with another watcher's.
    #[must_use]
    pub fn whole(&self) -> Map<String, Value> {
        let mut whole = self.report();
        let silent = options::TABLE.iter().filter(|spec| spec.reported.is_none());
        whole.extend(silent.filter_map(|spec| Some((spec.name.to_owned(), (spec.read)(self)?))));
        whole
            .extend(self.rlimits.iter().map(|(name, limit)| (format!("rlimit_{name}"), Value::from(*limit))));
        let hooks = self.hooks.iter();
        whole.extend(hooks.map(|(name, hook)| (format!("hooks.{name}"), Value::from(format!("{hook:?}")))));
        whole
    }

    /// One option as `get` answers; free-form ones too.
    #[must_use]
    pub fn option(&self, key: &str) -> Option<Value> {
        let reported = |spec: &&OptionSpec| spec.reported == Some(key);
        match self.extra.get(key) {
            Some(value) => Some(value.clone()),
            None => options::TABLE.iter().find(reported).and_then(|spec| (spec.read)(self)),
        }
    }

    /// Whether both mean the same, whatever changes from one start of circusd to the next.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.without_volatile() == other.without_volatile()
    }

    /// Whether the number of processes, and nothing else, differs.
    #[must_use]
    pub fn differs_only_in_numprocesses(&self, other: &Self) -> bool {
        let other_with_number = Self { numprocesses: self.numprocesses, ..other.clone() };
        self.numprocesses != other.numprocesses && self.same_as(&other_with_number)
    }

    fn without_volatile(&self) -> Self {
        let mut copy = self.clone();
        if let Some(env) = &mut copy.env {
            VOLATILE.iter().for_each(|name| drop(env.remove(*name)));
        }
        copy
    }
}
