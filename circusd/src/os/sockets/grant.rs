//! Which sockets one process gets, and at which numbers.

use std::{
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::Arc,
};

use circus_common::config::SocketConfig;

use super::managed::{Descriptor, Managed};
use crate::arbiter::id::ProcessId;

/// The first number of `LISTEN_FDS`.
const FIRST: RawFd = 3;

/// The sockets of one spawn, looked up by their names at the moment of the order.
#[derive(Debug, Default)]
pub struct Grant {
    /// What becomes standard input.
    pub(super) stdin: Option<Granted>,
    /// What keeps its number, and whether the command names it.
    pub(super) inherited: Vec<(Granted, bool)>,
    /// What is handed over with `LISTEN_FDS`.
    pub(super) listen: Vec<Granted>,
    /// The socket by which a helper is spoken to: its standard input.
    pub(super) helper: Option<Descriptor>,
}

/// One socket with the configuration it has now.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    pub config: Arc<SocketConfig>,
    pub socket: Arc<Managed>,
}

impl Granted {
    fn open(&self, process: ProcessId) -> Result<Descriptor, String> {
        self.socket
            .of_slot(&self.config, process)
            .map_err(|error| format!("socket '{}': {}", self.config.name, error.in_full()))
    }
}

/// What a child does with descriptors. They stay open while this value lives.
#[derive(Debug, Default)]
pub struct Handover {
    held: Vec<Descriptor>,
    /// What becomes descriptor 0.
    pub stdin: Option<RawFd>,
    /// From which number to which; equal ones stay where they are.
    pub moves: Vec<(RawFd, RawFd)>,
    /// Names for `LISTEN_FDNAMES`, if there is a `LISTEN_FDS`.
    pub names: Vec<String>,
}

impl Grant {
    /// That of a helper, which gets no managed socket.
    #[must_use]
    pub fn of_helper(socket: OwnedFd) -> Self {
        Self { helper: Some(Descriptor::Own(Arc::new(socket))), ..Self::default() }
    }

    /// Opens what the slot has of its own, and says what goes where.
    ///
    /// # Errors
    /// When a slot's own socket cannot be opened.
    pub fn hand_over(&self, process: ProcessId) -> Result<Handover, String> {
        let mut handover = Handover::default();
        if let Some(helper) = &self.helper {
            handover.stdin = Some(handover.hold(helper.clone()));
        }
        if let Some(stdin) = &self.stdin {
            handover.stdin = Some(handover.hold(stdin.open(process)?));
        }
        for (granted, named) in &self.inherited {
            // One that nobody names is not worth a socket of its own.
            let held =
                if *named { granted.open(process)? } else { Descriptor::Shared(Arc::clone(&granted.socket)) };
            let source = handover.hold(held);
            handover.moves.push((source, granted.socket.number()));
        }
        for (target, granted) in (FIRST..).zip(&self.listen) {
            let source = handover.hold(granted.open(process)?);
            handover.moves.push((source, target));
            // The separator cannot stand in a name.
            handover.names.push(granted.config.name.replace(':', "_"));
        }
        Ok(handover)
    }
}

impl Handover {
    fn hold(&mut self, descriptor: Descriptor) -> RawFd {
        let number = descriptor.as_raw_fd();
        self.held.push(descriptor);
        number
    }
}
