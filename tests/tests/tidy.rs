//! Rules of the house that the compiler does not know: what a room may name, which way uses point, how long a file is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use circus_tests::daemon::programs::workspace;

/// No file is longer; at 600 it should have been split.
const LONGEST: usize = 700;

/// Rooms that decide, and so touch nothing outside themselves.
const PURE: [&str; 8] = [
    "common/src/config",
    "common/src/protocol",
    "circusd/src/arbiter",
    "circusctl/src/render",
    "circus-plugin/src/plugins",
    "circus-stats/src/streamer",
    "circus-top/src/state",
    "circus-top/src/view",
];

/// What names a file, socket, clock, thread, process, random source or runtime.
const IMPURE: [&str; 22] = [
    "std::fs",
    "std::io::Read",
    "std::io::stdin",
    "std::io::stdout",
    "std::env",
    "std::thread",
    "std::process",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::os",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tracing",
    "rand",
    "libc",
    "nix",
    "rustix",
    "omq_tokio",
    // A generator with a seed is a value; one without asks the system.
    "fastrand::Rng::new",
];

/// A room and what it must not use: whatever stands above it.
const UPWARD: [(&str, &[&str]); 17] = [
    ("circus-plugin/src/plugins", &["runner", "host", "log", "cli"]),
    (
        "circusd/src/arbiter",
        &[
            "os",
            "stream",
            "helpers",
            "controller",
            "publisher",
            "daemon",
            "log",
            "discovery",
            "readiness",
            "check",
            "cli",
            "starter",
        ],
    ),
    ("circusd/src/stream", &["helpers", "controller", "publisher", "daemon", "log", "check", "cli"]),
    ("circusd/src/helpers", &["controller", "publisher", "daemon", "log", "check", "cli"]),
    (
        "circusd/src/os",
        &[
            "stream",
            "helpers",
            "controller",
            "publisher",
            "daemon",
            "log",
            "discovery",
            "readiness",
            "check",
            "cli",
        ],
    ),
    ("common/src/log", &["config", "protocol", "transport", "client", "consumer"]),
    ("common/src/os", &["protocol", "transport", "client", "consumer", "log"]),
    ("circus-stats/src/streamer", &["collector", "publisher", "sockets", "asking", "road", "program"]),
    ("circusd/src/controller", &["daemon", "publisher"]),
    ("circusd/src/publisher.rs", &["daemon"]),
    ("common/src/config", &["protocol", "transport", "client", "consumer", "files"]),
    ("common/src/protocol", &["transport", "client", "consumer", "files"]),
    ("common/src/transport.rs", &["client", "consumer", "protocol"]),
    ("circus-top/src/state", &["view", "input", "conn", "term", "live", "batch", "cli", "hosts"]),
    ("circus-top/src/view", &["input", "conn", "term", "live", "batch", "cli", "hosts"]),
    ("circus-top/src/conn", &["view", "input", "term", "live", "batch", "cli", "hosts"]),
    ("circusctl/src/render", &["runner", "shell", "ssh", "listen", "out", "completions"]),
];

/// One source file.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Its path below the root.
    fn name(&self) -> String {
        self.path.strip_prefix(workspace()).expect("it was found there").display().to_string()
    }

    fn is_in(&self, room: &str) -> bool {
        self.path.starts_with(workspace().join(room))
    }

    /// Whether all of it is tests.
    fn is_test(&self) -> bool {
        self.path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
    }

    /// The lines that run in the product: no comments, no unit tests.
    fn code(&self) -> String {
        let product = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = product.lines().map(|line| line.split("//").next().unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Every path it imports, written out, and its code.
    fn names(&self) -> String {
        let code = self.code();
        let imports =
            code.split("use ").skip(1).filter_map(|rest| rest.split(';').next()).flat_map(written_out);
        let imports = imports.collect::<Vec<_>>().join("\n");
        imports + "\n" + &code
    }
}

/// `std::{fs, io::{self, Write}}` as `std::fs`, `std::io`, `std::io::Write`.
fn written_out(tree: &str) -> Vec<String> {
    let tree = tree.split_whitespace().collect::<String>();
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree] };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for letter in inner.chars() {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        match (letter, parts.last_mut()) {
            (',', _) if depth == 0 => parts.push(String::new()),
            (_, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    let inner = parts.iter().filter(|part| !part.is_empty()).flat_map(|part| written_out(part));
    inner.map(|part| format!("{prefix}{part}").replace("::self", "")).collect()
}

/// Whether a text names that path, and not one that merely ends or goes on like it.
fn mentions(text: &str, path: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + path.len()..].chars();
        let next = after.next();
        // A word alone may be a name of ours: only a path or an import is meant.
        let is_path = path.contains("::") || next == Some(':') && after.next() == Some(':');
        let begins = !before.is_some_and(|letter| is_word(letter) || letter == ':' || letter == '.');
        begins && is_path && !next.is_some_and(is_word)
    })
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    gather(workspace(), &mut found);
    assert!(found.len() > 100, "the sources are not where they were");
    found
}

fn gather(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder of the workspace").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let hidden = name.to_str().is_none_or(|name| name.starts_with('.') || name == "target");
        if path.is_dir() && !hidden {
            gather(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            found.push(Source { path, text });
        }
    }
}

fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

#[test]
fn pure_rooms_name_nothing_outside_themselves() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test() && PURE.iter().any(|room| source.is_in(room)))
        .flat_map(|source| {
            let names = source.names();
            let impure = IMPURE.iter().filter(move |path| mentions(&names, path));
            impure.map(|path| format!("{} names {path}", source.name())).collect::<Vec<_>>()
        })
        .collect();
    assert_none("a pure room names no file, socket, clock, thread, random source or runtime", &broken);
}

#[test]
fn only_the_transport_names_the_zeromq_crate() {
    let named = sources().into_iter().filter(|source| mentions(&source.names(), "omq_tokio"));
    let named: Vec<String> =
        named.map(|source| source.name()).filter(|name| name != "common/src/transport.rs").collect();
    assert_none("only common/src/transport.rs names omq_tokio", &named);
}

#[test]
fn uses_point_one_way() {
    let all = sources();
    let broken: Vec<String> = UPWARD
        .iter()
        .flat_map(|(room, above)| {
            all.iter().filter(|source| source.is_in(room)).map(move |source| (source, above))
        })
        .filter(|(source, _)| !source.is_test())
        .flat_map(|(source, above)| {
            let names = source.names();
            let used =
                above.iter().filter(|room| mentions(&names, &format!("crate::{room}"))).collect::<Vec<_>>();
            used.into_iter().map(|room| format!("{} uses {room}", source.name())).collect::<Vec<_>>()
        })
        .collect();
    assert_none("a room uses only what stands below it", &broken);
}

#[test]
fn binaries_never_use_each_other() {
    let programs = ["circusd", "circusctl", "circus-plugin", "circus-stats", "circus-top"];
    let broken: Vec<String> = sources()
        .iter()
        .flat_map(|source| programs.iter().map(move |program| (source, *program)))
        .filter(|(source, program)| {
            let own = source.is_in(program);
            !own && programs.iter().any(|other| source.is_in(other))
                && mentions(&source.names(), &format!("{}::", program.replace('-', "_")))
        })
        .map(|(source, program)| format!("{} uses {program}", source.name()))
        .collect();
    assert_none("a binary uses circus-common and itself", &broken);
}

#[test]
fn unsafe_lives_with_the_system_calls() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|source| {
            !source.is_test()
                && !["circusd/src/os", "common/src/os", "bench"].iter().any(|room| source.is_in(room))
        })
        .filter(|source| source.code().contains("unsafe {"))
        .map(Source::name)
        .collect();
    assert_none("unsafe lives in the rooms called os", &broken);
}

#[test]
fn no_file_is_too_long() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.name()));
    let long: Vec<String> = long
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, name)| format!("{name} has {lines} lines"))
        .collect();
    assert_none("a file has one subject", &long);
}

#[test]
fn every_deliberate_fault_still_fits_the_core() {
    let faults = fs::read_dir(workspace().join("tests/mutants")).unwrap();
    let patches =
        faults.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("patch".as_ref()));
    let mut seen = 0;
    let stale = patches.filter(|patch| {
        seen += 1;
        let text = fs::read_to_string(patch).unwrap();
        let file = text.lines().find_map(|line| line.strip_prefix("--- a/")).unwrap();
        let core = fs::read_to_string(workspace().join(file)).unwrap();
        text.split("\n@@ ").skip(1).any(|hunk| {
            // What the core must have there: the lines around the fault, and those that it takes away.
            let old = hunk.lines().skip(1).filter_map(|line| line.strip_prefix([' ', '-']));
            !core.contains(&old.collect::<Vec<_>>().join("\n"))
        })
    });
    let stale: Vec<String> = stale.map(|patch| patch.display().to_string()).collect();
    assert_none("a fault of tests/mutants changes what is there", &stale);
    assert!(seen > 20, "{seen} faults");
}

#[test]
fn nothing_is_left_to_be_done_later() {
    // Put together here, so that this file does not name them itself.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["todo", "!("], ["unimplemented", "!("]]
        .map(|halves| halves.concat());
    let broken: Vec<String> = sources()
        .iter()
        .flat_map(|source| {
            let lines = source.text.lines().enumerate();
            let marked = lines.filter(|(_, line)| marks.iter().any(|mark| line.contains(mark.as_str())));
            marked
                .map(|(at, line)| format!("{}:{}: {}", source.name(), at + 1, line.trim()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_none("what is not done is not promised", &broken);
}

#[test]
fn imports_are_written_out_and_paths_recognised() {
    let all = written_out("std::{\n    fs,\n    io::{self, Write},\n    sync::Arc,\n}");
    assert_eq!(all, ["std::fs", "std::io", "std::io::Write", "std::sync::Arc"]);
    assert!(mentions("use tokio::time;", "tokio") && mentions("std::fs::read(x)", "std::fs"));
    assert!(
        !mentions("my_tokio::x", "tokio")
            && !mentions("let rand = 1;", "rand")
            && !mentions("std::fsync", "std::fs")
    );
}
