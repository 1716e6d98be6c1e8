//! The pid file between processes: of those that start at the same moment one wins, and a killed owner leaves it.
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::disallowed_methods, reason = "a test may run programs")]

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
};

use circusd::os::pidfile::Pidfile;

/// Names the file for a process that is to take it.
const MARKER: &str = "CIRCUS_TEST_PIDFILE";

/// A process that takes the file, says whether it has it, and keeps it until its stdin ends. It is this program
/// again, running the one test below that is none.
fn contender(path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "takes_the_file_when_told_to", "--nocapture"])
        .env(MARKER, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a contender says of itself.
fn verdict(child: &mut Child) -> String {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
    let told = |line: String| line.split_once("verdict: ").map(|(_, text)| text.to_owned());
    lines.filter_map(told).next().unwrap()
}

#[test]
fn takes_the_file_when_told_to() {
    let Some(path) = env::var_os(MARKER) else { return };
    let taken = Pidfile::create(Path::new(&path));
    match &taken {
        Ok(_) => println!("verdict: mine"),
        Err(error) => println!("verdict: {error}"),
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn of_many_that_start_at_once_one_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("circusd.pid");
    let mut children: Vec<_> = (0..8).map(|_| contender(&path)).collect();
    let verdicts: Vec<_> = children.iter_mut().map(verdict).collect();
    let winners: Vec<_> = (0..8).filter(|index| verdicts[*index] == "mine").collect();
    assert_eq!(winners.len(), 1, "{verdicts:?}");
    let named = std::fs::read_to_string(&path).unwrap();
    assert_eq!(named, format!("{}\n", children[winners[0]].id()));
    let refused = verdicts.iter().filter(|text| text.contains("is stale, current pid")).count();
    assert_eq!(refused, 7, "{verdicts:?}");
    for mut child in children {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    assert!(!path.exists());
}

#[test]
fn a_killed_owner_leaves_a_file_that_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("circusd.pid");
    let mut first = contender(&path);
    assert_eq!(verdict(&mut first), "mine");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(path.exists());
    let mut second = contender(&path);
    assert_eq!(verdict(&mut second), "mine");
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
}

#[test]
fn a_locked_file_is_taken_even_if_it_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("circusd.pid");
    let mut first = contender(&path);
    assert_eq!(verdict(&mut first), "mine");
    std::fs::write(&path, "").unwrap();
    let mut second = contender(&path);
    assert!(verdict(&mut second).contains("is stale, current pid"));
    for mut child in [first, second] {
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
