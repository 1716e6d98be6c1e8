//! The Circus protocol: circusd, Circus and the raw echo are asked by the very same client code.

use std::{
    thread,
    time::{Duration, Instant},
};

use circus_common::client::{CallError, Client, reply_error};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{Control, Question};
use crate::failure::Failure;

/// Before a command that Circus refused, because another one runs, is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// A client over ZeroMQ, for callers that wait.
pub struct Wire {
    runtime: Runtime,
    client: Client,
    limit: Duration,
}

impl Wire {
    /// A client of this endpoint. Connects with its first request.
    ///
    /// # Errors
    /// The endpoint is none.
    pub fn new(endpoint: &str, limit: Duration) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = Client::connect(endpoint, limit).map_err(|error| Failure::Broken(error.to_string()))?;
        Ok(Self { runtime, client, limit })
    }

    fn call(&mut self, command: &str, properties: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
        self.runtime.block_on(self.client.call(command, properties)).map_err(|error| match error {
            CallError::Timeout { .. } => Failure::Over(self.limit),
            CallError::Lost | CallError::Endpoint(_) | CallError::Connect { .. } | CallError::Talk { .. } => {
                Failure::Broken(error.to_string())
            }
        })
    }

    /// Circus refuses a command while another one runs, also one of its own: then it is tried until the limit.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time and tries again")]
    fn command(&mut self, command: &str) -> Result<(), Failure> {
        let begin = Instant::now();
        let waiting: Map<_, _> = [("waiting".to_owned(), json!(true))].into_iter().collect();
        while begin.elapsed() < self.limit {
            let reply = self.call(command, waiting.clone())?;
            match reply_error(&reply) {
                None => return Ok(()),
                Some((_, reason)) if reason.contains("already running") => thread::sleep(AGAIN),
                Some((_, reason)) => return Err(Failure::Broken(format!("{command}: {reason}"))),
            }
        }
        Err(Failure::Over(self.limit))
    }
}

impl Control for Wire {
    fn start(&mut self) -> Result<(), Failure> {
        self.command("start")
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.command("stop")
    }

    fn make_event(&mut self) -> Result<(), Failure> {
        // Nothing is restarted for this option, and `updated` is published.
        let options = json!({"name": "pause", "options": {"graceful_timeout": 30}});
        let reply = self.call("set", options.as_object().cloned().unwrap_or_default())?;
        match reply_error(&reply) {
            None => Ok(()),
            Some((_, reason)) => Err(Failure::Broken(format!("set: {reason}"))),
        }
    }

    fn ask(&mut self, question: Question) -> Result<(), Failure> {
        let command = match question {
            Question::List => "list",
            Question::NumProcesses => "numprocesses",
        };
        let reply = self.call(command, Map::new())?;
        match reply_error(&reply) {
            None => Ok(()),
            Some((_, reason)) => Err(Failure::Broken(format!("{command}: {reason}"))),
        }
    }
}
