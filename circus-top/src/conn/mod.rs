//! The connections to one daemon: statistics, events, control. What they bring goes to the state as reports.
//!
//! Each runs as a task and lives through the daemon's restarts. Reports go through a bounded queue; who is not
//! drained waits, and the transport drops what is beyond its own bound. Only reading commands are sent, except for
//! what arrives as [`Wish::Act`].

mod control;
mod events;
mod find;
mod stats;
mod way;

use circus_common::{config::endpoint::Endpoint, tunnel::TunnelError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Duration, Instant},
};

pub use self::way::Way;
use self::{control::ControlTask, find::Candidate};
use crate::state::{command::Action, report::Report};

/// Wishes that may wait for the control endpoint.
const MOST_WISHES: usize = 64;
/// The pause before something that failed is tried again.
const AGAIN: Duration = Duration::from_secs(3);

/// Where a daemon is.
#[derive(Clone, Debug)]
pub struct Address {
    /// Its statistics endpoint, as the ssh server sees it if there is one.
    pub stats: Endpoint,
    /// Its control endpoint, if the operator named it.
    pub control: Option<String>,
    /// The control endpoint that the environment names: a guess.
    pub environment: Option<String>,
    /// The ssh server.
    pub ssh: Option<String>,
}

/// Something to be asked of a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What a watcher runs and how its processes ended.
    Inspect(String),
    /// A change the operator has confirmed.
    Act {
        /// The watcher.
        watcher: String,
        /// What.
        action: Action,
    },
}

/// Where reports go.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// Which host they are about.
    pub host: usize,
    /// The queue.
    pub queue: mpsc::Sender<(usize, Report)>,
}

/// The connections to one daemon; they end with this value.
#[derive(Debug)]
pub struct Connection {
    wishes: mpsc::Sender<Wish>,
    _tasks: JoinSet<()>,
}

/// A daemon's address with the ways to it.
#[derive(Debug)]
pub struct Route {
    stats_endpoint: Endpoint,
    stats: Way,
    candidates: Vec<(Candidate, Way)>,
    ssh: Option<String>,
}

impl Outlet {
    /// Hands a report over; waits while the queue is full. Nobody reading any more is no error: we are leaving.
    pub async fn send(&self, report: Report) {
        _ = self.queue.send((self.host, report)).await;
    }
}

impl Route {
    /// Finds the ways; opens tunnels while the terminal is still free for questions.
    ///
    /// # Errors
    /// When there is no way to the statistics. A control endpoint that cannot be reached is no error.
    pub async fn prepare(address: &Address) -> Result<Self, TunnelError> {
        let ssh = address.ssh.as_deref();
        let mut stats = Way::to(&address.stats.to_string(), ssh)?;
        stats.prepare().await?;
        let all = find::candidates(
            &address.stats,
            address.control.as_deref(),
            // The environment's endpoint is as this machine sees it.
            address.environment.as_deref().filter(|_| ssh.is_none()),
        );
        let mut candidates = Vec::new();
        for candidate in all {
            if let Ok(mut way) = Way::to(candidate.endpoint(), ssh) {
                // What fails here is tried again later, and told then.
                _ = way.prepare().await;
                candidates.push((candidate, way));
            }
        }
        Ok(Self { stats_endpoint: address.stats.clone(), stats, candidates, ssh: address.ssh.clone() })
    }

    /// Connects. Reports come from now on.
    #[must_use]
    pub fn connect(self, outlet: Outlet) -> Connection {
        let (wishes, wished) = mpsc::channel(MOST_WISHES);
        let (heard, last_heard) = watch::channel(Instant::now());
        let mut tasks = JoinSet::new();
        tasks.spawn(stats::follow(self.stats, outlet.clone(), heard));
        let task = ControlTask {
            stats: self.stats_endpoint,
            candidates: self.candidates,
            ssh: self.ssh,
            outlet,
            last_heard,
        };
        tasks.spawn(task.run(wished));
        Connection { wishes, _tasks: tasks }
    }
}

impl Connection {
    /// Asks for something. Whether there was room for it.
    #[must_use]
    pub fn wish(&self, wish: Wish) -> bool {
        self.wishes.try_send(wish).is_ok()
    }
}
