//! What the reading commands say, compared with what is.

use circus_common::protocol::{Command, Reply};
use serde_json::Value;

use crate::sim::rules::hold;

/// What a request asked, as far as its answer can be checked.
#[derive(Debug)]
pub(super) enum Asked {
    /// `list` of a watcher.
    Pids(String),
    /// `numprocesses` of a watcher.
    Count(String),
    /// `status` of a watcher.
    Status(String),
    /// Anything else.
    Other,
}

impl Asked {
    pub(super) fn of(command: &Command) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others' answers are not checked here")]
        match command {
            Command::List { name: Some(name) } => Self::Pids(name.to_lowercase()),
            Command::NumProcesses { name: Some(name) } => Self::Count(name.to_lowercase()),
            Command::Status { name: Some(name) } => Self::Status(name.to_lowercase()),
            _ => Self::Other,
        }
    }

    /// The watcher it is about.
    pub(super) fn watcher(&self) -> Option<&str> {
        match self {
            Self::Pids(name) | Self::Count(name) | Self::Status(name) => Some(name),
            Self::Other => None,
        }
    }

    /// Compares an answer with the pids that the watcher has, in order of spawn.
    pub(super) fn check(&self, reply: &Reply, pids: &[i32]) {
        let Reply::Ok(members) = reply else { return };
        match self {
            Self::Pids(name) => {
                let told: Vec<i64> = members
                    .get("pids")
                    .and_then(Value::as_array)
                    .map(|all| all.iter().filter_map(Value::as_i64).collect())
                    .unwrap_or_default();
                let true_ones: Vec<i64> = pids.iter().copied().map(i64::from).collect();
                hold!(TrueList, told == true_ones, "list {name} says {told:?}, and there are {pids:?}");
            }
            Self::Count(name) => {
                let told = members.get("numprocesses").and_then(Value::as_u64);
                hold!(
                    TrueList,
                    told == Some(pids.len() as u64),
                    "numprocesses {name} says {told:?} of {pids:?}"
                );
            }
            Self::Status(name) => {
                let stopped = members.get("status").and_then(Value::as_str) == Some("stopped");
                hold!(TrueStatus, !stopped || pids.is_empty(), "{name} is stopped and has {pids:?}");
            }
            Self::Other => {}
        }
    }
}
