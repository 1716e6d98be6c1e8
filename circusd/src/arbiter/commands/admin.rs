//! add, rm, reloadconfig, restart of the daemon, quit: changes of the set of watchers, one at a time.

use std::sync::Arc;

use circus_common::{
    config::{Args, Config, Files, Places, WatcherConfig},
    protocol::{ErrorCode, Happening, Reply},
};
use serde_json::{Map, Value};

use super::{sockets::Preparing, trial::Tried};
use crate::arbiter::{
    Arbiter,
    campaign::Campaign,
    effect::{Departure, Effect, Level},
    helper::Surroundings,
    id::WatcherId,
    input::LoadPurpose,
    leaving::Course,
    operation::{Kind, Outcome, QUEUE_LIMIT, Tally, Waiter},
    plan::Plan,
    request::{Client, Shape},
    stream::Candidate,
};

/// A change of the set of watchers that waits for its turn.
#[derive(Debug)]
pub(in crate::arbiter) struct Admin {
    /// Who asked.
    pub client: Client,
    task: Task,
    waiting: bool,
}

/// The change whose turn it is.
#[derive(Debug)]
pub(in crate::arbiter) enum AdminRun {
    /// The configuration is being read.
    Loading(Admin),
    /// Its hooks, then its streams are being tried out.
    Trying(Box<Tried>),
    /// Sockets are being opened.
    Preparing(Preparing),
    /// Work is under way; this pending closes with it.
    Working(u64),
}

impl AdminRun {
    /// Who is still to be answered.
    pub fn client(self) -> Option<Client> {
        match self {
            Self::Loading(admin) => Some(admin.client),
            Self::Trying(tried) => Some(tried.client()),
            Self::Preparing(preparing) => Some(preparing.client),
            // The pending itself knows.
            Self::Working(_) => None,
        }
    }
}

/// What an `add` asks for.
#[derive(Debug)]
pub(super) struct Add {
    /// The watcher's name.
    pub name: String,
    /// Its command.
    pub cmd: String,
    /// Further arguments.
    pub args: Args,
    /// Its options.
    pub options: Map<String, Value>,
    /// Whether it is started.
    pub start: bool,
}

/// The changes.
#[derive(Debug)]
pub(super) enum Task {
    /// `add`.
    Add(Box<Add>),
    /// `rm`.
    Rm { name: String, nostop: bool },
    /// `addsocket`.
    AddSocket { name: String, options: Map<String, Value> },
    /// `rmsocket`.
    RmSocket { name: String },
    /// `reloadconfig`.
    Reload { dry_run: bool },
    /// `restart` of the daemon in place.
    Restart,
}

/// The pure core opens no file: an added watcher cannot name a virtual environment, as in Circus.
struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &std::path::Path) -> Result<Vec<u8>, String> {
        Err(format!("cannot read {} for a watcher that is added", path.display()))
    }

    fn glob(&self, _pattern: &str) -> Vec<std::path::PathBuf> {
        Vec::new()
    }

    fn is_dir(&self, _path: &std::path::Path) -> bool {
        false
    }

    fn exists(&self, _path: &std::path::Path) -> bool {
        false
    }

    fn list(&self, _path: &std::path::Path) -> Vec<std::path::PathBuf> {
        Vec::new()
    }
}

impl Arbiter {
    /// Queues a change.
    pub(super) fn admin(&mut self, client: Client, task: Task, waiting: bool) {
        if self.admin.len() >= QUEUE_LIMIT {
            return self.refuse(client, ErrorCode::Command, "too many requests for the arbiter");
        }
        self.admin.push_back(Admin { client, task, waiting });
    }

    pub(super) fn rm(&mut self, client: Client, name: String, nostop: bool, waiting: bool) {
        if self.known(client, &name).is_some() {
            self.admin(client, Task::Rm { name, nostop }, waiting);
        }
    }

    pub(super) fn reload_config(&mut self, client: Client, waiting: bool, dry_run: bool) {
        self.admin(client, Task::Reload { dry_run }, waiting);
    }

    pub(super) fn quit(&mut self, client: Client, waiting: bool) {
        if !waiting {
            self.reply(client, Reply::ok());
        }
        if matches!(self.course, Course::Left) {
            return;
        }
        self.leave(Departure::Quit, waiting.then_some(client), false);
    }

    /// Begins the next change if none is under way.
    pub(in crate::arbiter) fn step_admin(&mut self) {
        while self.admin_running.is_none() {
            let Some(admin) = self.admin.pop_front() else { return };
            let Admin { client, task, waiting } = admin;
            match task {
                Task::Add(add) => self.do_add(client, *add, waiting),
                Task::Rm { name, nostop } => self.do_rm(client, &name, nostop, waiting),
                Task::AddSocket { name, options } => self.do_add_socket(client, &name, &options),
                Task::RmSocket { name } => self.do_rm_socket(client, &name),
                Task::Reload { .. } => self.load(Admin { client, task, waiting }, LoadPurpose::Reload),
                Task::Restart => self.load(Admin { client, task, waiting }, LoadPurpose::Restart),
            }
        }
    }

    /// A pending has closed: if it was the change under way, the next may begin.
    pub(in crate::arbiter) fn admin_part_ended(&mut self, number: u64) {
        if matches!(self.admin_running, Some(AdminRun::Working(running)) if running == number) {
            self.admin_running = None;
        }
    }

    fn do_add(&mut self, client: Client, add: Add, waiting: bool) {
        let Add { name, cmd, args, options, start } = add;
        if self.find(&name).is_some() {
            let reason = format!("command 'add': {} already exist", super::read::repr(&name));
            return self.refuse(client, ErrorCode::Command, reason);
        }
        if let Some(owner) = self.config.circus.owner()
            && options.get("uid").map(text_of).as_deref() != Some(owner)
        {
            return self.refuse(client, ErrorCode::Message, "uid does not match endpoint_owner");
        }
        let config = match WatcherConfig::from_add(&name, &cmd, args, &options, &self.host, &NoFiles) {
            Ok(config) => config,
            Err(reason) => return self.refuse(client, ErrorCode::Message, reason),
        };
        if let Err(reason) = config.check_streams() {
            return self.refuse(client, ErrorCode::Command, reason);
        }
        self.try_hooks_of(Tried::Add { client, config: Box::new(config), start, waiting });
    }

    pub(super) fn add_watcher(&mut self, client: Client, config: WatcherConfig, start: bool, waiting: bool) {
        self.out.publish(&config.name, Happening::Add);
        let id = self.create(config);
        if !start {
            return self.reply(client, Reply::ok());
        }
        let waiter = self.promise(client, waiting, Shape::Add);
        self.ask_watcher(id, Kind::Start, waiter);
    }

    fn do_rm(&mut self, client: Client, name: &str, nostop: bool, waiting: bool) {
        let Some(id) = self.known(client, name) else { return };
        self.names.retain(|_, known| *known != id);
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.listed = false;
            self.out.publish(&watcher.config.name, Happening::Remove);
        }
        if nostop {
            self.withdraw(id, Kind::Remove);
            if let Some(watcher) = self.watchers.get_mut(&id) {
                let arriving = watcher.release(&mut self.out);
                self.released.extend(arriving);
            }
            self.forget_watcher(id);
            return self.reply(client, Reply::ok());
        }
        let number = self.pend(client, waiting, Shape::Bare, 1);
        self.admin_running = Some(AdminRun::Working(number));
        self.ask_watcher(id, Kind::Remove, Some(Waiter::Pending(number)));
    }

    fn load(&mut self, admin: Admin, purpose: LoadPurpose) {
        self.out.push(Effect::LoadConfig { purpose });
        self.admin_running = Some(AdminRun::Loading(admin));
    }

    /// The configuration was read.
    pub(in crate::arbiter) fn config_loaded(
        &mut self,
        purpose: LoadPurpose,
        config: Result<Box<Config>, String>,
    ) {
        // One that was read for a request which was refused meanwhile must not end what another has come to.
        let loading = self.admin_running.take_if(|run| matches!(run, AdminRun::Loading(_)));
        let Some(AdminRun::Loading(admin)) = loading else { return };
        let config = match config {
            Ok(config) => config,
            Err(mistakes) => return self.refuse_config(&admin, mistakes),
        };
        if let Some(reason) = self.misses_sockets(&config) {
            return self.refuse_config(&admin, reason);
        }
        self.try_hooks_of(Tried::Config { admin, purpose, config });
    }

    /// The streams that a new configuration would have made.
    pub(super) fn candidates_of_config(&self, purpose: LoadPurpose, config: &Config) -> Vec<Candidate> {
        self.concerned(purpose, config).iter().flat_map(|watcher| self.candidates(watcher)).collect()
    }

    /// The watchers that a new configuration would make anew.
    pub(super) fn concerned(&self, purpose: LoadPurpose, config: &Config) -> Vec<WatcherConfig> {
        let plan = self.plan(config);
        if purpose == LoadPurpose::Restart || !plan.reasons.is_empty() {
            return config.watchers.clone();
        }
        plan.add.into_iter().chain(plan.recreate.into_iter().map(|(watcher, _)| watcher)).collect()
    }

    /// Nothing of a configuration with mistakes is taken over.
    pub(super) fn refuse_config(&mut self, admin: &Admin, mistakes: String) {
        let dry_run = matches!(admin.task, Task::Reload { dry_run: true });
        let level = if dry_run { Level::Debug } else { Level::Error };
        for mistake in mistakes.lines() {
            self.out.note(level, format!("the configuration is not taken over: {mistake}"));
        }
        self.refuse(admin.client, ErrorCode::BadMessageData, mistakes);
    }

    /// Does with a good configuration what it was read for.
    pub(super) fn take_over(&mut self, admin: Admin, purpose: LoadPurpose, config: Box<Config>) {
        let Admin { client, task, waiting } = admin;
        let plan = self.plan(&config);
        match (purpose, task) {
            (LoadPurpose::Restart, _) => self.restart_with_sockets(client, plan.sockets, config),
            (LoadPurpose::Reload, Task::Reload { dry_run: true }) => {
                self.reply(client, Reply::with([("plan", plan.report())]));
            }
            (LoadPurpose::Reload, _) => {
                if plan.reasons.is_empty() {
                    self.apply_with_sockets(client, plan, config, waiting);
                } else {
                    self.out.note(
                        Level::Info,
                        format!(
                            "reloadconfig restarts the daemon in place: {} changed",
                            plan.reasons.join(", ")
                        ),
                    );
                    self.restart_with_sockets(client, plan.sockets, config);
                }
            }
        }
    }

    /// Circus answers at once, also to who waits: the connection will not outlive the restart.
    pub(super) fn restart_in_place(&mut self, client: Client, config: Box<Config>) {
        self.reply(client, Reply::ok());
        self.leave(Departure::Restart(config), None, false);
    }

    fn plan(&self, wanted: &Config) -> Plan {
        let present: Vec<_> = self
            .watchers
            .values()
            .filter(|watcher| watcher.listed)
            // What waits for a stop is what the file said last.
            .map(|watcher| {
                (watcher.config.name.as_str(), watcher.next.as_deref().or(watcher.file.as_deref()))
            })
            .collect();
        let sockets: Vec<_> = self.sockets.configs().collect();
        Plan::between(&self.config.circus, &present, &sockets, wanted)
    }

    /// Carries a plan out. What it does not name is not touched.
    pub(super) fn apply(&mut self, plan: Plan, config: Box<Config>, client: Client, waiting: bool) {
        let number = self.pend(client, waiting, Shape::Bare, 1);
        self.admin_running = Some(AdminRun::Working(number));
        if !plan.settings.is_empty() {
            self.out.push(Effect::ApplySettings(Box::new(config.circus.clone())));
        }
        self.config = *config;
        self.config.watchers = Vec::new();
        self.config.places = Places::default();
        self.out.surroundings = Surroundings::new(&self.config.circus, &self.host);
        self.out.backoff_cap = crate::arbiter::backoff_cap(&self.config);
        let mut parts = 0;
        for name in plan.remove {
            parts += self.remove_by_plan(&name, number);
        }
        for (watcher, _) in plan.recreate {
            parts += self.recreate_by_plan(watcher, number);
        }
        for (watcher, _) in plan.resize {
            parts += self.resize_by_plan(watcher, number);
        }
        let mut added: Vec<WatcherId> = plan.add.into_iter().map(|watcher| self.create(watcher)).collect();
        added.sort_by_key(|id| {
            std::cmp::Reverse(self.watchers.get(id).map_or(0, |watcher| watcher.config.priority))
        });
        let order = self.autostarting(added);
        parts += order.len();
        if let Some(pending) = self.pending.get_mut(&number) {
            // One part more than there is work, which ends here: an empty plan is answered too.
            pending.left = parts + 1;
        }
        if !order.is_empty() {
            self.begin_campaign(Campaign::new(Kind::Start, order, Some(number)));
        }
        self.part(number, "", Outcome::Done(Tally::default()));
    }

    fn remove_by_plan(&mut self, name: &str, number: u64) -> usize {
        let Some(id) = self.find(name).map(|watcher| watcher.id) else { return 0 };
        self.ask_watcher(id, Kind::Remove, Some(Waiter::Pending(number)));
        1
    }

    fn recreate_by_plan(&mut self, config: WatcherConfig, number: u64) -> usize {
        let Some(id) = self.find(&config.name).map(|watcher| watcher.id) else { return 0 };
        if let Some(watcher) = self.watchers.get_mut(&id) {
            watcher.next = Some(Box::new(config));
        }
        self.ask_watcher(id, Kind::Replace, Some(Waiter::Pending(number)));
        1
    }

    fn resize_by_plan(&mut self, config: WatcherConfig, number: u64) -> usize {
        let Some(id) = self.find(&config.name).map(|watcher| watcher.id) else { return 0 };
        self.with(id, |watcher, _| {
            watcher.set_numprocesses(config.numprocesses, Some(Waiter::Pending(number)));
            match &mut watcher.next {
                Some(next) => **next = config,
                None => watcher.file = Some(Arc::new(config)),
            }
        });
        1
    }
}

/// A value as the text it is compared by.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}
