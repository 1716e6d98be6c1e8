//! Connections that are open on managed sockets, as the kernel lists them in `/proc/net`.
//!
//! Whoever accepted them holds them; circusd cannot count them otherwise. Read on a thread of its own.

use std::{collections::BTreeSet, fs, sync::Arc};

use super::managed::{Bound, Managed};

/// How many connections are open on these sockets, those that nobody has accepted yet included.
pub fn open_connections(sockets: &[Arc<Managed>]) -> usize {
    let mut ports = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for socket in sockets {
        match &socket.bound {
            Bound::Inet(address) => {
                ports.insert(address.port());
            }
            Bound::Unix { path, file } => {
                let at = file.as_ref().map_or(path, |file| &file.at);
                paths.insert(at.display().to_string());
            }
        }
    }
    let read = |name: &str| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let mut count = 0;
    if !ports.is_empty() {
        for name in ["tcp", "tcp6"] {
            count += read(name).lines().filter(|line| is_open_tcp(line, &ports)).count();
        }
    }
    if !paths.is_empty() {
        count += read("unix").lines().filter(|line| is_open_unix(line, &paths)).count();
    }
    count
}

/// `1: 0100007F:1F90 0200007F:D431 01 ...`: established, or closed by the client only.
fn is_open_tcp(line: &str, ports: &BTreeSet<u16>) -> bool {
    let mut words = line.split_ascii_whitespace().skip(1);
    let port = words.next().and_then(|local| u16::from_str_radix(local.rsplit(':').next()?, 16).ok());
    port.is_some_and(|port| ports.contains(&port)) && matches!(words.nth(1), Some("01" | "08"))
}

/// `0000000000000000: 00000003 00000000 00000000 0001 03 63123 /run/web.sock`: connected.
fn is_open_unix(line: &str, paths: &BTreeSet<String>) -> bool {
    let words: Vec<&str> = line.splitn(8, ' ').collect();
    let [_, _, _, _, _, "03", _, rest] = words.as_slice() else { return false };
    // The inode is padded with blanks.
    let path = rest.trim_start().split_once(' ').map_or(*rest, |(number, path)| {
        if number.bytes().all(|byte| byte.is_ascii_digit()) { path } else { rest }
    });
    paths.contains(path.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_connections_are_told_by_local_port_and_state() {
        let ports = BTreeSet::from([8080]);
        for (line, open) in [
            ("   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0", true),
            ("   1: 0100007F:1F90 0100007F:D431 08 00000000:00000000 00:00000000 00000000     0", true),
            ("   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0", false),
            ("   1: 0100007F:1F90 0100007F:D431 06 00000000:00000000 00:00000000 00000000     0", false),
            ("   1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0", false),
            ("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid", false),
            ("   2: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:AA 01 0", true),
        ] {
            assert_eq!(is_open_tcp(line, &ports), open, "{line}");
        }
    }

    #[test]
    fn unix_connections_are_told_by_path_and_state() {
        let paths = BTreeSet::from(["/run/a b".to_owned()]);
        for (line, open) in [
            ("0000000000000000: 00000003 00000000 00000000 0001 03 63123 /run/a b", true),
            ("0000000000000000: 00000003 00000000 00000000 0001 03   123 /run/a b", true),
            ("0000000000000000: 00000002 00000000 00010000 0001 01 63123 /run/a b", false),
            ("0000000000000000: 00000003 00000000 00000000 0001 03 63123 /run/a", false),
            ("0000000000000000: 00000003 00000000 00000000 0001 03 63123", false),
        ] {
            assert_eq!(is_open_unix(line, &paths), open, "{line}");
        }
    }
}
