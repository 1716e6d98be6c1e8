//! The commands: what each changes or answers.
//!
//! By family: `read` only answers, `control` starts and stops, `change` alters one watcher, `admin` alters the set
//! of watchers or the daemon; `logs` asks the data plane, `trial` has streams tried before they are used. Texts and
//! numbers are those of Circus.

mod admin;
mod change;
mod control;
mod figures;
mod hook_trial;
mod logs;
mod read;
mod sockets;
mod trial;

use circus_common::protocol::{Command, ErrorCode, Reply};

pub(super) use self::{
    admin::{Admin, AdminRun},
    change::SetOrder,
    figures::Extended,
    hook_trial::is_looked_up,
    logs::Asker,
};
use super::{
    Arbiter,
    id::WatcherId,
    leaving::{Course, refusal},
    operation::Waiter,
    request::{Client, Pending, Shape},
};

/// Whether a command changes something and is refused while the daemon leaves.
fn is_change(command: &Command) -> bool {
    match command {
        Command::Add { .. }
        | Command::AddSocket { .. }
        | Command::Decr { .. }
        | Command::Incr { .. }
        | Command::Reload { .. }
        | Command::Restart { .. }
        | Command::Rm { .. }
        | Command::RmSocket { .. }
        | Command::Set { .. }
        | Command::Start { .. }
        | Command::Stop { .. } => true,
        Command::ReloadConfig { dry_run, .. } => !dry_run,
        Command::Dstats
        | Command::Get { .. }
        | Command::GlobalOptions { .. }
        | Command::Ipython
        | Command::Kill { .. }
        | Command::List { .. }
        | Command::ListSockets
        | Command::Logs { .. }
        | Command::Notify { .. }
        | Command::NumProcesses { .. }
        | Command::NumWatchers
        | Command::Options { .. }
        | Command::Quit { .. }
        | Command::Signal { .. }
        | Command::Stats { .. }
        | Command::Status { .. }
        | Command::Why { .. } => false,
    }
}

impl Arbiter {
    /// Takes in a request.
    pub(super) fn request(&mut self, client: Client, command: Command) {
        match &self.course {
            Course::Leaving { departure, .. } if is_change(&command) => {
                let reply = refusal(departure);
                return self.reply(client, reply);
            }
            Course::Staying | Course::Leaving { .. } | Course::Left => {}
        }
        match command {
            Command::Dstats => self.dstats(client),
            Command::Get { name, keys } => self.get(client, &name, &keys),
            Command::GlobalOptions { option } => self.global_options(client, option.as_deref()),
            Command::Ipython => self.ipython(client),
            Command::List { name } => self.list(client, name.as_deref()),
            Command::ListSockets => self.list_sockets(client),
            Command::Logs { name, channel, after, max, wait } => {
                self.logs(client, &name, logs::LogsOrder { channel, after, max, wait });
            }
            Command::Notify { name, attempt, retry_in } => self.notify(client, &name, attempt, retry_in),
            Command::NumProcesses { name } => self.numprocesses(client, name),
            Command::NumWatchers => self.numwatchers(client),
            Command::Options { name } => self.options(client, &name),
            Command::Stats { name, process, extended } => self.stats(client, name, process, extended),
            Command::Status { name } => self.status(client, name.as_deref()),
            Command::Why { name } => self.why(client, &name),
            Command::Start { target, waiting } => self.start(client, target, waiting),
            Command::Stop { target, waiting } => self.stop(client, target, waiting),
            Command::Restart { target, waiting } => self.restart(client, target, waiting),
            Command::Reload { name, graceful, sequential, waiting } => {
                self.reload(client, name.as_deref(), graceful, sequential, waiting);
            }
            Command::Incr { name, nb, waiting } => self.incr(client, &name, nb, waiting),
            Command::Decr { name, nb, waiting } => self.incr(client, &name, nb.saturating_neg(), waiting),
            Command::Set { name, options, waiting } => self.set(client, name, options, waiting),
            Command::Kill { name, pid, signum, graceful_timeout, waiting } => {
                self.kill(client, &name, pid, signum, graceful_timeout, waiting);
            }
            Command::Signal { name, signum, pid, childpid, children, recursive } => {
                let reach = change::reach(childpid, children, recursive);
                self.signal(client, &name, signum, pid, reach);
            }
            Command::Add { name, cmd, args, options, start, waiting } => {
                let add = admin::Add { name, cmd, args, options, start };
                self.admin(client, admin::Task::Add(Box::new(add)), waiting);
            }
            Command::AddSocket { name, options } => {
                self.admin(client, admin::Task::AddSocket { name, options }, true);
            }
            Command::RmSocket { name } => self.admin(client, admin::Task::RmSocket { name }, true),
            Command::Rm { name, nostop, waiting } => self.rm(client, name, nostop, waiting),
            Command::ReloadConfig { waiting, dry_run } => self.reload_config(client, waiting, dry_run),
            Command::Quit { waiting } => self.quit(client, waiting),
        }
    }

    /// The watcher of that name, or the refusal sent.
    fn known(&mut self, client: Client, name: &str) -> Option<WatcherId> {
        let found = self.find(name).map(|watcher| watcher.id);
        if found.is_none() {
            self.reply(client, Reply::not_found(name));
        }
        found
    }

    fn refuse(&mut self, client: Client, code: ErrorCode, reason: impl Into<String>) {
        self.reply(client, Reply::error(code, reason));
    }

    /// Registers work on that many watchers. Who does not wait is answered now; the work goes on all the same.
    fn pend(&mut self, client: Client, waiting: bool, shape: Shape, parts: usize) -> u64 {
        let number = self.number();
        let later = waiting.then_some(client);
        self.pending.insert(number, Pending::new(later, shape, parts));
        if !waiting {
            self.reply(client, Reply::ok());
        }
        number
    }

    /// The same, but nothing is kept for a client that does not wait.
    fn promise_all(&mut self, client: Client, waiting: bool, shape: Shape, parts: usize) -> Option<u64> {
        if waiting {
            return Some(self.pend(client, true, shape, parts));
        }
        self.reply(client, Reply::ok());
        None
    }

    /// The same for work of one part.
    fn promise(&mut self, client: Client, waiting: bool, shape: Shape) -> Option<Waiter> {
        self.promise_all(client, waiting, shape, 1).map(Waiter::Pending)
    }
}
