//! The way to an endpoint: directly, or through a tunnel of the system's ssh.
//!
//! The first tunnel may ask for a password on the terminal; once the terminal shows the screen, none may.

use circus_common::tunnel::{Tunnel, TunnelError};

/// The way to one endpoint.
#[derive(Clone, Debug)]
pub struct Way {
    endpoint: String,
    tunnel: Option<Tunnel>,
    /// The end of a tunnel that is open and that nobody has used yet.
    open: Option<String>,
}

impl Way {
    /// The way to `endpoint`, by way of the server `ssh` if there is one.
    ///
    /// # Errors
    /// When nothing can be tunnelled to that endpoint, or the server is none.
    pub fn to(endpoint: &str, ssh: Option<&str>) -> Result<Self, TunnelError> {
        let tunnel = ssh.map(|server| Tunnel::to(endpoint, server, None)).transpose()?;
        Ok(Self { endpoint: endpoint.to_owned(), tunnel, open: None })
    }

    /// Opens the tunnel while the terminal is still free for questions.
    ///
    /// # Errors
    /// When ssh cannot be run or cannot connect.
    pub async fn prepare(&mut self) -> Result<(), TunnelError> {
        if let Some(tunnel) = self.tunnel.clone() {
            self.open = Some(off_thread(move || tunnel.open_quietly(true)).await?);
        }
        Ok(())
    }

    /// The endpoint to connect to. A tunnel ends with the connection through it, so each needs its own.
    ///
    /// # Errors
    /// When the tunnel cannot be opened without asking anybody.
    pub async fn open(&mut self) -> Result<String, TunnelError> {
        match (self.open.take(), self.tunnel.clone()) {
            (Some(open), _) => Ok(open),
            (None, Some(tunnel)) => off_thread(move || tunnel.open_quietly(false)).await,
            (None, None) => Ok(self.endpoint.clone()),
        }
    }

    /// Whether a connection that was lost needs a new way.
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        self.tunnel.is_some()
    }
}

/// ssh takes its time.
async fn off_thread(
    open: impl FnOnce() -> Result<String, TunnelError> + Send + 'static,
) -> Result<String, TunnelError> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.unwrap_or_else(|failed| Err(TunnelError::Run(failed.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_ssh_the_endpoint_is_the_way() {
        let mut way = Way::to("ipc:///run/c", None).unwrap();
        way.prepare().await.unwrap();
        assert_eq!(way.open().await.unwrap(), "ipc:///run/c");
        assert!(!way.is_used_up());
    }

    #[test]
    fn only_tcp_goes_through_ssh() {
        assert!(Way::to("tcp://127.0.0.1:5557", Some("host")).unwrap().is_used_up());
        assert!(matches!(Way::to("ipc:///run/c", Some("host")), Err(TunnelError::NotTcp(_))));
    }
}
