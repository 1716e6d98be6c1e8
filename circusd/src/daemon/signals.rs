//! Signals to circusd itself.

use std::{future, io};

use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tracing::info;

use crate::arbiter::input::DaemonSignal;

/// The signals circusd listens to. They outlive a restart in place, so that none is lost in between.
#[derive(Debug)]
pub(super) struct Signals {
    hup: SignalStream,
    int: SignalStream,
    term: SignalStream,
    quit: SignalStream,
    /// Signals that are logged and otherwise ignored: WINCH as in Circus, and the two that would end circusd by a
    /// slip of the hand and leave its processes to the next one.
    ignored: [(&'static str, SignalStream); 3],
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            hup: signal(SignalKind::hangup())?,
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            ignored: [
                ("SIG_WINCH", signal(SignalKind::window_change())?),
                ("SIG_USR1", signal(SignalKind::user_defined1())?),
                ("SIG_USR2", signal(SignalKind::user_defined2())?),
            ],
        })
    }

    /// The next one that ends circusd: while nothing has begun there is nothing else to be told. Cancel-safe.
    pub async fn end(&mut self) -> DaemonSignal {
        loop {
            match self.next().await {
                DaemonSignal::Hup => info!("nothing has been started yet: there is nothing to reload"),
                signal @ (DaemonSignal::Int | DaemonSignal::Term | DaemonSignal::Quit) => return signal,
            }
        }
    }

    /// The next one. Cancel-safe.
    pub async fn next(&mut self) -> DaemonSignal {
        loop {
            let [winch, usr1, usr2] = &mut self.ignored;
            let (name, signal) = tokio::select! {
                Some(()) = self.hup.recv() => ("SIG_HUP", Some(DaemonSignal::Hup)),
                Some(()) = self.int.recv() => ("SIG_INT", Some(DaemonSignal::Int)),
                Some(()) = self.term.recv() => ("SIG_TERM", Some(DaemonSignal::Term)),
                Some(()) = self.quit.recv() => ("SIG_QUIT", Some(DaemonSignal::Quit)),
                Some(()) = winch.1.recv() => (winch.0, None),
                Some(()) = usr1.1.recv() => (usr1.0, None),
                Some(()) = usr2.1.recv() => (usr2.0, None),
                else => future::pending().await,
            };
            match signal {
                Some(signal) => {
                    info!("Got signal {name}");
                    return signal;
                }
                None => info!("Got signal {name}, which is ignored"),
            }
        }
    }
}
