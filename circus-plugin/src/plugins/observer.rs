//! What HttpObserver and RedisObserver share: one server is asked again and again, never twice at a time, and a watcher
//! is restarted when it is silent.

use std::time::Duration;

use crate::{
    machine::{Action, Level, Moment, Needs, Order},
    metrics::Metrics,
    options::{OptionError, Options},
    ticker::Ticker,
};

/// What one of them calls its options and metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// The application of its metrics, if none is named.
    pub application: &'static str,
    /// The option of the server, and its default.
    pub url: (&'static str, &'static str),
    /// The default of `timeout`, in seconds.
    pub timeout: f64,
    /// The option of the watcher to restart.
    pub remedy: &'static str,
    /// What its metrics begin with.
    pub family: &'static str,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    names: Names,
    /// Where figures go.
    pub metrics: Metrics,
    /// The server.
    pub url: String,
    /// How long it may be silent.
    pub timeout: Duration,
    ticker: Ticker,
    restarts: Option<String>,
    /// Whether an answer is awaited.
    asking: bool,
}

impl Observer {
    /// With these options.
    ///
    /// # Errors
    /// When one of them makes no sense.
    pub fn new(names: Names, options: &Options) -> Result<Self, OptionError> {
        Ok(Self {
            names,
            metrics: Metrics::new(options, names.application)?,
            url: options.text(names.url.0, names.url.1),
            timeout: options.seconds("timeout", names.timeout)?,
            ticker: Ticker::every(options.loop_rate(60.0)?),
            restarts: options.given(names.remedy).map(str::to_owned),
            asking: false,
        })
    }

    /// Whether the server is to be asked now. It is not while an answer is awaited.
    pub fn is_time(&mut self, now: Moment) -> bool {
        let is_time = self.ticker.is_due(now) && !self.asking;
        self.asking |= is_time;
        is_time
    }

    /// The answer, or the failure, is there.
    pub const fn answered(&mut self) {
        self.asking = false;
    }

    /// The name of one of its metrics.
    pub fn metric(&self, name: &str) -> String {
        format!("{}.{name}", self.names.family)
    }

    /// There was no good answer.
    pub fn failed(&self, code: Option<u16>, text: String, out: &mut Vec<Action>) {
        out.push(Action::Log(Level::Warning, text));
        self.metrics.increment(&self.metric("error"), out);
        if let Some(code) = code {
            self.metrics.increment(&self.metric(&format!("error.{code}")), out);
        }
        if let Some(watcher) = &self.restarts {
            out.push(Action::Tell(Order::Restart(watcher.clone())));
            self.metrics.increment(&self.metric("restart_on_error"), out);
        }
    }

    /// When it is to be asked next.
    pub const fn next_deadline(&self) -> Option<Moment> {
        Some(self.ticker.next())
    }

    /// What it needs.
    pub fn needs(&self) -> Needs {
        self.metrics.needs()
    }
}
