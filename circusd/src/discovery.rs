//! Tells whoever asks by multicast where the control endpoint is.
//!
//! Any datagram is a question. Only askers on loopback are answered, unless remote clients are allowed.
//! A daemon without it works as well: what goes wrong here is a warning.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddrV4},
};

use circus_common::protocol::json;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use serde_json::json;
use tokio::{
    net::UdpSocket,
    task::{JoinHandle, yield_now},
};

/// As far as multicast goes.
const TTL: u32 = 255;
/// The longest question that is looked at; what is in it does not matter.
const QUESTION: usize = 1024;

/// The responder. It ends with this value.
#[derive(Debug)]
pub struct Discovery(JoinHandle<()>);

/// Why there is none. The text is meant for the log.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// `multicast_endpoint` is no address.
    #[error("Multicast discovery is disabled: `{0}` is not udp://GROUP:PORT with a multicast group")]
    Address(String),
    /// The system refused.
    #[error("Multicast discovery is disabled: cannot {step}: {reason}")]
    System {
        /// What was to be done.
        step: &'static str,
        /// Why it could not.
        reason: io::Error,
    },
}

impl Discovery {
    /// Joins the group of `multicast_endpoint` and answers with `endpoint`. `None` when it is switched off.
    ///
    /// # Errors
    /// When the address is none, or the port or the group cannot be had. The daemon goes on without.
    pub fn start(
        multicast_endpoint: &str,
        endpoint: &str,
        allow_remote: bool,
    ) -> Result<Option<Self>, DiscoveryError> {
        if multicast_endpoint.is_empty() {
            return Ok(None);
        }
        let address = parse(multicast_endpoint)
            .ok_or_else(|| DiscoveryError::Address(multicast_endpoint.to_owned()))?;
        let socket = open(address)?;
        let answer = json::to_bytes(&json!({ "endpoint": endpoint }));
        Ok(Some(Self(tokio::spawn(respond(socket, answer, allow_remote)))))
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn parse(text: &str) -> Option<SocketAddrV4> {
    let address: SocketAddrV4 = text.strip_prefix("udp://")?.parse().ok()?;
    address.ip().is_multicast().then_some(address)
}

fn open(group: SocketAddrV4) -> Result<UdpSocket, DiscoveryError> {
    let failed = |step| move |reason: io::Error| DiscoveryError::System { step, reason };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)
        .map_err(io::Error::from)
        .map_err(failed("make a socket"))?;
    // Several daemons of one machine may share the port.
    let shared = sockopt::set_socket_reuseaddr(&socket, true)
        .and_then(|()| sockopt::set_socket_reuseport(&socket, true));
    shared.map_err(io::Error::from).map_err(failed("share the port"))?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, group.port());
    bind(&socket, &any).map_err(io::Error::from).map_err(failed("bind the port"))?;
    let socket = UdpSocket::from_std(socket.into()).map_err(failed("use the socket"))?;
    let joined = socket.join_multicast_v4(*group.ip(), Ipv4Addr::UNSPECIFIED);
    // A machine without a network still has loopback.
    let on_loopback = socket.join_multicast_v4(*group.ip(), Ipv4Addr::LOCALHOST);
    joined.or(on_loopback).map_err(failed("join the group"))?;
    socket.set_multicast_ttl_v4(TTL).map_err(failed("set the reach"))?;
    Ok(socket)
}

async fn respond(socket: UdpSocket, answer: Vec<u8>, allow_remote: bool) {
    let mut question = [0; QUESTION];
    loop {
        // An error stands for an earlier answer that nobody took (ICMP): the socket goes on.
        if let Ok((_, asker)) = socket.recv_from(&mut question).await
            && may_ask(asker.ip(), allow_remote)
        {
            // A lost answer is as a lost question: the asker asks again.
            let _ = socket.try_send_to(&answer, asker);
        }
        yield_now().await;
    }
}

const fn may_ask(asker: IpAddr, allow_remote: bool) -> bool {
    allow_remote || asker.is_loopback()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn only_multicast_groups_are_taken() {
        assert!(parse("udp://237.219.251.97:12027").is_some());
        for text in ["237.219.251.97:12027", "udp://127.0.0.1:5", "udp://237.219.251.97", "tcp://237.0.0.1:5"]
        {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_loopback_may_ask_unless_remote_clients_are_allowed() {
        let (near, far) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        assert!(may_ask(near, false) && may_ask(near, true) && may_ask(far, true));
        assert!(!may_ask(far, false));
    }

    #[tokio::test]
    async fn an_empty_datagram_is_answered_with_the_endpoint() {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let group = format!("udp://237.219.251.97:{port}");
        let _responder = match Discovery::start(&group, "tcp://127.0.0.1:5555", false) {
            Ok(responder) => responder.expect("switched on"),
            // No multicast route here: that it is only a warning is what counts.
            Err(warning) => {
                return assert!(warning.to_string().starts_with("Multicast discovery is disabled"));
            }
        };
        let asker = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        asker.send_to(b"", ("127.0.0.1", port)).await.unwrap();
        let mut answer = [0; 200];
        let (length, _) =
            timeout(Duration::from_secs(5), asker.recv_from(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer[..length], br#"{"endpoint": "tcp://127.0.0.1:5555"}"#);
    }

    #[tokio::test]
    async fn an_empty_address_switches_it_off() {
        assert!(Discovery::start("", "tcp://127.0.0.1:5555", false).unwrap().is_none());
        assert!(Discovery::start("nonsense", "tcp://127.0.0.1:5555", false).is_err());
    }
}
