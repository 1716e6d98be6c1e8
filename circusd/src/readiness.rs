//! Telling a service manager such as systemd how far circusd is (`Type=notify`).
//!
//! The socket's name is taken out of the environment before any thread starts, so that nothing circusd runs can
//! speak for it. Sending never blocks and never fails the daemon: a manager that does not listen is not ours to
//! repair.

use std::{
    env,
    ffi::OsString,
    fmt::Write,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

use sd_notify::NotifyState;

use crate::os::environment;

const VARIABLE: &str = "NOTIFY_SOCKET";

/// The line to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<UnixDatagram>,
}

impl ServiceManager {
    /// Takes the line out of the environment. Call it before any thread starts; with threads running already the
    /// variable stays where it is.
    #[must_use]
    pub fn take() -> Self {
        let name = env::var_os(VARIABLE);
        environment::remove(VARIABLE);
        Self { socket: name.and_then(connect) }
    }

    /// The endpoints are bound and the watchers are being started; or a reload is done.
    pub fn ready(&self) {
        self.send(&[NotifyState::Ready]);
    }

    /// circusd begins anew in place; [`ServiceManager::ready`] ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.send(&[NotifyState::Reloading, now]),
            Err(_) => self.send(&[NotifyState::Reloading]),
        }
    }

    /// The watchers are being stopped for good.
    pub fn stopping(&self) {
        self.send(&[NotifyState::Stopping]);
    }

    fn send(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let mut message = String::new();
        for state in states {
            // Writing to a string cannot fail.
            let _ = writeln!(message, "{state}");
        }
        if let Err(error) = socket.send(message.as_bytes()) {
            tracing::debug!(%error, "cannot reach the service manager");
        }
    }
}

/// A path, or with `@` in front a name in the abstract space.
fn connect(name: OsString) -> Option<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: OsString, manager: &UnixDatagram, say: impl FnOnce(&ServiceManager)) -> String {
        say(&ServiceManager { socket: connect(name) });
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn each_step_is_told_in_the_words_of_sd_notify() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let name = || path.clone().into_os_string();
        assert_eq!(said(name(), &manager, ServiceManager::ready), "READY=1\n");
        assert_eq!(said(name(), &manager, ServiceManager::stopping), "STOPPING=1\n");
        let reloading = said(name(), &manager, ServiceManager::reloading);
        assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    }

    #[test]
    fn an_abstract_name_is_known_by_its_sign() {
        let name = format!("circus-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        assert_eq!(said(format!("@{name}").into(), &manager, ServiceManager::ready), "READY=1\n");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        ServiceManager::default().ready();
        ServiceManager { socket: connect("/nowhere/notify".into()) }.stopping();
        assert!(connect(OsString::new()).is_none());
    }
}
