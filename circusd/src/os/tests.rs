//! Real processes under a real [`Os`].
//!
//! Reaping concerns the whole test process, so one test runs at a time.

use std::{
    collections::BTreeMap,
    fs,
    future::Future,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use circus_common::protocol::Reply;
use serde_json::Value;

use super::{procfs::Stat, *};
use crate::arbiter::{
    effect::{Output, Reach, SocketOrder, StatsQuestion, StatsSubject, Stdin},
    id::WatcherId,
    input::Exit,
};

/// How long a condition may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

static SERIAL: Mutex<()> = Mutex::new(());

fn serial() -> MutexGuard<'static, ()> {
    SERIAL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An `Os` with a directory for what its processes write.
struct Bench {
    os: Os,
    dir: tempfile::TempDir,
    generation: u64,
}

fn with_bench<F: Future<Output = Bench>>(story: impl FnOnce(Bench) -> F) {
    with_reader(Reader::nobody(), story);
}

fn with_reader<F: Future<Output = Bench>>(reader: Reader, story: impl FnOnce(Bench) -> F) {
    let _serial = serial();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings =
            OsSettings { endpoint: "tcp://127.0.0.1:5555".to_owned(), state_dir: StateDir::Nowhere };
        let os = Os::start(&settings, reader).expect("started");
        let dir = tempfile::tempdir().expect("made");
        let mut bench = story(Bench { os, dir, generation: 0 }).await;
        bench.os.end_orphans(Duration::ZERO).await;
    });
}

impl Bench {
    fn spec(&self, argv: &[&str]) -> SpawnSpec {
        SpawnSpec {
            watcher: "web".to_owned(),
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            executable: None,
            env: Arc::new(BTreeMap::new()),
            working_dir: self.dir.path().to_str().expect("text").to_owned(),
            uid: None,
            gid: None,
            rlimits: Vec::new(),
            stdin: Stdin::Null,
            sockets: SocketOrder::default(),
            stdout: Output::Null,
            stderr: Output::Null,
            stop_signal: Signal::TERM,
            graceful_timeout: 1.0,
            keeps_orphans: false,
        }
    }

    fn shell(&self, script: &str) -> SpawnSpec {
        self.spec(&["/bin/sh", "-c", script])
    }

    fn spawn(&mut self, spec: SpawnSpec) -> ProcessId {
        self.generation += 1;
        let process = ProcessId { generation: self.generation, watcher: WatcherId(0), wid: 1 };
        self.os.spawn(process, Box::new(spec));
        process
    }

    async fn next(&mut self) -> Input {
        tokio::time::timeout(LIMIT, self.os.next()).await.expect("something happens")
    }

    async fn spawned(&mut self, spec: SpawnSpec) -> (ProcessId, i32) {
        let wanted = self.spawn(spec);
        match self.next().await {
            Input::Spawned { process, pid, .. } if process == wanted => (process, pid),
            other => panic!("not spawned: {other:?}"),
        }
    }

    async fn failure(&mut self, spec: SpawnSpec) -> String {
        self.spawn(spec);
        match self.next().await {
            Input::SpawnFailed { failure, .. } => failure.text,
            other => panic!("no failure: {other:?}"),
        }
    }

    async fn exited(&mut self, wanted: ProcessId) -> (Exit, bool) {
        loop {
            match self.next().await {
                Input::Exited { process, exit, group_alive } if process == wanted => {
                    return (exit, group_alive);
                }
                Input::MemberGone { .. } => {}
                other => panic!("not exited: {other:?}"),
            }
        }
    }

    /// Runs a shell script that writes to `out`, to its end.
    async fn output(&mut self, change: impl FnOnce(&mut SpawnSpec)) -> String {
        let mut spec = self.shell("exit 9");
        change(&mut spec);
        let (process, _) = self.spawned(spec).await;
        assert_eq!(self.exited(process).await.0, Exit::Code(0));
        self.os.forget(process);
        fs::read_to_string(self.path("out")).expect("written")
    }

    async fn surveyed(&mut self, process: ProcessId) -> Vec<Member> {
        self.os.survey(&[process]);
        match self.next().await {
            Input::Surveyed { found } => match found.as_slice() {
                [(of, members)] if *of == process => members.clone(),
                other => panic!("about others: {other:?}"),
            },
            other => panic!("not surveyed: {other:?}"),
        }
    }

    async fn answer(&mut self) -> Reply {
        match self.next().await {
            Input::Answered { reply, .. } => reply,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until a process of ours has written a whole line to a file.
    async fn line(&self, name: &str) -> String {
        let path = self.path(name);
        let read = || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        let text = until(name, read).await;
        text.trim().to_owned()
    }
}

/// Waits for a condition.
async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    let found = async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            ticks.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, found).await.unwrap_or_else(|_| panic!("{what} within {LIMIT:?}"))
}

fn alive(pid: i32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.lives())
}

async fn gone(pid: i32) {
    until("the end of a process", || (!alive(pid)).then_some(())).await;
}

fn own_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("listed").count()
}

#[test]
fn the_environment_is_exact() {
    with_bench(async |mut bench| {
        let env: BTreeMap<_, _> =
            [("B", "2 x"), ("A", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let out = bench
            .output(|spec| {
                spec.argv =
                    ["/bin/sh", "-c", "/bin/cat /proc/self/environ > out"].map(str::to_owned).to_vec();
                spec.env = Arc::new(env);
            })
            .await;
        // The shell adds PWD.
        let names: Vec<&str> =
            out.split('\0').filter(|text| !text.is_empty() && !text.starts_with("PWD=")).collect();
        assert_eq!(names, ["A=1", "B=2 x"]);
        bench
    });
}

#[test]
fn nothing_but_0_1_2_is_inherited() {
    with_bench(async |mut bench| {
        let leaky = fs::File::open("/dev/null").expect("opened");
        rustix::io::fcntl_setfd(&leaky, rustix::io::FdFlags::empty()).expect("set");
        let out = bench
            .output(|spec| spec.argv[2] = "ls -l /proc/$$/fd > list; cut -d' ' -f9- list > out".into())
            .await;
        let fds: Vec<&str> = out
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.split(" ->").next().unwrap_or("").trim())
            .collect();
        let inherited: Vec<_> =
            fds.iter().filter(|fd| fd.parse::<i32>().is_ok_and(|fd| fd > 2 && fd < 10)).collect();
        assert_eq!(inherited, Vec::<&&str>::new(), "{out}");
        assert!(out.contains("/dev/null"), "{out}");
        bench
    });
}

#[test]
fn a_process_leads_its_own_session_with_default_signals_and_an_open_mask() {
    with_bench(async |mut bench| {
        let script = "cat /proc/$$/stat > out; grep -E 'Sig(Blk|Ign|Cgt)|Groups' /proc/self/status >> out";
        let out = bench.output(|spec| spec.argv[2] = script.into()).await;
        let pid = out.split(' ').next().and_then(|pid| pid.parse().ok()).expect("a pid");
        let stat = Stat::parse(pid, out.lines().next().expect("a line").as_bytes()).expect("a stat");
        assert_eq!((stat.session, stat.pgrp), (pid, pid));
        assert!(out.contains("SigBlk:\t0000000000000000"), "{out}");
        let ignored = out.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).expect("a line");
        let ignored = u64::from_str_radix(ignored, 16).expect("a mask");
        assert_eq!(
            ignored & (1 << (libc::SIGPIPE - 1) | 1 << (libc::SIGXFSZ - 1) | 1 << (libc::SIGCHLD - 1)),
            0
        );
        bench
    });
}

#[test]
fn the_umask_is_circusds() {
    with_bench(async |mut bench| {
        let out = bench.output(|spec| spec.argv[2] = "umask > out".into()).await;
        let mask = nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        nix::sys::stat::umask(mask);
        assert_eq!(u32::from_str_radix(out.trim(), 8), Ok(mask.bits()));
        bench
    });
}

#[test]
fn limits_are_set_soft_and_hard_and_infinite_descriptors_fall_back() {
    with_bench(async |mut bench| {
        let hard = bench.os.descriptors().hard;
        let out = bench
            .output(|spec| {
                spec.argv[2] =
                    "ulimit -Sn > out; ulimit -Hn >> out; ulimit -Sc >> out; ulimit -Hc >> out".into();
                spec.rlimits = vec![("nofile".to_owned(), None), ("core".to_owned(), Some(1024))];
            })
            .await;
        let nofile = hard.to_string();
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.first(), lines.get(1));
        assert!(
            lines.first() == Some(&nofile.as_str()) || lines.first() == Some(&"unlimited"),
            "{out} {nofile}"
        );
        assert_eq!(lines.get(2..), Some(["2", "2"].as_slice()));
        bench
    });
}

#[test]
fn a_process_gets_the_descriptor_limit_circusd_was_started_with() {
    with_bench(async |mut bench| {
        let granted = bench.os.descriptors();
        let out = bench.output(|spec| spec.argv[2] = "ulimit -Sn > out; ulimit -Hn >> out".into()).await;
        assert_eq!(out, format!("{}\n{}\n", granted.soft, granted.hard));
        bench
    });
}

#[test]
fn a_process_becomes_the_user_with_its_group_and_groups() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED a_process_becomes_the_user_with_its_group_and_groups: needs root");
        return;
    }
    with_bench(async |mut bench| {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(bench.dir.path(), open).expect("set");
        let nobody = Account::Name("nobody".to_owned());
        let out = bench
            .output(|spec| {
                spec.argv[2] = "grep -E '^(Uid|Gid|Groups)' /proc/self/status > out".into();
                spec.uid = Some(nobody);
            })
            .await;
        let numbers: Vec<&str> = out.split_whitespace().filter(|word| word.parse::<u32>().is_ok()).collect();
        assert_eq!(numbers, ["65534"; 9], "{out}");
        bench
    });
}

#[test]
fn a_failed_spawn_says_why_in_pythons_words() {
    with_bench(async |mut bench| {
        fs::write(bench.path("plain"), "no script").expect("written");
        fs::write(bench.path("script"), "exit 0\n").expect("written");
        let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bench.path("script"), runnable).expect("set");
        for (program, text) in [
            ("nope", "[Errno 2] No such file or directory: 'nope'"),
            ("./nope", "[Errno 2] No such file or directory: './nope'"),
            ("./plain", "[Errno 13] Permission denied: './plain'"),
            ("./script", "[Errno 8] Exec format error: './script'"),
            ("tr\0ue", "embedded null byte"),
        ] {
            let spec = bench.spec(&[program]);
            assert_eq!(bench.failure(spec).await, text);
        }
        let spec = SpawnSpec { working_dir: "/no/where".to_owned(), ..bench.spec(&["true"]) };
        assert_eq!(bench.failure(spec).await, "[Errno 2] No such file or directory: '/no/where'");
        let spec = SpawnSpec { uid: Some(Account::Name("no-such-user".to_owned())), ..bench.spec(&["true"]) };
        assert_eq!(bench.failure(spec).await, "'no-such-user' isn't a valid user name");
        let spec = SpawnSpec { rlimits: vec![("zz".to_owned(), Some(1))], ..bench.spec(&["true"]) };
        assert_eq!(bench.failure(spec).await, "unknown rlimit 'zz'");
        let spec = bench.spec(&[]);
        assert_eq!(bench.failure(spec).await, "the command is empty");
        assert!(bench.os.table.is_empty());
        bench
    });
}

#[test]
fn a_program_is_found_in_the_default_path_and_may_differ_from_the_first_word() {
    with_bench(async |mut bench| {
        let spec = SpawnSpec { executable: Some("true".to_owned()), ..bench.spec(&["other name"]) };
        let (process, _) = bench.spawned(spec).await;
        assert_eq!(bench.exited(process).await, (Exit::Code(0), false));
        bench
    });
}

#[test]
fn exits_tell_code_and_signal_real_time_ones_included() {
    with_bench(async |mut bench| {
        for (script, exit) in
            [("exit 7", Exit::Code(7)), ("kill -9 $$", Exit::Signal(9)), ("exit 0", Exit::Code(0))]
        {
            let spec = bench.shell(script);
            let (process, _) = bench.spawned(spec).await;
            assert_eq!(bench.exited(process).await, (exit, false), "{script}");
        }
        let spec = bench.spec(&["sleep", "1000"]);
        let (process, _) = bench.spawned(spec).await;
        bench.os.signal(process, Signal::parse("SIGRTMIN+2").expect("a signal"));
        assert_eq!(bench.exited(process).await, (Exit::Signal(36), false));
        bench.os.signal(process, Signal::TERM);
        bench
    });
}

#[test]
fn who_is_left_in_the_group_is_found_and_can_be_ended() {
    with_bench(async |mut bench| {
        let spec = bench.shell("sleep 1000 & echo $! > child; exit 3");
        let (process, _) = bench.spawned(spec).await;
        assert_eq!(bench.exited(process).await, (Exit::Code(3), true));
        let child: i32 = bench.line("child").await.parse().expect("a pid");
        let members = bench.surveyed(process).await;
        let [member] = members.as_slice() else { panic!("one member: {members:?}") };
        assert_eq!((member.pid, member.direct), (child, false));
        assert_eq!(bench.surveyed(process).await, members, "the same one keeps its name");
        bench.os.signal_member(member.id, Signal::KILL);
        assert!(matches!(bench.next().await, Input::MemberGone { member: gone, .. } if gone == member.id));
        assert_eq!(bench.surveyed(process).await, []);
        bench.os.forget(process);
        assert!(bench.os.table.is_empty());
        assert_eq!(bench.os.members.len(), 0);
        bench
    });
}

#[test]
fn a_grandchild_in_a_session_of_its_own_is_a_member_while_its_ancestor_lives_and_afterwards() {
    with_bench(async |mut bench| {
        let spec = bench.shell("setsid sh -c 'echo $$ > grandchild; exec sleep 1000' & wait");
        let spec =
            SpawnSpec { env: Arc::new([("PATH".to_owned(), "/bin:/usr/bin".to_owned())].into()), ..spec };
        let (process, pid) = bench.spawned(spec).await;
        let grandchild: i32 = bench.line("grandchild").await.parse().expect("a pid");
        let members = bench.surveyed(process).await;
        assert!(members.iter().any(|member| member.pid == grandchild), "{members:?}");
        assert!(members.iter().all(|member| member.pid != pid));
        bench.os.signal(process, Signal::KILL);
        bench.exited(process).await;
        let again = bench.surveyed(process).await;
        let kept = again.iter().find(|member| member.pid == grandchild).expect("still a member");
        bench.os.signal_member(kept.id, Signal::KILL);
        gone(grandchild).await;
        bench.os.forget(process);
        bench
    });
}

#[test]
fn a_released_process_is_never_touched_again_and_reaped_silently() {
    with_bench(async |mut bench| {
        let spec = bench.shell("sleep 1000 & echo $! > child; wait");
        let (process, pid) = bench.spawned(spec).await;
        let child: i32 = bench.line("child").await.parse().expect("a pid");
        bench.os.release(process);
        bench.os.signal(process, Signal::KILL);
        bench.os.end_orphans(Duration::ZERO).await;
        assert!(alive(pid) && alive(child));
        // Both are our own unreaped processes, so the numbers are theirs.
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .expect("sent");
        let spec = bench.spec(&["sleep", "1000"]);
        let (other, _) = bench.spawned(spec).await;
        until_reaped(&mut bench, pid).await;
        bench.os.end_orphans(Duration::ZERO).await;
        assert!(alive(child), "what a released process leaves behind is released with it");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), nix::sys::signal::Signal::SIGKILL)
            .expect("sent");
        bench.os.signal(other, Signal::KILL);
        bench.exited(other).await;
        bench.os.forget(other);
        until_reaped(&mut bench, child).await;
        bench
    });
}

/// Lets the room reap until a number is free; nothing is told meanwhile.
async fn until_reaped(bench: &mut Bench, pid: i32) {
    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    while Stat::of(pid).is_some() {
        tokio::select! {
            input = bench.os.next() => panic!("told {input:?}"),
            _ = ticks.tick() => {}
        }
    }
}

/// A process that ends at once and is nobody's: to the room it is as an orphan.
#[expect(
    clippy::disallowed_methods,
    clippy::zombie_processes,
    reason = "a test may run programs; the room reaps this one"
)]
fn stray() -> i32 {
    let stray = std::process::Command::new("/bin/true").spawn().expect("started");
    stray.id().cast_signed()
}

#[test]
fn a_flood_of_orphans_does_not_keep_others_waiting() {
    with_bench(async |mut bench| {
        let strays: Vec<i32> = (0..40).map(|_| stray()).collect();
        for pid in &strays {
            gone(*pid).await;
        }
        {
            let once = &mut std::task::Context::from_waker(std::task::Waker::noop());
            assert!(std::pin::pin!(bench.os.next()).poll(once).is_pending());
        }
        // The first turn is over, and others on this thread may have theirs.
        assert!(strays.iter().any(|pid| Stat::of(*pid).is_some()));
        for pid in strays {
            until_reaped(&mut bench, pid).await;
        }
        bench
    });
}

#[test]
fn orphans_of_no_watcher_are_ended_at_quit() {
    with_bench(async |mut bench| {
        let spec = bench.shell(
            "setsid sh -c 'trap \"\" TERM; echo $$ > orphan; while :; do sleep 1000; done' & sleep 1000",
        );
        let spec =
            SpawnSpec { env: Arc::new([("PATH".to_owned(), "/bin:/usr/bin".to_owned())].into()), ..spec };
        let (process, _) = bench.spawned(spec).await;
        let orphan: i32 = bench.line("orphan").await.parse().expect("a pid");
        bench.os.signal(process, Signal::KILL);
        bench.exited(process).await;
        bench.os.forget(process);
        bench.os.end_orphans(Duration::from_millis(50)).await;
        assert!(!alive(orphan));
        bench
    });
}

#[test]
fn stats_and_dstats_have_circus_shape() {
    with_bench(async |mut bench| {
        let spec = bench.shell("sleep 1000 & echo $! > child; wait");
        let (process, pid) = bench.spawned(spec).await;
        let child = bench.line("child").await;
        let command =
            || fs::read(format!("/proc/{child}/cmdline")).ok().filter(|line| line.starts_with(b"sleep"));
        until("the child's exec", command).await;
        let subject = StatsSubject { process, pid, wid: 4, started: clock::wall() };
        let question = StatsQuestion::Watcher { name: "Web".to_owned(), processes: vec![subject] };
        bench.os.ask(RequestId(1), Question::Stats(question));
        let Reply::Ok(reply) = bench.answer().await else { panic!("refused") };
        assert_eq!(reply.get("name"), Some(&Value::from("Web")));
        let info = &reply["info"][pid.to_string()];
        let names: Vec<&String> = info.as_object().expect("an object").keys().collect();
        let wanted = "mem_info1 mem_info2 cpu mem ctime pid username nice create_time age cmdline children started wid";
        assert_eq!(names, wanted.split(' ').collect::<Vec<_>>());
        assert_eq!(
            (&info["cmdline"], &info["wid"], &info["cpu"]),
            (&Value::from("sh"), &Value::from(4), &Value::from(0.0))
        );
        assert_eq!(info["children"][0]["cmdline"], "sleep");
        bench.os.signal(process, Signal::KILL);
        bench.exited(process).await;
        bench.os.ask(RequestId(2), Question::Stats(StatsQuestion::Process { process: pid.into(), subject }));
        let Reply::Ok(reply) = bench.answer().await else { panic!("refused") };
        assert_eq!(reply["info"], "No such process (stopped?)");
        bench.os.ask(RequestId(3), Question::Dstats);
        let Reply::Ok(reply) = bench.answer().await else { panic!("refused") };
        assert_eq!(reply["info"]["pid"], std::process::id());
        assert_eq!(reply["info"]["children"], Value::Array(Vec::new()));
        bench.os.forget(process);
        bench
    });
}

#[test]
fn a_signal_reaches_children_descendants_or_one_child() {
    with_bench(async |mut bench| {
        let spec = bench.shell("sleep 1000 & echo $! > child; wait; sleep 1000");
        let (process, pid) = bench.spawned(spec).await;
        let child: i32 = bench.line("child").await.parse().expect("a pid");
        let ask = |os: &mut Os, reach| {
            os.ask(
                RequestId(1),
                Question::SignalTree { processes: vec![process], signal: Signal::KILL, reach },
            );
        };
        ask(&mut bench.os, Reach::Child(pid.into()));
        let refused = Reply::error(
            circus_common::protocol::ErrorCode::Command,
            format!("process no longer exists (pid={pid})"),
        );
        assert_eq!(bench.answer().await, refused);
        ask(&mut bench.os, Reach::Child(child.into()));
        assert_eq!(bench.answer().await, Reply::ok());
        gone(child).await;
        assert!(alive(pid));
        ask(&mut bench.os, Reach::Recursive);
        let first = bench.next().await;
        let second = bench.next().await;
        assert!(matches!(
            (&first, &second),
            (Input::Answered { .. }, Input::Exited { .. }) | (Input::Exited { .. }, Input::Answered { .. })
        ));
        bench.os.forget(process);
        bench
    });
}

#[test]
fn accounts_are_resolved_to_numbers() {
    with_bench(async |mut bench| {
        bench.os.resolve(RequestId(5), Some(Account::Name("nobody".to_owned())), Some(Account::Id(0)));
        let Input::Resolved { request, account } = bench.next().await else { panic!("not resolved") };
        assert_eq!((request, account), (RequestId(5), Ok((Some(65534), Some(0)))));
        bench
    });
}

#[test]
fn what_a_killed_circusd_left_is_ended_by_the_next_with_its_whole_session() {
    let _serial = serial();
    let dir = tempfile::tempdir().expect("made");
    let settings =
        OsSettings { endpoint: "ipc:///x".to_owned(), state_dir: StateDir::At(dir.path().to_owned()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let os = Os::start(&settings, Reader::nobody()).expect("started");
        let mut bench = Bench { os, dir: tempfile::tempdir().expect("made"), generation: 0 };
        // Whichever is killed first, the shell begins nothing more: two are found.
        let spec = bench.shell("trap '' TERM; sleep 1000 & echo $! > child; wait");
        let (_, pid) = bench.spawned(SpawnSpec { graceful_timeout: 0.1, ..spec }).await;
        let child: i32 = bench.line("child").await.parse().expect("a pid");
        assert!(matches!(
            Os::start(&settings, Reader::nobody()),
            Err(OsError::Slots(SlotError::Taken { .. }))
        ));
        // As `kill -9` does: nothing is told to the table.
        bench.os = {
            let Bench { os, .. } = bench;
            drop(os);
            Os::start(&settings, Reader::nobody()).expect("started again")
        };
        assert_eq!(bench_end(&mut bench.os).await, 2);
        assert!(!alive(pid) && !alive(child));
        assert_eq!(bench_end(&mut bench.os).await, 0);
        bench.os.close();
        assert_eq!(Os::start(&settings, Reader::nobody()).expect("started a third time").left, []);
    });
}

async fn bench_end(os: &mut Os) -> usize {
    tokio::time::timeout(LIMIT, os.end_survivors()).await.expect("in time")
}

#[test]
fn two_thousand_lives_leave_no_descriptor_zombie_or_entry() {
    with_bench(async |mut bench| {
        let spec = bench.spec(&["true"]);
        let (process, _) = bench.spawned(spec).await;
        bench.exited(process).await;
        bench.os.forget(process);
        let before = own_descriptors();
        let (mut spawned, mut exited) = (0, 0);
        for _ in 0..20 {
            for _ in 0..100 {
                let spec = bench.spec(&["/bin/true"]);
                bench.spawn(spec);
            }
            let mut running = std::collections::HashSet::new();
            for _ in 0..200 {
                match bench.next().await {
                    Input::Spawned { process, .. } => {
                        spawned += 1;
                        assert!(running.insert(process));
                    }
                    Input::Exited { process, exit, .. } => {
                        exited += 1;
                        assert_eq!(exit, Exit::Code(0));
                        assert!(running.remove(&process), "an exit comes after its spawn");
                        bench.os.forget(process);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((spawned, exited), (2000, 2000));
        assert!(bench.os.table.is_empty());
        // Tests of other rooms open files meanwhile; one descriptor for each life would be 2,000.
        let now = own_descriptors();
        assert!(now < before + 200, "{before} descriptors before, {now} after");
        let own = std::process::id().cast_signed();
        let zombies: Vec<_> =
            procfs::all().expect("listed").into_iter().filter(|stat| stat.ppid == own).collect();
        assert_eq!(zombies, []);
        bench
    });
}

#[test]
fn pipes_are_with_their_reader_before_the_process_is_told_and_only_if_there_is_one() {
    let (sender, attached) = std::sync::mpsc::channel();
    with_reader(Reader::new(move |attachment| drop(sender.send(attachment))), async |mut bench| {
        let streamed = |mut spec: SpawnSpec| {
            (spec.stdout, spec.stderr) = (Output::Stream, Output::Stream);
            spec
        };
        let before = own_descriptors();
        for _ in 0..100 {
            bench.failure(streamed(bench.spec(&["/nonexistent"]))).await;
        }
        assert!(attached.try_recv().is_err(), "a process that is not there has no output");
        let (process, pid) = bench.spawned(streamed(bench.shell("echo out; echo err >&2"))).await;
        let ends: Vec<_> = attached.try_iter().collect();
        let names: Vec<_> = ends.iter().map(|end| (end.process, end.pid, end.channel.name())).collect();
        assert_eq!(names, [(process, pid, "stdout"), (process, pid, "stderr")]);
        bench.exited(process).await;
        for (end, expected) in ends.into_iter().zip(["out\n", "err\n"]) {
            let text = io::read_to_string(fs::File::from(end.pipe)).expect("the other end is closed");
            assert_eq!(text, expected);
        }
        bench.os.forget(process);
        // Tests of other rooms open files meanwhile; the pipes of those that failed would be 400.
        let now = own_descriptors();
        assert!(now < before + 200, "{before} descriptors before, {now} after");
        bench
    });
}
