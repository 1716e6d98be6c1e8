//! What is read of a process once, and then rarely: each of these costs several system calls.

use std::{fs, io::Read};

use circus_common::os::procfs;

use super::machine::Machine;

/// No more of a file is read.
const PIECE: usize = 4096;

/// What is read rarely; without what we may not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rare {
    /// The name of its user.
    pub user: Option<String>,
    /// The base name of its program.
    pub program: Option<String>,
    /// Resident memory in pages, added up with care.
    pub resident: Option<u64>,
    /// How many descriptors it has open.
    pub descriptors: Option<u64>,
    /// Bytes it has caused to be read from and written to storage.
    pub traffic: Option<(u64, u64)>,
}

impl Rare {
    /// Looks now.
    pub(super) fn read(pid: i32, machine: &mut Machine) -> Self {
        let user = piece(pid, "status").and_then(|text| real_user(&text));
        Self {
            user: user.map(|uid| machine.user_name(uid)),
            program: piece(pid, "cmdline").and_then(|line| program(&line)),
            resident: procfs::resident(pid),
            descriptors: descriptors(pid),
            traffic: piece(pid, "io").and_then(|text| traffic(&text)),
        }
    }
}

fn piece(pid: i32, name: &str) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(PIECE);
    let file = fs::File::open(format!("/proc/{pid}/{name}")).ok()?;
    file.take(PIECE as u64).read_to_end(&mut text).ok()?;
    Some(text)
}

/// The number of the user who runs it, whatever it may do beyond that: what psutil shows.
fn real_user(status: &[u8]) -> Option<u32> {
    value(status, "Uid:")?.split_ascii_whitespace().next()?.parse().ok()
}

/// The base name of the first word of `argv[0]`.
fn program(line: &[u8]) -> Option<String> {
    let first = line.split(|byte| *byte == 0).next()?;
    let first = String::from_utf8_lossy(first);
    let word = first.split_whitespace().next()?;
    let name = word.rsplit('/').next().unwrap_or(word);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The size of the folder is their number since Linux 6.2; before, they are counted, where that is allowed.
fn descriptors(pid: i32) -> Option<u64> {
    let folder = format!("/proc/{pid}/fd");
    match fs::metadata(&folder).ok()?.len() {
        0 => Some(fs::read_dir(&folder).ok()?.count() as u64),
        count => Some(count),
    }
}

fn traffic(io: &[u8]) -> Option<(u64, u64)> {
    let number = |name| value(io, name)?.trim().parse().ok();
    Some((number("read_bytes:")?, number("write_bytes:")?))
}

/// What follows a name at the beginning of a line.
fn value<'t>(text: &'t [u8], name: &str) -> Option<&'t str> {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.find_map(|line| str::from_utf8(line.strip_prefix(name.as_bytes())?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_proc_are_read() {
        assert_eq!(real_user(b"Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t5\n"), Some(1000));
        assert_eq!(real_user(b"Name:\tUid:\n"), None);
        let io = b"rchar: 9\nwchar: 8\nread_bytes: 4096\nwrite_bytes: 12\ncancelled_write_bytes: 1\n";
        assert_eq!(traffic(io), Some((4096, 12)));
        assert_eq!(traffic(b"rchar: 9\nread_bytes: x\n"), None);
    }

    #[test]
    fn the_program_is_the_base_name_of_the_first_word() {
        for (line, name) in [
            (&b"/usr/bin/python3\0-c\0x\0"[..], Some("python3")),
            (b"nginx: master process /usr/sbin/nginx\0", Some("nginx:")),
            (b"sh\0", Some("sh")),
            (b"", None),
            (b"\0\0", None),
            (b"/\0", None),
            (b"\xff\0", Some("\u{fffd}")),
        ] {
            assert_eq!(program(line).as_deref(), name);
        }
    }

    #[test]
    fn this_process_shows_all_of_it() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let rare = Rare::read(pid, &mut Machine::look());
        assert!(rare.user.is_some() && rare.program.is_some(), "{rare:?}");
        assert!(rare.descriptors.is_some_and(|count| count > 2), "{rare:?}");
        assert_eq!(Rare::read(i32::MAX, &mut Machine::look()), Rare::default());
    }
}
