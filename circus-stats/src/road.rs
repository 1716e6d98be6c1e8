//! The way to an endpoint: directly, or through a tunnel of the system's ssh.

use circus_common::tunnel::{Tunnel, TunnelError};

/// The way to one endpoint.
#[derive(Clone, Debug)]
pub enum Road {
    /// The endpoint itself.
    Direct(String),
    /// By way of an ssh server.
    Tunnel(Tunnel),
}

impl Road {
    /// The way to `endpoint`, by way of `ssh` if that is given.
    ///
    /// # Errors
    /// When nothing can be tunnelled to that endpoint, or the server is none.
    pub fn to(endpoint: &str, ssh: Option<&str>) -> Result<Self, TunnelError> {
        match ssh {
            None => Ok(Self::Direct(endpoint.to_owned())),
            Some(server) => Tunnel::to(endpoint, server, None).map(Self::Tunnel),
        }
    }

    /// The endpoint to connect to. A tunnel lives as long as a connection through it, so each needs its own.
    ///
    /// # Errors
    /// When the tunnel cannot be opened.
    pub async fn open(&self) -> Result<String, TunnelError> {
        match self {
            Self::Direct(endpoint) => Ok(endpoint.clone()),
            Self::Tunnel(tunnel) => {
                let tunnel = tunnel.clone();
                // ssh may ask for a password, and take its time.
                let opened = tokio::task::spawn_blocking(move || tunnel.open()).await;
                opened.unwrap_or_else(|failed| Err(TunnelError::Run(failed.into())))
            }
        }
    }

    /// Whether a connection that was lost needs a new way.
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        matches!(self, Self::Tunnel(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_ssh_the_endpoint_is_the_way() {
        let road = Road::to("ipc:///run/c", None).unwrap();
        assert_eq!(road.open().await.unwrap(), "ipc:///run/c");
        assert!(!road.is_used_up());
    }

    #[test]
    fn only_tcp_goes_through_ssh() {
        assert!(Road::to("tcp://127.0.0.1:5555", Some("host")).unwrap().is_used_up());
        assert!(matches!(Road::to("ipc:///run/c", Some("host")), Err(TunnelError::NotTcp(_))));
    }
}
