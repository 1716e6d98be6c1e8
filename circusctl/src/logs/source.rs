//! The output of one watcher: asks for it, again and again while it is followed.
//!
//! Line numbers only grow, from one daemon to the next too: to go on is to ask for what comes after the last one seen.

use std::time::Duration;

use circus_common::{
    client::{CallError, Client, reply_error},
    protocol::ErrorCode,
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// How long one question waits for output, in seconds: a daemon that vanished without a word is noticed after that.
const WAIT: f64 = 5.0;

/// Between two questions to a daemon that is about to end.
const PAUSE: Duration = Duration::from_millis(200);

/// The most lines of one answer.
const BATCH: u64 = 1000;

/// A refusal that says no more than that the daemon ends, or begins anew.
const LEAVING: i64 = ErrorCode::Command as i64;

/// How the daemon is reached.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where it is.
    pub endpoint: String,
    /// How long an answer is awaited that needs no waiting.
    pub patience: Duration,
}

/// What a source has to say.
#[derive(Debug)]
pub enum Said {
    /// These lines.
    Lines(Vec<Value>),
    /// Lines between those before and those that follow are not kept any more.
    Lost,
    /// Nobody answers.
    Away,
    /// Somebody does again.
    Back,
    /// The daemon has nothing of this watcher.
    Refused(String),
    /// There is no way to the daemon.
    Failed(String),
}

/// Why there are no lines.
enum Trouble {
    Away(String),
    Refused(String),
    Failed(String),
}

/// The output of one watcher.
#[derive(Debug)]
pub struct Source {
    name: String,
    stream: Option<&'static str>,
    way: Way,
    client: Option<Client>,
    /// The number to go on from.
    next: Value,
    lost: bool,
}

impl Source {
    /// The output of that watcher.
    pub fn new(name: &str, stream: Option<&'static str>, way: &Way) -> Self {
        Self { name: name.to_owned(), stream, way: way.clone(), client: None, next: json!(0), lost: false }
    }

    /// The watcher's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The last lines.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn last(&mut self, count: u64) -> Result<Vec<Value>, Said> {
        // To know where the end is takes one line at least.
        let reply = self.ask(Value::Null, count.max(1), 0.0).await.map_err(|trouble| match trouble {
            Trouble::Refused(reason) => Said::Refused(reason),
            Trouble::Away(reason) | Trouble::Failed(reason) => Said::Failed(reason),
        })?;
        let lines = self.take(reply);
        Ok(if count == 0 { Vec::new() } else { lines })
    }

    /// Tells of everything that follows, until the watcher is gone or nobody listens.
    pub async fn follow(mut self, listener: mpsc::Sender<(String, Said)>) {
        let mut away = false;
        loop {
            let said = match self.more().await {
                Ok(lines) if std::mem::take(&mut away) => {
                    if listener.send((self.name.clone(), Said::Back)).await.is_err() {
                        return;
                    }
                    Said::Lines(lines)
                }
                Ok(lines) => Said::Lines(lines),
                Err(Trouble::Away(_)) if away => {
                    sleep_until(Instant::now() + PAUSE).await;
                    continue;
                }
                Err(Trouble::Away(_)) => {
                    away = true;
                    Said::Away
                }
                Err(Trouble::Refused(reason)) => Said::Refused(reason),
                Err(Trouble::Failed(reason)) => Said::Failed(reason),
            };
            let last = matches!(said, Said::Refused(_) | Said::Failed(_));
            if std::mem::take(&mut self.lost) && listener.send((self.name.clone(), Said::Lost)).await.is_err()
            {
                return;
            }
            if last && away && listener.send((self.name.clone(), Said::Back)).await.is_err() {
                return;
            }
            if listener.send((self.name.clone(), said)).await.is_err() || last {
                return;
            }
        }
    }

    /// The next lines; none if none came in the time that one question waits.
    async fn more(&mut self) -> Result<Vec<Value>, Trouble> {
        let reply = self.ask(self.next.clone(), BATCH, WAIT).await?;
        Ok(self.take(reply))
    }

    fn take(&mut self, mut reply: Map<String, Value>) -> Vec<Value> {
        self.next = reply.remove("next").unwrap_or_default();
        self.lost = reply.get("lost").and_then(Value::as_bool).unwrap_or(false);
        match reply.remove("lines") {
            Some(Value::Array(lines)) => lines,
            Some(_) | None => Vec::new(),
        }
    }

    async fn ask(&mut self, after: Value, max: u64, wait: f64) -> Result<Map<String, Value>, Trouble> {
        let mut properties = Map::new();
        properties.insert("name".to_owned(), json!(self.name));
        if let Some(stream) = self.stream {
            properties.insert("stream".to_owned(), json!(stream));
        }
        if !after.is_null() {
            properties.insert("after".to_owned(), after);
        }
        properties.insert("max".to_owned(), json!(max));
        properties.insert("wait".to_owned(), json!(wait));
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let patience = self.way.patience.saturating_add(Duration::from_secs_f64(WAIT));
                Client::connect(&self.way.endpoint, patience)
                    .map_err(|error| Trouble::Failed(error.to_string()))?
            }
        };
        match self.client.insert(client).call_once("logs", properties).await {
            Ok(reply) => match reply_error(&reply) {
                None => Ok(reply),
                Some((LEAVING, reason)) => Err(Trouble::Away(format!("error: {reason}"))),
                Some((_, reason)) => Err(Trouble::Refused(reason.to_owned())),
            },
            Err(error) => {
                self.client = None;
                Err(match error {
                    CallError::Timeout { .. } | CallError::Lost | CallError::Talk { .. } => {
                        Trouble::Away(error.to_string())
                    }
                    CallError::Endpoint(_) | CallError::Connect { .. } => Trouble::Failed(error.to_string()),
                })
            }
        }
    }
}
