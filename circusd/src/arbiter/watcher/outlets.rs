//! Where the output of a watcher's processes goes, as far as the data plane was told.

use circus_common::Channel;

use super::Watcher;
use crate::arbiter::{
    effect::Effect,
    operation::Kind,
    outbox::Outbox,
    stream::{Outlet, StreamOrder},
};

/// What the data plane was told of each output.
pub(super) type Outlets = [Option<Box<Outlet>>; 2];

impl Watcher {
    /// Tells the data plane what the options say now, where that differs from what it knows.
    pub fn tell_streams(&mut self, out: &mut Outbox) {
        for (known, channel) in self.outlets.iter_mut().zip(Channel::ALL) {
            // A `set` that was refused half-way may leave what makes no stream: then the old one stays.
            let Ok(wanted) = out.surroundings.outlet(&self.config, channel) else { continue };
            let wanted = wanted.map(Box::new);
            if *known == wanted {
                continue;
            }
            known.clone_from(&wanted);
            let (watcher, name) = (self.id, self.config.name.clone());
            out.push(Effect::Stream(StreamOrder::Configure { watcher, name, channel, outlet: wanted }));
        }
    }

    /// Whether the data plane knows just this of the output.
    pub fn is_outlet(&self, channel: Channel, outlet: &Outlet) -> bool {
        self.outlets
            .iter()
            .zip(Channel::ALL)
            .any(|(known, of)| of == channel && known.as_deref() == Some(outlet))
    }

    /// The outputs that have a stream and are not closed by `close_child_stdout` or `close_child_stderr`.
    pub fn channels(&self) -> Vec<Channel> {
        Channel::ALL.into_iter().filter(|channel| self.config.is_piped(*channel)).collect()
    }

    /// Those of them whose last lines are kept.
    pub fn remembered(&self) -> Vec<Channel> {
        let kept = |(channel, outlet): (Channel, &Option<Box<Outlet>>)| {
            outlet.as_ref().filter(|outlet| outlet.config.ring > 0).map(|_| channel)
        };
        let kept: Vec<Channel> = Channel::ALL.into_iter().zip(&self.outlets).filter_map(kept).collect();
        self.channels().into_iter().filter(|channel| kept.contains(channel)).collect()
    }

    /// Opens what a stop has closed.
    pub(super) fn open_streams(&self, out: &mut Outbox) {
        if self.has_outlets() {
            out.push(Effect::Stream(StreamOrder::Open { watcher: self.id }));
        }
    }

    /// Closes the streams of a watcher that has stopped, unless it is about to start again.
    pub(super) fn close_streams(&self, out: &mut Outbox) {
        let goes_on = self.operations.running().is_some_and(|operation| match operation.kind {
            Kind::Restart | Kind::Reload { .. } | Kind::Replace => true,
            Kind::Start | Kind::Stop | Kind::Remove => false,
        });
        if self.has_outlets() && !goes_on {
            out.push(Effect::Stream(StreamOrder::Close { watcher: self.id }));
        }
    }

    /// The last thing that is said of its streams.
    pub fn remove_streams(&mut self, out: &mut Outbox) {
        if self.has_outlets() {
            self.outlets = Outlets::default();
            out.push(Effect::Stream(StreamOrder::Remove { watcher: self.id }));
        }
    }

    fn has_outlets(&self) -> bool {
        self.outlets.iter().any(Option::is_some)
    }
}
