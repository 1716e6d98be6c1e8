//! The collector's thread: groups in, messages out, one round at a time.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use tokio::sync::mpsc::{Receiver, channel};

use super::Collector;
use crate::{publisher::Message, streamer::Group};

/// What a round has found.
#[derive(Debug, Default)]
pub struct Sampled {
    /// The messages in order.
    pub messages: Vec<Message>,
    /// Processes that are gone for good.
    pub gone: Vec<i32>,
}

/// The collector from outside.
#[derive(Debug)]
pub struct Rounds {
    orders: SyncSender<Arc<[Group]>>,
    results: Receiver<Sampled>,
    under_way: bool,
}

impl Rounds {
    /// Begins a round. If the last one has not ended yet, this one is left out.
    pub fn begin(&mut self, groups: Arc<[Group]>) {
        if !self.under_way {
            // There is room, since none is under way.
            self.under_way = self.orders.try_send(groups).is_ok();
        }
    }

    /// The end of a round; `None` when the thread is no more. May be dropped at any moment without loss.
    pub async fn ended(&mut self) -> Option<Sampled> {
        let sampled = self.results.recv().await;
        self.under_way = false;
        sampled
    }
}

/// Starts the thread; it ends when its other end is dropped.
///
/// # Errors
/// When the system has no thread left.
pub fn start() -> io::Result<Rounds> {
    let (orders, received) = sync_channel::<Arc<[Group]>>(1);
    let (answers, results) = channel(1);
    let work = move || {
        // Signals are for the other thread. It fails for a wrong `how` only.
        let _set = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
        let mut collector = Collector::new();
        while let Ok(groups) = received.recv() {
            let (messages, gone) = collector.sample(&groups);
            if answers.blocking_send(Sampled { messages, gone }).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("collector".to_owned()).spawn(work)?;
    Ok(Rounds { orders, results, under_way: false })
}
