//! The data plane: what children print, from their pipes to where it is wanted.
//!
//! It has threads of its own, so a stalled disk or a flood of output never reaches the decision thread; what holds a
//! stream up is felt by the children that write to it, through their full pipes, and by nobody else. It is told what
//! to do by [`Order`]s, in the order in which the arbiter decided them.

mod batch;
mod clock;
mod memory;
pub mod order;
mod outlet;
mod outlets;
mod piece;
mod plane;
mod pool;
mod ring;
mod sink;
mod source;
mod timers;
mod waker;

use std::{io, sync::mpsc};

use circus_common::protocol::Reply;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub use self::{
    order::{Channel, LogsQuestion, Order},
    sink::check_sink,
};
use self::{plane::Plane, waker::Waker};
use crate::{
    arbiter::{
        effect::Level,
        id::{RequestId, WatcherId},
    },
    os::thread,
};

/// What the plane has to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To a `logs` request.
    Logs {
        /// Whose.
        request: RequestId,
        /// The members of the answer.
        reply: Reply,
    },
    /// Something for the log. A condition is told when it begins and when it ends, not at every line.
    Note {
        /// How grave.
        level: Level,
        /// The whole text.
        text: String,
    },
    /// A Python class has no helper that takes its output: one is to be started, and its pipe handed over by
    /// [`Order::Bridge`]. Asked once, until such an order comes.
    BridgeWanted {
        /// Whose stream.
        watcher: WatcherId,
        /// Which output.
        channel: Channel,
    },
}

/// The plane, seen from the daemon's loop. When it is dropped the plane ends as after [`Order::End`].
#[derive(Debug)]
pub struct Streams {
    orders: Orders,
    answers: UnboundedReceiver<Answer>,
}

impl Streams {
    /// Starts the plane.
    ///
    /// # Errors
    /// When the system has no thread or descriptor left.
    pub fn start() -> io::Result<Self> {
        let waker = Waker::new()?;
        let (sender, orders) = mpsc::channel();
        let (answering, answers) = unbounded_channel();
        let plane = Plane::new(waker.clone(), orders, answering)?;
        thread::start("streams", move || plane.run())?;
        Ok(Self { orders: Orders { sender, waker }, answers })
    }

    /// A handle to give orders by, for any thread.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.orders.clone()
    }

    /// The next answer; `None` when the plane has ended and everything it had to say was said.
    ///
    /// The queue behind it holds at most one answer for each request in flight and a few notes for each stream.
    pub async fn next(&mut self) -> Option<Answer> {
        self.answers.recv().await
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.orders.give(Order::End);
    }
}

/// Gives orders to the plane. Never waits, so the decision thread may use it.
///
/// The queue needs no bound of its own: a process is attached once for each of its outputs and forgotten once, `logs`
/// requests are bounded where they arrive, and all else is a decision of the arbiter about a watcher.
#[derive(Clone, Debug)]
pub struct Orders {
    sender: mpsc::Sender<Order>,
    waker: Waker,
}

impl Orders {
    /// Gives an order. Those of one thread are carried out in the order given. After [`Order::End`] nothing is.
    pub fn give(&self, order: Order) {
        if self.sender.send(order).is_ok() {
            self.waker.wake();
        }
    }
}
