//! How an endpoint is bound: an ipc path by way of a directory of our own.

use crate::{
    config::endpoint::{Endpoint, EndpointError},
    os::ipc::{IpcError, SocketFile, Workshop},
    transport::TransportError,
};

/// Why an endpoint cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is none.
    #[error("{0}")]
    Endpoint(EndpointError),
    /// It is not on loopback, and nobody said that this is meant.
    #[error(
        "cannot bind {endpoint}: everybody on the network could give orders there; if that is meant, add `allow_remote = true` to [circus]"
    )]
    Remote {
        /// Which.
        endpoint: Endpoint,
    },
    /// The file of an ipc endpoint.
    #[error("cannot bind {endpoint}: {reason}")]
    Ipc {
        /// Which.
        endpoint: Endpoint,
        /// Why not.
        reason: IpcError,
    },
    /// The system refused.
    #[error("cannot bind {endpoint}: {reason}")]
    Bind {
        /// Which.
        endpoint: Endpoint,
        /// Why not.
        reason: TransportError,
    },
    /// There is no socket at all.
    #[error("cannot make a ZeroMQ socket: {0}")]
    Socket(TransportError),
}

/// Binds one endpoint with `bind`. Returns the address with the port that was really bound, and the socket file.
///
/// # Errors
/// When the address cannot be had; nothing is left behind then.
pub async fn bind_endpoint<F>(
    endpoint: &Endpoint,
    owner: Option<u32>,
    bind: F,
) -> Result<(Endpoint, Option<SocketFile>), BindError>
where
    F: AsyncFnOnce(&Endpoint) -> Result<Endpoint, TransportError>,
{
    let failed = |reason| BindError::Bind { endpoint: endpoint.clone(), reason };
    let Some(path) = endpoint.ipc_path() else {
        return Ok((bind(endpoint).await.map_err(failed)?, None));
    };
    let ipc_failed = |reason| BindError::Ipc { endpoint: endpoint.clone(), reason };
    let workshop = Workshop::open(path).map_err(ipc_failed)?;
    bind(&Endpoint::Ipc { path: workshop.path().display().to_string() }).await.map_err(failed)?;
    let file = workshop.finish(owner).map_err(ipc_failed)?;
    Ok((endpoint.clone(), Some(file)))
}
