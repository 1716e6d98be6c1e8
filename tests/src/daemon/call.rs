//! Our own client for tests that are no futures.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use circus_common::client::{CallError, Client};
use serde_json::{Map, Value};
use tokio::runtime::Builder;

use super::wait::LIMIT;

/// Asks once. Each question has a connection of its own: a test may have restarted the daemon in between.
pub(super) fn call(
    endpoint: &str,
    command: &str,
    properties: &Value,
) -> Result<Map<String, Value>, CallError> {
    // Longer than any wait of a test, so that it is the test's reason which is read.
    let mut client = Client::connect(endpoint, LIMIT + Duration::from_secs(30))?;
    let properties = properties.as_object().cloned().unwrap_or_default();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime is made");
    runtime.block_on(client.call(command, properties))
}

/// A request under way on a connection of its own.
#[derive(Debug)]
pub struct Asked(JoinHandle<Result<Map<String, Value>, CallError>>);

impl Asked {
    pub(super) fn new(endpoint: String, command: String, properties: Value) -> Self {
        Self(thread::spawn(move || call(&endpoint, &command, &properties)))
    }

    /// Whether it was answered.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for the answer.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn answer(self) -> Map<String, Value> {
        self.0.join().expect("a client does not panic").expect("every request is answered")
    }
}
