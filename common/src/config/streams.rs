//! The two output streams of a watcher, as a whole: what was written under `stdout_stream` and `stderr_stream`.

use indexmap::IndexMap;
use serde_json::Value;

use super::{WatcherConfig, stream::StreamConfig};
use crate::Channel;

impl WatcherConfig {
    /// What was written about the stream of an output; `None` if nothing was.
    #[must_use]
    pub const fn stream_members(&self, channel: Channel) -> Option<&IndexMap<String, Value>> {
        match channel {
            Channel::Stdout => self.stdout_stream.as_ref(),
            Channel::Stderr => self.stderr_stream.as_ref(),
        }
    }

    /// The stream of an output; `None` if it has none.
    ///
    /// # Errors
    /// The option at fault, such as `stdout_stream.class`, and what is wrong with it.
    pub fn stream(&self, channel: Channel) -> Result<Option<StreamConfig>, (String, String)> {
        let Some(members) = self.stream_members(channel) else { return Ok(None) };
        let named = |(member, message): (String, String)| (format!("{}.{member}", channel.option()), message);
        StreamConfig::read(members).map(Some).map_err(named)
    }

    /// Whether the processes' output goes through a pipe: `close_child_stdout` and `close_child_stderr` win over a
    /// stream.
    #[must_use]
    pub const fn is_piped(&self, channel: Channel) -> bool {
        let closed = match channel {
            Channel::Stdout => self.close_child_stdout,
            Channel::Stderr => self.close_child_stderr,
        };
        !closed && self.stream_members(channel).is_some()
    }

    /// What is wrong with the streams: option and message.
    pub(super) fn wrong_streams(&self) -> Vec<(String, String)> {
        Channel::ALL.into_iter().filter_map(|channel| self.stream(channel).err()).collect()
    }

    /// What may not be meant as it is written: option and message.
    pub(super) fn odd_streams(&self) -> Vec<(String, String)> {
        let of = |channel: Channel| {
            let warnings =
                self.stream(channel).ok().flatten().map_or_else(Vec::new, |stream| stream.warnings());
            warnings
                .into_iter()
                .map(move |(member, message)| (format!("{}.{member}", channel.option()), message))
        };
        let mut odd: Vec<(String, String)> = Channel::ALL.into_iter().flat_map(of).collect();
        for channel in Channel::ALL {
            if let Some(first) = self.stream_members(channel).and_then(|members| members.keys().next())
                && !self.is_piped(channel)
            {
                let message = format!("has no effect: `close_child_{channel}` sends the output to /dev/null");
                odd.push((format!("{}.{first}", channel.option()), message));
            }
        }
        odd
    }

    /// The first mistake as one text.
    ///
    /// # Errors
    /// What is wrong with the first one that is.
    pub fn check_streams(&self) -> Result<(), String> {
        match self.wrong_streams().into_iter().next() {
            Some((option, message)) => Err(format!("{option}: {message}")),
            None => Ok(()),
        }
    }
}
