//! The whole plane, with real pipes and real files.

use std::{
    fs,
    io::{self, PipeWriter, Read, Write},
    os::unix::{fs::OpenOptionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};

use circus_common::{config::stream::StreamConfig, protocol::Reply};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    super::{Answer, Channel, LogsQuestion, Order, Orders, Streams},
    Moment,
};
use crate::arbiter::id::{ProcessId, RequestId, WatcherId};

const WEB: WatcherId = WatcherId(1);
const API: WatcherId = WatcherId(2);
const PATIENCE: Duration = Duration::from_secs(60);

/// A plane, a directory, and what the plane has said.
struct Rig {
    streams: Streams,
    orders: Orders,
    dir: tempfile::TempDir,
    attached: u64,
}

fn config(options: &Value) -> Box<StreamConfig> {
    let members = options.as_object().unwrap();
    let members = members.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Box::new(StreamConfig::read(&members).unwrap())
}

impl Rig {
    fn new() -> Self {
        let streams = Streams::start().unwrap();
        let (orders, dir) = (streams.orders(), tempfile::tempdir().unwrap());
        Self { streams, orders, dir, attached: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configure(&self, watcher: WatcherId, options: &Value) {
        let (name, channel) = (format!("w{}", watcher.0), Channel::Stdout);
        self.orders.give(Order::Configure { watcher, name, channel, config: Some(config(options)) });
    }

    fn file(&self, watcher: WatcherId, name: &str) -> PathBuf {
        let path = self.path(name);
        self.configure(watcher, &json!({"filename": path.to_str().unwrap()}));
        path
    }

    fn attach(&mut self, watcher: WatcherId) -> (ProcessId, PipeWriter) {
        let (pipe, write) = io::pipe().unwrap();
        self.attached += 1;
        let process = ProcessId { generation: self.attached, watcher, wid: 1 };
        let (pid, channel) = (i32::try_from(self.attached).unwrap(), Channel::Stdout);
        self.orders.give(Order::Attach { process, pid, channel, pipe: pipe.into() });
        (process, write)
    }

    fn ask(&self, watcher: WatcherId, after: Option<u64>, max: usize, wait: f64) {
        let channels = vec![Channel::Stdout, Channel::Stderr];
        let question = LogsQuestion { watcher, channels, after, max, wait };
        self.orders.give(Order::Logs { request: RequestId(7), question });
    }

    /// The next answer.
    fn answer(&mut self) -> Option<Answer> {
        self.streams.answers.blocking_recv()
    }

    /// The answer to what was asked: its texts and the whole.
    fn logs(&mut self) -> (Vec<String>, Value) {
        loop {
            match self.answer().expect("the plane lives") {
                Answer::Logs { request, reply: Reply::Ok(members) } => {
                    assert_eq!(request, RequestId(7));
                    let texts = members["lines"].as_array().unwrap();
                    let texts = texts.iter().map(|line| line["text"].as_str().unwrap().to_owned());
                    return (texts.collect(), Value::Object(members));
                }
                Answer::Logs { .. } | Answer::Note { .. } | Answer::BridgeWanted { .. } => {}
            }
        }
    }

    /// Waits for a note that says this.
    fn noted(&mut self, part: &str) -> String {
        loop {
            if let Answer::Note { text, .. } = self.answer().expect("the plane lives")
                && text.contains(part)
            {
                return text;
            }
        }
    }

    /// Ends the plane; when it has ended everything is written. What it had to say meanwhile.
    fn end(&mut self) -> Vec<String> {
        self.orders.give(Order::End);
        let mut notes = Vec::new();
        while let Some(answer) = self.answer() {
            if let Answer::Note { text, .. } = answer {
                notes.push(text);
            }
        }
        notes
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Looks until it is so.
fn wait_for(what: &str, so: impl Fn() -> bool) {
    let begun = Moment::now().mono;
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come about");
        std::thread::yield_now();
    }
}

/// A named pipe that nobody reads yet.
fn named_pipe(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

fn open_to_read(path: &Path) -> fs::File {
    fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap()
}

/// Writes lines until the pipe is full; how many went in.
fn flood(write: &PipeWriter) -> u64 {
    rustix::io::ioctl_fionbio(write, true).unwrap();
    let mut lines = 0;
    let mut refused = 0;
    // It may be full for a moment only: the plane has to leave it full.
    while refused < 2000 {
        let line = format!("{lines:099}\n");
        match rustix::io::write(write, line.as_bytes()) {
            Ok(length) => {
                assert_eq!(length, line.len());
                (lines, refused) = (lines + 1, 0);
            }
            Err(_) => {
                refused += 1;
                std::thread::yield_now();
            }
        }
    }
    lines
}

#[test]
fn what_processes_write_is_in_their_file_at_the_end() {
    let mut rig = Rig::new();
    let path = rig.file(WEB, "log");
    let (_, mut one) = rig.attach(WEB);
    one.write_all(b"first\nsecond\nunfin").unwrap();
    drop(one);
    wait_for("the end of the first", || read(&path).ends_with("unfin"));
    let (_, mut two) = rig.attach(WEB);
    two.write_all(b"third\n").unwrap();
    assert_eq!(rig.end(), Vec::<String>::new());
    // The line of one process is not glued to that of another.
    assert_eq!(read(&path), "first\nsecond\nunfin\nthird\n");
}

#[test]
fn an_unfinished_line_is_passed_on_after_a_second() {
    let mut rig = Rig::new();
    rig.configure(WEB, &json!({"class": "QueueStream"}));
    let (_, mut write) = rig.attach(WEB);
    write.write_all(b"password: ").unwrap();
    rig.ask(WEB, None, 10, 30.0);
    assert_eq!(rig.logs().0, ["password: "]);
}

#[test]
fn forgetting_a_process_takes_what_it_has_written_and_lets_go() {
    let mut rig = Rig::new();
    let path = rig.file(WEB, "log");
    let (process, mut write) = rig.attach(WEB);
    write.write_all(b"last words\n").unwrap();
    rig.orders.give(Order::Forget { process });
    // Somebody else still holds the pipe, and finds nobody at the other end.
    wait_for("a closed pipe", || rustix::io::write(&write, b"").is_err() || is_closed(&write));
    rig.end();
    assert_eq!(read(&path), "last words\n");
}

fn is_closed(write: &PipeWriter) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut ready = [PollFd::new(write, PollFlags::OUT)];
    poll(&mut ready, Some(&Timespec::default())).unwrap();
    ready[0].revents().contains(PollFlags::ERR)
}

#[test]
fn a_released_process_writes_on_into_the_sink_it_had() {
    let mut rig = Rig::new();
    let path = rig.file(WEB, "log");
    let (process, mut write) = rig.attach(WEB);
    write.write_all(b"one\n").unwrap();
    rig.orders.give(Order::Release { process });
    rig.orders.give(Order::Remove { watcher: WEB });
    write.write_all(b"two\n").unwrap();
    drop(write);
    wait_for("both lines", || read(&path) == "one\ntwo\n");
    rig.end();
}

#[test]
fn a_changed_stream_goes_elsewhere_and_what_was_unwritten_where_it_belongs() {
    let mut rig = Rig::new();
    let old = rig.file(WEB, "old");
    let (_, mut write) = rig.attach(WEB);
    write.write_all(b"one\n").unwrap();
    wait_for("the first line", || read(&old) == "one\n");
    let new = rig.file(WEB, "new");
    rig.ask(WEB, None, 0, 0.0);
    rig.logs();
    write.write_all(b"two\n").unwrap();
    rig.end();
    assert_eq!((read(&old).as_str(), read(&new).as_str()), ("one\n", "two\n"));
}

#[test]
fn options_of_the_same_file_change_in_place() {
    let mut rig = Rig::new();
    let path = rig.file(WEB, "log");
    let (_, mut write) = rig.attach(WEB);
    write.write_all(b"one\n").unwrap();
    wait_for("the first line", || read(&path) == "one\n");
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap(), "time_format": "T"}));
    rig.ask(WEB, None, 0, 0.0);
    rig.logs();
    write.write_all(b"two\n").unwrap();
    assert_eq!(rig.end(), Vec::<String>::new());
    assert_eq!(read(&path), "one\nT [1] | two\n");
}

#[test]
fn old_files_are_compressed_while_output_goes_on() {
    let mut rig = Rig::new();
    let path = rig.path("log");
    let options =
        json!({"filename": path.to_str().unwrap(), "max_bytes": 1000, "backup_count": 3, "compress": true});
    rig.configure(WEB, &options);
    let (_, mut write) = rig.attach(WEB);
    let lines: String = (0..30).map(|line| format!("{line:099}\n")).collect();
    write.write_all(lines.as_bytes()).unwrap();
    wait_for("compressed files", || (1..=3).all(|number| rig.path(&format!("log.{number}.gz")).exists()));
    assert_eq!(rig.end(), Vec::<String>::new());
    assert!(!rig.path("log.1").exists() && lines.ends_with(&read(&path)));
}

#[test]
fn watchers_share_the_sink_of_one_file_and_are_told_if_they_differ() {
    let mut rig = Rig::new();
    let path = rig.file(WEB, "log");
    rig.configure(API, &json!({"filename": path.to_str().unwrap(), "time_format": "T"}));
    let text = rig.noted("shares");
    assert!(
        text.starts_with("stdout_stream of w2 shares `") && text.contains("stdout_stream of w1"),
        "{text}"
    );
    let (_, mut one) = rig.attach(WEB);
    let (_, mut two) = rig.attach(API);
    one.write_all(b"a\n").unwrap();
    two.write_all(b"b\n").unwrap();
    rig.end();
    let text = read(&path);
    assert!(text == "a\nb\n" || text == "b\na\n", "{text}");
}

#[test]
fn a_stopped_watcher_closes_its_file_and_a_started_one_opens_it() {
    let mut rig = Rig::new();
    let path = rig.file(WEB, "log");
    let is_open = || {
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
        descriptors.into_iter().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == path))
    };
    wait_for("an open file", is_open);
    rig.orders.give(Order::Close { watcher: WEB });
    wait_for("a closed file", || !is_open());
    rig.orders.give(Order::Open { watcher: WEB });
    wait_for("an open file", is_open);
    rig.end();
    assert!(!is_open());
}

#[test]
fn a_sink_that_takes_nothing_holds_up_its_own_stream_only() {
    let mut rig = Rig::new();
    let slow = rig.path("slow");
    named_pipe(&slow);
    let mut reader = open_to_read(&slow);
    rig.configure(WEB, &json!({"filename": slow.to_str().unwrap()}));
    let fine = rig.file(API, "fine");
    let (_, held_up) = rig.attach(WEB);
    let lines = flood(&held_up);
    let (_, mut write) = rig.attach(API);
    write.write_all(b"not held up\n").unwrap();
    wait_for("a line of the other stream", || read(&fine) == "not held up\n");
    // When it is read, everything comes.
    drop(held_up);
    rig.orders.give(Order::End);
    let mut all = Vec::new();
    while rig.streams.answers.try_recv() != Err(tokio::sync::mpsc::error::TryRecvError::Disconnected) {
        let mut buffer = [0; 65_536];
        if let Ok(length) = reader.read(&mut buffer) {
            all.extend_from_slice(&buffer[..length]);
        }
    }
    let _empty = reader.read_to_end(&mut all);
    let wanted: String = (0..lines).map(|line| format!("{line:099}\n")).collect();
    assert!(all == wanted.as_bytes(), "{} of {} bytes came", all.len(), wanted.len());
}

#[test]
fn output_waits_for_a_place_that_is_away_and_goes_on_with_it() {
    let mut rig = Rig::new();
    let path = rig.path("pipe");
    named_pipe(&path);
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap()}));
    let (_, mut write) = rig.attach(WEB);
    write.write_all(b"one\n").unwrap();
    let text = rig.noted("cannot write stdout_stream of w1");
    assert!(text.ends_with("; its output waits until that works again"), "{text}");
    let mut reader = open_to_read(&path);
    rig.noted("stdout_stream of w1 goes on");
    write.write_all(b"two\n").unwrap();
    drop(write);
    rig.end();
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert_eq!(all, "one\ntwo\n");
}

#[test]
fn a_line_whose_rest_waits_for_room_is_not_cut() {
    const LINES: usize = 200;
    let mut rig = Rig::new();
    let path = rig.path("pipe");
    named_pipe(&path);
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap(), "format": "json"}));
    rig.configure(API, &json!({"class": "QueueStream"}));
    let (_, mut write) = rig.attach(WEB);
    // Reads end within lines of this length.
    let line = "x".repeat(7000);
    let text = format!("{line}\n").repeat(LINES);
    let writer = std::thread::spawn(move || write.write_all(text.as_bytes()).unwrap());
    rig.noted("its output waits");
    // Longer than an unfinished line is held.
    rig.ask(API, None, 1, 2.0);
    rig.logs();
    let reader = std::thread::spawn(move || fs::read_to_string(&path).unwrap());
    writer.join().unwrap();
    rig.end();
    let all = reader.join().unwrap();
    let whole = all.lines().filter(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["message"].as_str().unwrap().len() == 7000
    });
    assert_eq!((whole.count(), all.lines().count()), (LINES, LINES));
}

#[test]
fn all_who_write_to_a_slow_place_get_their_turn() {
    const PROCESSES: usize = 5;
    const TAKEN: usize = 16 * 1024 * 1024;
    let mut rig = Rig::new();
    let path = rig.path("pipe");
    named_pipe(&path);
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap()}));
    for number in 0..PROCESSES {
        let (_, mut write) = rig.attach(WEB);
        let lines = format!("{number:099}\n").repeat(100);
        // Until the plane is gone.
        std::thread::spawn(move || while write.write_all(lines.as_bytes()).is_ok() {});
    }
    let mut lines = vec![0; TAKEN];
    fs::File::open(&path).unwrap().read_exact(&mut lines).unwrap();
    let mut shares = [0; PROCESSES];
    for line in lines.chunks_exact(100) {
        shares[usize::from(line[98] - b'0')] += 100;
    }
    assert!(shares.iter().all(|share| *share > TAKEN / PROCESSES / 10), "{shares:?}");
}

#[test]
fn a_full_disk_is_told_once_and_loses_nothing() {
    let mut rig = Rig::new();
    let Some(disk) = Disk::mount(&rig.path("disk")) else { return };
    let filler = disk.0.join("filler");
    fs::write(&filler, vec![0; 60 * 1024]).unwrap();
    let path = rig.file(WEB, "disk/log");
    let (_, mut write) = rig.attach(WEB);
    let lines: String = (0..400).map(|line| format!("{line:099}\n")).collect();
    write.write_all(lines.as_bytes()).unwrap();
    let text = rig.noted("No space left");
    assert!(text.contains("its output waits"), "{text}");
    fs::remove_file(&filler).unwrap();
    rig.noted("goes on");
    assert_eq!(rig.end(), Vec::<String>::new());
    assert!(read(&path) == lines, "every line is there, whole and once");
}

#[test]
fn a_formatted_line_that_met_a_full_disk_is_written_without_another_one() {
    let mut rig = Rig::new();
    let Some(disk) = Disk::mount(&rig.path("disk")) else { return };
    let path = rig.path("disk/log");
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap(), "time_format": "T"}));
    wait_for("the file", || path.exists());
    let filler = disk.0.join("filler");
    assert!(fs::write(&filler, vec![0; 80 * 1024]).is_err());
    let (process, mut write) = rig.attach(WEB);
    write.write_all(b"one\ntwo\n").unwrap();
    rig.noted("No space left");
    // The watcher stops, and its stream changes; that loses nothing either.
    rig.orders.give(Order::Forget { process });
    rig.orders.give(Order::Close { watcher: WEB });
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap(), "time_format": "other"}));
    fs::remove_file(&filler).unwrap();
    wait_for("both lines", || read(&path) == "T [1] | one\nT [1] | two\n");
}

/// A disk of 64 KiB.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let to = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let (kind, options) = (c"tmpfs", c"size=64k");
        // SAFETY: all pointers are to texts that end in a NUL byte and outlive the call.
        let mounted =
            unsafe { libc::mount(kind.as_ptr(), to.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) };
        if mounted != 0 {
            assert_ne!(std::env::var("CIRCUS_TESTS_REQUIRE").as_deref(), Ok("all"), "needs to mount");
            println!("SKIPPED a_full_disk: needs the right to mount");
            return None;
        }
        Some(Self(path.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let path = std::ffi::CString::new(self.0.to_str().unwrap()).unwrap();
        // SAFETY: the pointer is to a text that ends in a NUL byte and outlives the call.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn with_drop_a_process_never_waits_and_losses_are_counted() {
    let mut rig = Rig::new();
    let path = rig.path("pipe");
    named_pipe(&path);
    rig.configure(WEB, &json!({"filename": path.to_str().unwrap(), "on_full": "drop"}));
    let (process, mut write) = rig.attach(WEB);
    let line = [&[b'x'; 99][..], b"\n"].concat();
    // Lines may be dropped before the writer has had its first turn: only then does it go on later.
    write.write_all(&line).unwrap();
    rig.noted("cannot write");
    // Far more than all buffers together, through a pipe that would block us.
    for _ in 0..100 {
        write.write_all(&line.repeat(1000)).unwrap();
    }
    rig.noted("lines are dropped (on_full = drop)");
    let reader = std::thread::spawn(move || fs::read(&path).unwrap());
    rig.noted("goes on");
    drop(write);
    rig.orders.give(Order::Forget { process });
    let notes = rig.end();
    let lines = reader.join().unwrap();
    assert!(lines.split_inclusive(|byte| *byte == b'\n').all(|taken| *taken == line), "lines are whole");
    assert!(
        notes.iter().any(|note| note.contains(" lines of stdout_stream of w1 were dropped")),
        "{notes:?}"
    );
}

#[test]
fn the_last_lines_can_be_asked_for_and_followed() {
    let mut rig = Rig::new();
    rig.configure(WEB, &json!({"class": "QueueStream"}));
    let (_, mut write) = rig.attach(WEB);
    write.write_all(b"one\ntwo\nthree\n").unwrap();
    rig.ask(WEB, None, 2, 30.0);
    let (texts, whole) = rig.logs();
    assert_eq!(texts, ["two", "three"]);
    let (next, epoch) = (whole["next"].as_u64().unwrap(), whole["epoch"].as_u64().unwrap());
    assert_eq!(next, epoch + 3);
    let line = &whole["lines"][1];
    assert_eq!((&line["seq"], &line["pid"], &line["wid"]), (&json!(next), &json!(1), &json!(1)));
    assert_eq!((&line["stream"], &whole["lost"]), (&json!("stdout"), &json!(false)));
    // Nothing is new: the question waits for the next line.
    rig.ask(WEB, Some(next), 10, 30.0);
    write.write_all(b"four\n").unwrap();
    assert_eq!(rig.logs().0, ["four"]);
    // From the beginning, two at a time.
    rig.ask(WEB, Some(epoch), 2, 0.0);
    let (texts, whole) = rig.logs();
    assert_eq!((texts, &whole["next"]), (vec!["one".to_owned(), "two".to_owned()], &json!(epoch + 2)));
    // Nothing new within the time.
    rig.ask(WEB, Some(epoch + 4), 10, 0.01);
    assert_eq!(rig.logs().0, Vec::<String>::new());
    // A number of a daemon whose clock was ahead, and one of a daemon before.
    for after in [u64::MAX, 3] {
        rig.ask(WEB, Some(after), 10, 0.0);
        assert_eq!(rig.logs().0.len(), 4);
    }
}

#[test]
fn lines_that_are_no_longer_kept_are_owned_up_to() {
    let mut rig = Rig::new();
    rig.configure(WEB, &json!({"class": "QueueStream", "log_ring": 200}));
    let (_, mut write) = rig.attach(WEB);
    rig.ask(WEB, None, 0, 0.0);
    let epoch = rig.logs().1["epoch"].as_u64().unwrap();
    write.write_all("a line of output\n".repeat(100).as_bytes()).unwrap();
    rig.ask(WEB, Some(epoch), 1000, 30.0);
    let (texts, whole) = rig.logs();
    assert!(whole["lost"] == true && !texts.is_empty() && texts.len() < 20, "{whole}");
}

#[test]
fn a_question_about_a_watcher_that_goes_is_answered() {
    let mut rig = Rig::new();
    rig.configure(WEB, &json!({"class": "QueueStream"}));
    rig.ask(WEB, None, 10, 3000.0);
    rig.orders.give(Order::Remove { watcher: WEB });
    assert_eq!(rig.logs().0, Vec::<String>::new());
    rig.ask(API, None, 10, 3000.0);
    rig.orders.give(Order::End);
    assert_eq!(rig.logs().0, Vec::<String>::new());
}

#[test]
fn a_helper_is_wanted_fed_and_replaced() {
    let mut rig = Rig::new();
    rig.configure(WEB, &json!({"class": "my.Class"}));
    // A class is told when its watcher starts, and not before.
    rig.orders.give(Order::Open { watcher: WEB });
    let wanted = Answer::BridgeWanted { watcher: WEB, channel: Channel::Stdout };
    assert_eq!(rig.answer(), Some(wanted.clone()));
    let (_, mut write) = rig.attach(WEB);
    write.write_all(b"kept\n").unwrap();
    let hand_over = |rig: &Rig| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        rig.orders.give(Order::Bridge { watcher: WEB, channel: Channel::Stdout, fd: ours.into() });
        theirs
    };
    let mut first = hand_over(&rig);
    let mut text = String::new();
    while !text.ends_with("\"size\":5}\nkept\n") {
        let mut byte = [0];
        first.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    assert!(
        text.starts_with("{\"call\":\"open\"}\n{\"call\":\"data\",\"pid\":1,\"name\":\"stdout\","),
        "{text}"
    );
    // It has dealt with both.
    first.write_all(b"\n\n").unwrap();
    drop(first);
    write.write_all(b"again\n").unwrap();
    while rig.answer() != Some(wanted.clone()) {}
    let mut second = hand_over(&rig);
    rig.end();
    text.clear();
    second.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("\"size\":6}\nagain\n{\"call\":\"close\"}\n") && !text.contains("kept"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn writes_cut_anywhere_give_exactly_the_lines_of_each_process(
        writes in vec((0_usize..4, "[a-z]{0,12}\n?"), 0..200)
    ) {
        let mut rig = Rig::new();
        let path = rig.file(WEB, "log");
        let mut pipes: Vec<_> = (0..4).map(|_| rig.attach(WEB).1).collect();
        let mut wanted = vec![String::new(); 4];
        for (process, text) in &writes {
            // Each line says whose it is.
            let mark = |wanted: &str| wanted.is_empty() || wanted.ends_with('\n');
            let text = if mark(&wanted[*process]) { format!("{process}{text}") } else { text.clone() };
            pipes[*process].write_all(text.as_bytes()).unwrap();
            wanted[*process] += &text;
        }
        for (number, pipe) in pipes.iter_mut().enumerate() {
            if !wanted[number].is_empty() && !wanted[number].ends_with('\n') {
                pipe.write_all(b"\n").unwrap();
                wanted[number].push('\n');
            }
        }
        prop_assert_eq!(rig.end(), Vec::<String>::new());
        let text = read(&path);
        for (number, wanted) in wanted.iter().enumerate() {
            let own = text.split_inclusive('\n').filter(|line| line.starts_with(&number.to_string()));
            prop_assert_eq!(&own.collect::<String>(), wanted);
        }
    }
}
