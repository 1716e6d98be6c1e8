//! What a process is born with: arguments, environment, directory, descriptors, limits, identity.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use circus_tests::daemon::{Daemon, Plan, process, skip};
use serde_json::json;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The environment of a watcher's one process.
fn environ(daemon: &Daemon, name: &str) -> BTreeMap<String, String> {
    process::environ(daemon.wait_pids(name, 1)[0])
}

#[test]
fn without_copy_env_the_environment_is_what_was_written_and_nothing_else() {
    let daemon = Plan::new(
        "[watcher:bare]\ncmd = sleep 1000\n[watcher:web]\ncmd = sleep 1000\n[watcher:api]\ncmd = sleep 1000\n\
         [env:web,a*]\nTWO = two\nONE = own\n[env:web]\nTHREE = $HOST_WORD/x\nEMPTY =\n",
    )
    .variable("HOST_WORD", "host")
    .start();
    assert_eq!(environ(&daemon, "bare"), map(&[]));
    assert_eq!(environ(&daemon, "api"), map(&[("ONE", "own"), ("TWO", "two")]));
    let web = map(&[("EMPTY", ""), ("ONE", "own"), ("THREE", "host/x"), ("TWO", "two")]);
    assert_eq!(environ(&daemon, "web"), web);
    assert_eq!(daemon.option("web", "env"), json!(web));
}

#[test]
fn copy_env_begins_with_circusd_s_own() {
    let daemon = Plan::new(
        "[watcher:web]\ncmd = sleep 1000\ncopy_env = True\n[env]\nADDED = yes\nPATH = /opt:$PATH\n",
    )
    .variable("HOST_WORD", "with blanks and = signs")
    .variable("PATH", "/usr/bin:/bin")
    .start();
    let web = environ(&daemon, "web");
    assert_eq!(web["HOST_WORD"], "with blanks and = signs");
    assert_eq!((web["ADDED"].as_str(), web["PATH"].as_str()), ("yes", "/opt:/usr/bin:/bin"));
    assert!(web.contains_key("HOME") || std::env::var_os("HOME").is_none());
}

#[test]
fn a_virtual_environment_comes_first_in_path_and_last_in_pythonpath() {
    let daemon = Plan::new(
        "[watcher:web]\ncmd = tool 1000\ncopy_env = True\nvirtualenv = venv\n[env]\nPYTHONPATH = /one:/two\n",
    )
    .variable("PATH", "/usr/bin:/bin")
    .prepare();
    let site = daemon.path("venv/lib/python3.11/site-packages");
    fs::create_dir_all(site.join("egg")).unwrap();
    fs::create_dir_all(daemon.path("venv/bin")).unwrap();
    fs::write(site.join("x.pth"), "# no\nimport no\negg\nmissing\n").unwrap();
    fs::copy("/bin/sleep", daemon.path("venv/bin/tool")).unwrap();
    daemon.spawn_again();
    let web = environ(&daemon, "web");
    assert!(web["PATH"].ends_with("venv/bin:/usr/bin:/bin"), "{web:?}");
    let paths: Vec<&str> = web["PYTHONPATH"].split(':').collect();
    assert!(
        matches!(paths[..], [egg, "/one", "/two", site] if egg.ends_with("site-packages/egg") && site.ends_with("site-packages")),
        "{web:?}"
    );
    assert_eq!(process::argv(daemon.the_pid("web")), ["tool", "1000"]);
}

#[test]
fn arguments_are_split_as_a_shell_does_and_variables_expanded() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sh -c 'while :; do sleep 1000; done' \"a b\" c\\ d 'x y' e\"f\"g #h\n\
         args = --slot=$(circus.wid) ((circus.env.WORD)) $(CIRCUS.NUMPROCESSES) $(circus.nope) $WID ''\n\
         copy_env = True\n[env]\nWORD = two words\n",
    );
    let argv = process::argv(daemon.wait_pids("web", 1)[0]);
    let expected =
        ["a b", "c d", "x y", "efg", "#h", "--slot=1", "two", "words", "1", "$(circus.nope)", "1", ""];
    assert_eq!(argv[1..3], ["-c", "while :; do sleep 1000; done"]);
    assert_eq!(argv[3..], expected);
}

#[test]
fn arguments_given_as_a_list_are_kept_whole() {
    let daemon = Daemon::start("[circus]\n");
    daemon.ok(
        "add",
        json!({"name": "web", "cmd": "sh -c", "args": ["exec sleep \"$1\"", "slot $(circus.wid)", "1000"],
        "start": true, "waiting": true}),
    );
    let pid = daemon.wait_pids("web", 1)[0];
    daemon.wait_until("the shell to become the sleep", |_| process::argv(pid) == ["sleep", "1000"]);
}

#[test]
fn a_shell_sees_the_text_as_it_is_written() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = echo \"$0 $1 $WORD\" > out; exec sleep 100$(circus.wid)\nshell = True\n\
         shell_args = zero 'one more'\n[env]\nWORD = w\n",
    );
    assert_eq!(daemon.wait_file("out"), "zero one more w\n");
    let pid = daemon.wait_pids("web", 1)[0];
    daemon.wait_until("the shell to become the sleep", |_| process::argv(pid) == ["sleep", "1001"]);
}

#[test]
fn executable_is_the_file_and_cmd_the_name_it_goes_by() {
    let daemon = Daemon::start("[watcher:web]\ncmd = another-name 1000\nexecutable = /bin/sleep\n");
    let pid = daemon.wait_pids("web", 1)[0];
    assert_eq!(process::argv(pid), ["another-name", "1000"]);
    assert_eq!(process::executable(pid), fs::canonicalize("/bin/sleep").unwrap());
}

#[test]
fn a_program_is_looked_up_in_the_path_of_the_child() {
    let daemon = Plan::new("[watcher:web]\ncmd = own-tool 1000\nautostart = False\n").prepare();
    fs::create_dir(daemon.path("tools")).unwrap();
    fs::copy("/bin/sleep", daemon.path("tools/own-tool")).unwrap();
    daemon.rewrite(&format!(
        "[watcher:web]\ncmd = own-tool 1000\n[env]\nPATH = {}\n",
        daemon.path("tools").display()
    ));
    daemon.spawn_again();
    assert_eq!(process::executable(daemon.wait_pids("web", 1)[0]), daemon.path("tools/own-tool"));
}

#[test]
fn working_dir_umask_session_and_signals_are_as_ordered() {
    let daemon = Daemon::start(
        "[circus]\numask = 027\n[watcher:web]\ncmd = sleep 1000\nworking_dir = /usr\n[watcher:here]\ncmd = sleep 1000\n",
    );
    let pid = daemon.wait_pids("web", 1)[0];
    assert_eq!(process::directory(pid), std::path::Path::new("/usr"));
    assert_eq!(process::directory(daemon.wait_pids("here", 1)[0]), fs::canonicalize(daemon.dir()).unwrap());
    assert_eq!(process::status(pid, "Umask"), "0027");
    for field in ["SigBlk", "SigIgn", "SigCgt"] {
        let signals = u64::from_str_radix(&process::status(pid, field), 16).unwrap();
        // 32 and 33 are the C library's own: it ignores them in what a threaded program, such as this test, spawns.
        assert_eq!(signals & !(0b11 << 31), 0, "{field}");
    }
    let stat = process::stat(pid).unwrap();
    assert_eq!((stat.parent, stat.session, stat.group), (daemon.pid(), pid, pid));
}

#[test]
fn a_working_dir_that_is_missing_is_a_failed_try() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nworking_dir = /nonexistent\nmax_retry = 2\nautostart = False\n",
    );
    let reply = daemon.done("start", "web");
    assert!(reply["errors"]["web"].as_str().unwrap().contains("/nonexistent"), "{reply:?}");
    daemon.wait_lines("error in 'web'", 2);
}

#[test]
fn a_process_has_three_descriptors_and_no_more() {
    let daemon = Daemon::start(
        "[watcher:plain]\ncmd = sleep 1000\n[watcher:closed]\ncmd = sleep 1000\nclose_child_stdout = True\nclose_child_stderr = True\n\
         [watcher:open]\ncmd = sleep 1000\nclose_child_stdin = False\n",
    );
    let path = |name: &str| daemon.path(name).display().to_string();
    let fds = |name: &str| process::descriptors(daemon.wait_pids(name, 1)[0]);
    let three =
        |a: &str, b: &str, c: &str| BTreeMap::from([(0, a.to_owned()), (1, b.to_owned()), (2, c.to_owned())]);
    let null = "/dev/null";
    assert_eq!(fds("plain"), three(null, &path("output"), &path("log")));
    assert_eq!(fds("closed"), three(null, null, null));
    assert_eq!(fds("open"), three(null, &path("output"), &path("log")));
}

#[test]
fn resource_limits_are_soft_and_hard() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nrlimit_nofile = 512\nrlimit_CORE = 0\nrlimit_cpu = -1\n[watcher:plain]\ncmd = sleep 1000\n",
    );
    let pid = daemon.wait_pids("web", 1)[0];
    let both = |text: &str| (text.to_owned(), text.to_owned());
    assert_eq!(process::limit(pid, "Max open files"), both("512"));
    assert_eq!(process::limit(pid, "Max core file size"), both("0"));
    let own = std::process::id().cast_signed();
    let plain = daemon.wait_pids("plain", 1)[0];
    assert_eq!(process::limit(plain, "Max open files"), process::limit(own, "Max open files"));
}

#[test]
fn an_unlimited_nofile_that_is_refused_is_the_hard_limit() {
    let daemon = Daemon::start("[watcher:web]\ncmd = sleep 1000\nrlimit_nofile =\n");
    let (soft, hard) = process::limit(daemon.wait_pids("web", 1)[0], "Max open files");
    assert_eq!(soft, hard);
}

#[test]
fn a_user_and_a_group_are_taken_on_in_the_right_order() {
    if !skip::is_root("a_user_and_a_group_are_taken_on_in_the_right_order") {
        return;
    }
    let daemon = Plan::new(
        "[watcher:nobody]\ncmd = sleep 1000\nuid = nobody\nworking_dir = /\n\
         [watcher:mixed]\ncmd = sleep 1000\nuid = 65534\ngid = daemon\nworking_dir = /\n\
         [watcher:group]\ncmd = sleep 1000\ngid = daemon\nworking_dir = /\n\
         [watcher:none]\ncmd = sleep 1000\nuid = no-such-user\nmax_retry = 1\nautostart = False\n",
    )
    .prepare();
    fs::set_permissions(daemon.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    daemon.spawn_again();
    let ids = |name: &str| {
        let pid = daemon.wait_pids(name, 1)[0];
        ["Uid", "Gid", "Groups"].map(|field| process::status(pid, field))
    };
    let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
    assert_eq!(ids("nobody"), [four(65534), four(65534), "65534".to_owned()]);
    let [uid, gid, _] = ids("mixed");
    assert_eq!((uid, gid), (four(65534), four(1)));
    let [uid, gid, _] = ids("group");
    assert_eq!((uid, gid), (four(0), four(1)));
    let reply = daemon.done("start", "none");
    assert!(reply["errors"]["none"].as_str().unwrap().contains("no-such-user"), "{reply:?}");
    assert!(!process::environ(daemon.the_pid("nobody")).contains_key("HOME"));
    for pid in ["nobody", "mixed", "group"].map(|name| daemon.the_pid(name)) {
        daemon.end_later(pid);
    }
}
