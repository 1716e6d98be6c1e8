use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::arbiter::{
    effect::{Output, SocketOrder, Stdin},
    id::WatcherId,
};

const WEB: ProcessId = ProcessId { generation: 1, watcher: WatcherId(0), wid: 7 };

fn spec() -> SpawnSpec {
    SpawnSpec {
        watcher: "web".to_owned(),
        argv: vec!["true".to_owned()],
        executable: None,
        env: Arc::new(BTreeMap::new()),
        working_dir: "/".to_owned(),
        uid: None,
        gid: None,
        rlimits: Vec::new(),
        stdin: Stdin::Null,
        sockets: SocketOrder::default(),
        stdout: Output::Null,
        stderr: Output::Null,
        stop_signal: Signal::INT,
        graceful_timeout: 2.5,
        keeps_orphans: false,
    }
}

fn open(dir: &tempfile::TempDir) -> Result<(SlotTable, Vec<Left>), SlotError> {
    SlotTable::open(&StateDir::At(dir.path().to_owned()), "tcp://127.0.0.1:5555")
}

#[test]
fn a_process_is_found_by_the_next_daemon_until_its_slot_is_cleared() {
    let dir = tempfile::tempdir().expect("made");
    let (table, left) = open(&dir).expect("opened");
    assert_eq!(left, []);
    let slot = table.take(WEB, &spec());
    table.about_to_spawn(slot, 90);
    // SAFETY: what the kernel does in a spawn: the place is a mapped atomic.
    unsafe { *table.pid_place(slot) = 4242 };
    table.spawned(slot, 99);
    drop(table);

    let (table, left) = open(&dir).expect("opened again");
    let wanted = Left {
        slot,
        pid: 4242,
        watcher: "web".to_owned(),
        wid: 7,
        start: Some(99),
        not_before: 90,
        exited: None,
        stop_signal: Signal::INT,
        grace_millis: 2500,
    };
    assert_eq!(left, [wanted]);
    assert_ne!(table.take(WEB, &spec()), slot, "what is left keeps its slot");
    table.clear(slot);
    drop(table);
    assert_eq!(open(&dir).expect("opened").1, []);
}

#[test]
fn a_second_daemon_on_the_endpoint_is_told_the_pid_of_the_first() {
    let dir = tempfile::tempdir().expect("made");
    let first = open(&dir).expect("opened");
    let refused = open(&dir).expect_err("locked").to_string();
    let wanted = format!("another circusd (pid {}) already runs on tcp://127.0.0.1:5555", std::process::id());
    assert_eq!(refused, wanted);
    drop(first);
    assert!(open(&dir).is_ok());
}

#[test]
fn a_full_table_still_gives_a_place_to_spawn_into() {
    let (table, _) = SlotTable::open(&StateDir::Nowhere, "").expect("memory");
    let mut last = 0;
    for _ in 0..CAPACITY + 3 * SPARE {
        last = table.take(WEB, &spec());
        assert!(!table.pid_place(last).is_null());
    }
    assert!(last >= CAPACITY);
}

#[test]
fn rubbish_in_the_file_is_an_empty_table() {
    let dir = tempfile::tempdir().expect("made");
    let path = dir.path().join(format!("state-{:016x}", directory::hash("tcp://127.0.0.1:5555")));
    std::fs::write(path, vec![0xa5; 300_000]).expect("written");
    assert_eq!(open(&dir).expect("opened").1, []);
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("made");
    drop(open(&dir).expect("opened"));
    let file = std::fs::read_dir(dir.path()).expect("listed").next().expect("one file").expect("readable");
    std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o666)).expect("set");
    assert!(matches!(open(&dir), Err(SlotError::Foreign { .. })));
    std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o600)).expect("set");
    assert!(open(&dir).is_ok());
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(file.path(), Some(65534), None).expect("given away");
        assert!(matches!(open(&dir), Err(SlotError::Foreign { .. })));
    }
}

#[test]
fn what_is_no_file_in_its_place_is_refused_at_once() {
    let dir = tempfile::tempdir().expect("made");
    let path = dir.path().join(format!("state-{:016x}", directory::hash("tcp://127.0.0.1:5555")));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).expect("made");
    assert!(matches!(open(&dir), Err(SlotError::Foreign { .. })));
}

#[test]
fn a_table_hardly_used_takes_hardly_any_memory() {
    let dir = tempfile::tempdir().expect("made");
    let (table, _) = open(&dir).expect("opened");
    table.clear(table.take(WEB, &spec()));
    table.empty();
    drop(table);
    drop(open(&dir).expect("opened"));
    let file = std::fs::read_dir(dir.path()).expect("listed").next().expect("one file").expect("readable");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("there"));
    assert!(blocks * 512 < 256 * 1024, "{blocks} blocks");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may run programs")]
fn a_child_that_a_killed_daemon_had_not_finished_does_not_keep_the_next_one_out() {
    use std::os::unix::{fs::FileExt, process::ExitStatusExt};
    let dir = tempfile::tempdir().expect("made");
    let (table, _) = open(&dir).expect("opened");
    let file = table.file.as_ref().expect("a file").try_clone().expect("cloned");
    let mut heir = std::process::Command::new("sleep").arg("1000").stdin(file).spawn().expect("run");
    let mut other = std::process::Command::new("sleep").arg("1000").spawn().expect("run");
    let (first, second) = (table.take(WEB, &spec()), table.take(WEB, &spec()));
    // SAFETY: what the kernel does in a spawn: the places are mapped atomics.
    unsafe { *table.pid_place(first) = heir.id().cast_signed() };
    // SAFETY: as above.
    unsafe { *table.pid_place(second) = other.id().cast_signed() };
    let mut dead = std::process::Command::new("true").spawn().expect("run");
    dead.wait().expect("ended");
    let daemon = std::mem::offset_of!(Head, daemon) as u64;
    table.file.as_ref().expect("a file").write_all_at(&dead.id().to_ne_bytes(), daemon).expect("written");
    drop(table);

    let (_table, left) = open(&dir).expect("the lock is had");
    assert_eq!(heir.wait().expect("ended").signal(), Some(Signal::KILL.number()));
    assert_eq!(other.try_wait().expect("looked"), None, "who has not got the table is left alone");
    assert_eq!(left.len(), 2);
    other.kill().expect("killed");
    other.wait().expect("ended");
}
