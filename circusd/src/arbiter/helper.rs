//! Helpers: processes that run Python code of users on behalf of a watcher, so that circusd never does.
//!
//! Here is what one is started with. A helper is no watcher: nobody lists it, and it lives as long as what it serves.

use std::{collections::BTreeMap, sync::Arc};

use circus_common::{
    Channel, Signal,
    config::{CircusConfig, Config, HookAction, HookConfig, HookName, Host, WatcherConfig, stream::Class},
};
use serde_json::{Map, Value};

use super::{
    commands::is_looked_up,
    effect::{Output, SocketOrder, SpawnSpec, Stdin},
    hook::{HookCandidate, HookPlace},
    stream::{Candidate, Outlet},
};

/// What Python begins with: it reads its program from the socket that is its standard input, so `ps` shows one line.
/// Then the standard input is /dev/null, for what the user's code may start.
const BOOT: &str = "import os;frames=os.fdopen(os.dup(0),'rb');os.dup2(os.open(os.devnull,0),0);\
                    exec(compile(frames.read(int(frames.readline())),'circus-host','exec'))";

/// How long a helper has to end by itself, in seconds.
const GRACE: f64 = 5.0;

/// Every stream of a configuration, to be tried out.
#[must_use]
pub fn candidates(config: &Config, host: &Host) -> Vec<Candidate> {
    let surroundings = Surroundings::new(&config.circus, host);
    config.watchers.iter().flat_map(|watcher| surroundings.candidates(watcher)).collect()
}

/// Every hook of a configuration that has to be looked up.
#[must_use]
pub fn hook_candidates(config: &Config, host: &Host) -> Vec<HookCandidate> {
    let surroundings = Surroundings::new(&config.circus, host);
    config.watchers.iter().flat_map(|watcher| surroundings.hook_candidates(watcher)).collect()
}

/// The option at fault, and what is wrong with it.
pub(super) type StreamMistake = (String, String);

/// What all helpers have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// The interpreter of watchers that name none.
    python: String,
    env: BTreeMap<String, String>,
    cwd: String,
    /// For requests and for events, so that a program of the user finds them.
    endpoints: [String; 2],
}

impl Surroundings {
    /// From what circusd itself was started with.
    pub fn new(circus: &CircusConfig, host: &Host) -> Self {
        Self {
            python: circus.python.clone(),
            env: host.env.clone(),
            cwd: host.cwd.display().to_string(),
            endpoints: [circus.endpoint.clone(), circus.pubsub_endpoint.clone()],
        }
    }

    /// The stream of an output, ready to be told to the data plane; `None` if it has none.
    ///
    /// # Errors
    /// When what was written makes no stream.
    pub fn outlet(&self, watcher: &WatcherConfig, channel: Channel) -> Result<Option<Outlet>, StreamMistake> {
        let Some(config) = watcher.stream(channel)? else { return Ok(None) };
        let helper = matches!(config.class, Class::Python(_))
            .then(|| self.spec(watcher, &["circus-stream", channel.name()]));
        Ok(Some(Outlet { config, helper }))
    }

    /// The streams of a watcher, to be tried out.
    pub fn candidates(&self, watcher: &WatcherConfig) -> Vec<Candidate> {
        let candidate = |channel| {
            let outlet = self.outlet(watcher, channel).ok()??;
            Some(Candidate { name: watcher.name.clone(), channel, outlet })
        };
        Channel::ALL.into_iter().filter_map(candidate).collect()
    }

    /// The hooks of a watcher that have to be looked up.
    pub fn hook_candidates(&self, watcher: &WatcherConfig) -> Vec<HookCandidate> {
        let looked_up = watcher.hooks.iter().filter(|(_, config)| is_looked_up(&config.action));
        looked_up
            .map(|(hook, config)| HookCandidate {
                hook: *hook,
                place: self.hook_place(watcher, config, *hook, &Map::new()),
            })
            .collect()
    }

    /// Where a hook is asked that is told these details.
    pub fn hook_place(
        &self,
        watcher: &WatcherConfig,
        config: &HookConfig,
        hook: HookName,
        details: &Map<String, Value>,
    ) -> HookPlace {
        let spawn = match &config.action {
            HookAction::Python(_) => Some(Box::new(self.hook_host(watcher))),
            HookAction::Program(words) => Some(Box::new(self.hook_program(watcher, words, hook, details))),
            HookAction::Tcp { .. } | HookAction::Http { .. } | HookAction::File(_) => None,
        };
        HookPlace { watcher: watcher.name.clone(), action: config.action.clone(), spawn }
    }

    /// The Python that calls a watcher's hooks, with the rights of its processes. Equal ones are one.
    fn hook_host(&self, watcher: &WatcherConfig) -> SpawnSpec {
        let mut spec = self.spec(watcher, &["circus-hooks"]);
        // Nothing in it tells whose it is.
        spec.argv.pop();
        spec.watcher = "hooks".to_owned();
        (spec.uid, spec.gid) = (watcher.uid.clone(), watcher.gid.clone());
        spec
    }

    /// A program: it runs as the watcher's processes do, and is told what it is about in its environment.
    fn hook_program(
        &self,
        watcher: &WatcherConfig,
        words: &[String],
        hook: HookName,
        details: &Map<String, Value>,
    ) -> SpawnSpec {
        let mut env = watcher.env.clone().unwrap_or_default();
        let [control, events] = &self.endpoints;
        let own = [
            ("CIRCUS_HOOK", hook.as_str()),
            ("CIRCUS_WATCHER", &watcher.name),
            ("CIRCUS_ENDPOINT", control),
            ("CIRCUSCTL_ENDPOINT", control),
            ("CIRCUS_PUBSUB_ENDPOINT", events),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let numbers = details.iter().filter(|(_, value)| value.is_number());
        env.extend(
            numbers.map(|(name, value)| (format!("CIRCUS_{}", name.to_uppercase()), value.to_string())),
        );
        SpawnSpec {
            argv: words.to_vec(),
            env: Arc::new(env),
            working_dir: watcher.working_dir.clone(),
            uid: watcher.uid.clone(),
            gid: watcher.gid.clone(),
            ..self.spec(watcher, &[])
        }
    }

    /// The spawn of a helper; `words` say in `ps` what for.
    fn spec(&self, watcher: &WatcherConfig, words: &[&str]) -> SpawnSpec {
        let python = watcher.python.as_deref().unwrap_or(&self.python);
        let mut argv = [python, "-c", BOOT].map(str::to_owned).to_vec();
        argv.extend(words.iter().map(|&word| word.to_owned()));
        argv.push(watcher.name.clone());
        SpawnSpec {
            watcher: watcher.name.clone(),
            argv,
            executable: None,
            env: Arc::new(self.env_of(watcher)),
            // Relative paths mean what they mean in Circus, where this code runs in circusd.
            working_dir: self.cwd.clone(),
            uid: None,
            gid: None,
            rlimits: Vec::new(),
            stdin: Stdin::Inherit,
            sockets: SocketOrder::default(),
            stdout: Output::Inherit,
            stderr: Output::Inherit,
            stop_signal: Signal::TERM,
            graceful_timeout: GRACE,
            keeps_orphans: false,
        }
    }

    /// circusd's own environment; programs and modules are found where the watcher finds them.
    fn env_of(&self, watcher: &WatcherConfig) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        let own = |name: &str| watcher.env.as_ref().and_then(|env| env.get(name));
        if let Some(path) = own("PATH") {
            env.insert("PATH".to_owned(), path.clone());
        }
        let places = [self.env.get("PYTHONPATH"), own("PYTHONPATH"), Some(&watcher.working_dir)];
        let places: Vec<&str> = places.into_iter().flatten().map(String::as_str).collect();
        env.insert("PYTHONPATH".to_owned(), places.join(":"));
        env
    }
}
