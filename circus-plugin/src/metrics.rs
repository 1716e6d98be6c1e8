//! Metrics for statsd: one line each, which is one datagram.

use std::fmt::Display;

use crate::{
    machine::{Action, Needs},
    options::{OptionError, Options},
};

/// Where metrics go and what stands around every one.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    server: (String, u16),
    prefix: String,
    suffix: String,
}

impl Metrics {
    /// Reads `application_name`, `host`, `port` and `sample_rate`.
    ///
    /// # Errors
    /// When one of them makes no sense.
    pub fn new(options: &Options, default_app: &str) -> Result<Self, OptionError> {
        let rate = options.number("sample_rate", 1.0)?;
        let exactly_one = rate.total_cmp(&1.0).is_eq();
        Ok(Self {
            server: (options.text("host", "localhost"), options.port("port", 8125)?),
            prefix: format!("circus.{}.watcher", options.text("application_name", default_app)),
            suffix: if exactly_one { String::new() } else { format!("|@{rate:?}") },
        })
    }

    /// What the runner has to provide.
    #[must_use]
    pub fn needs(&self) -> Needs {
        Needs { statsd: Some(self.server.clone()), ..Needs::default() }
    }

    /// Counts one.
    pub fn increment(&self, bucket: &str, out: &mut Vec<Action>) {
        self.send(bucket, &format!("{}|c", 1), out);
    }

    /// Says how much something is.
    pub fn gauge(&self, bucket: &str, value: impl Display, out: &mut Vec<Action>) {
        self.send(bucket, &format!("{value}|g"), out);
    }

    /// Says how many milliseconds something took.
    pub fn timed(&self, bucket: &str, milliseconds: u128, out: &mut Vec<Action>) {
        self.send(bucket, &format!("{milliseconds}|ms"), out);
    }

    fn send(&self, bucket: &str, value: &str, out: &mut Vec<Action>) {
        out.push(Action::Metric(format!("{}.{bucket}:{value}{}", self.prefix, self.suffix)));
    }
}

/// A number as Python writes it: always with a point.
#[must_use]
pub fn float(number: f64) -> String {
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::options;

    fn sent(settings: &[(&str, &str)]) -> Vec<Action> {
        let metrics = Metrics::new(&options(settings), "app").unwrap();
        let mut out = Vec::new();
        metrics.increment("web.reap", &mut out);
        metrics.gauge("x", float(0.0), &mut out);
        metrics.timed("t", 12, &mut out);
        out
    }

    #[test]
    fn lines_are_written_as_recorded() {
        assert_eq!(
            sent(&[]),
            ["circus.app.watcher.web.reap:1|c", "circus.app.watcher.x:0.0|g", "circus.app.watcher.t:12|ms"]
                .map(|line| Action::Metric(line.to_owned()))
        );
    }

    #[test]
    fn a_sample_rate_is_written_after_every_value() {
        let out = sent(&[("application_name", "my app"), ("sample_rate", "0.5")]);
        assert_eq!(out[0], Action::Metric("circus.my app.watcher.web.reap:1|c|@0.5".to_owned()));
        assert_eq!(
            sent(&[("sample_rate", "1")])[0],
            Action::Metric("circus.app.watcher.web.reap:1|c".to_owned())
        );
    }
}
