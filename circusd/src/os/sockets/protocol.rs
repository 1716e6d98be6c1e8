//! Protocols by name: what `/etc/protocols` says, and the usual ones where a container has no such file.

use std::fs;

/// The ones a socket is ever made with.
const USUAL: [(&str, u32); 9] = [
    ("ip", 0),
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6-icmp", 58),
    ("sctp", 132),
    ("udplite", 136),
    ("raw", 255),
    ("mptcp", 262),
];

/// The number of a protocol, by name, alias or number.
pub fn number(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let listed = fs::read_to_string("/etc/protocols").unwrap_or_default();
    let usual =
        || USUAL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
    listed.lines().find_map(|line| in_line(line, name)).or_else(usual)
}

/// `tcp 6 TCP # comment`.
fn in_line(line: &str, name: &str) -> Option<u32> {
    let mut words = line.split('#').next()?.split_ascii_whitespace();
    let (official, number) = (words.next()?, words.next()?);
    let known = official == name || words.any(|alias| alias == name);
    if known { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aliases_and_numbers_are_known() {
        assert_eq!(in_line("tcp\t6\tTCP\t# transmission control", "TCP"), Some(6));
        assert_eq!(in_line("# tcp 6", "tcp"), None);
        assert_eq!((number("udp"), number("17"), number("no-such")), (Some(17), Some(17), None));
    }
}
