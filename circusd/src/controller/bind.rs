//! Where the endpoints are.

use circus_common::{
    bind::BindError,
    config::{CircusConfig, endpoint::Endpoint},
};

use super::inflight::MAX_PEERS;
use crate::os::ipc;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The addresses; one at least.
    endpoints: Vec<Endpoint>,
    /// Whose the ipc sockets are to be.
    owner: Option<u32>,
    /// How many clients there may be.
    peers: usize,
}

impl Settings {
    /// Those of the control endpoint. Looks `endpoint_owner` up in the system's user database: may block.
    ///
    /// # Errors
    /// When an address is none, or is open to the network without `allow_remote`, or there is no such owner.
    pub fn control(circus: &CircusConfig) -> Result<Self, BindError> {
        Self::new(&circus.endpoint, circus)
    }

    /// Those of the event endpoint, likewise.
    ///
    /// # Errors
    /// As [`Settings::control`].
    pub fn events(circus: &CircusConfig) -> Result<Self, BindError> {
        Self::new(&circus.pubsub_endpoint, circus)
    }

    /// Those of the endpoint for events that Circus does not have; `None` when it is off.
    ///
    /// # Errors
    /// As [`Settings::control`].
    pub fn own_events(circus: &CircusConfig) -> Result<Option<Self>, BindError> {
        let given = Some(circus.events_endpoint.as_str()).filter(|text| !text.trim().is_empty());
        given.map(|text| Self::new(text, circus)).transpose()
    }

    /// An address of ours, without owner.
    ///
    /// # Errors
    /// When an address is none, or is open to the network.
    pub fn local(endpoints: &str) -> Result<Self, BindError> {
        Self::checked(endpoints, false)
    }

    /// The same with room for fewer clients.
    #[must_use]
    pub const fn with_peers(mut self, peers: usize) -> Self {
        self.peers = peers;
        self
    }

    pub(crate) const fn peers(&self) -> usize {
        self.peers
    }

    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    pub(crate) const fn owner(&self) -> Option<u32> {
        self.owner
    }

    fn new(endpoints: &str, circus: &CircusConfig) -> Result<Self, BindError> {
        let mut settings = Self::checked(endpoints, circus.allow_remote)?;
        if let (Some(name), Some(endpoint)) =
            (&circus.endpoint_owner, settings.endpoints.iter().find(|it| it.ipc_path().is_some()))
        {
            let owner = ipc::owner(name);
            settings.owner =
                Some(owner.map_err(|reason| BindError::Ipc { endpoint: endpoint.clone(), reason })?);
        }
        Ok(settings)
    }

    fn checked(endpoints: &str, allow_remote: bool) -> Result<Self, BindError> {
        let endpoints = Endpoint::parse_list(endpoints).map_err(BindError::Endpoint)?;
        match endpoints.iter().find(|it| !allow_remote && !it.is_loopback()) {
            Some(remote) => Err(BindError::Remote { endpoint: remote.clone() }),
            None => Ok(Self { endpoints, owner: None, peers: MAX_PEERS }),
        }
    }
}
