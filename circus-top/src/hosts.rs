//! Short names for daemons.

use circus_common::config::endpoint::Endpoint;

use crate::conn::Address;

/// A name for each daemon: its machine, or all of its endpoint where two are on one machine.
#[must_use]
pub fn labels(addresses: &[Address], here: &str) -> Vec<String> {
    let names: Vec<String> = addresses.iter().map(|address| machine(address, here)).collect();
    let is_taken = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
    let label = |(address, name): (&Address, &String)| {
        if is_taken(name) { format!("{name} {}", place(&address.stats)) } else { name.clone() }
    };
    addresses.iter().zip(&names).map(label).collect()
}

fn machine(address: &Address, here: &str) -> String {
    if let Some(server) = &address.ssh {
        let host = server.rsplit_once('@').map_or(server.as_str(), |(_, host)| host);
        return host.split(':').next().unwrap_or(host).to_owned();
    }
    if address.stats.is_loopback() {
        return here.to_owned();
    }
    let text = address.stats.to_string();
    let host = text.trim_start_matches("tcp://");
    host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned()
}

/// What tells two endpoints of one machine apart.
fn place(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp { port, .. } => format!(":{port}"),
        Endpoint::Ipc { path } => path.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_is_called_by_its_machine() {
        let address = |stats: &str, ssh: Option<&str>| Address {
            stats: stats.parse().unwrap(),
            control: None,
            environment: None,
            ssh: ssh.map(str::to_owned),
        };
        let one = [address("tcp://127.0.0.1:5557", None), address("tcp://web1:5557", None)];
        assert_eq!(labels(&one, "desk"), ["desk", "web1"]);
        let two = [
            address("tcp://127.0.0.1:1", None),
            address("ipc:///run/s", None),
            address("tcp://127.0.0.1:1", Some("joe@db:22")),
        ];
        assert_eq!(labels(&two, "desk"), ["desk :1", "desk /run/s", "db"]);
    }
}
