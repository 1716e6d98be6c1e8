//! Hooks that need no Python - programs, ports, pages, files - and the manual's example with a real redis-server.

use std::{fs, net::TcpListener};

use circus_tests::daemon::{Daemon, Plan, process, skip, wait};
use serde_json::{Value, json};

use super::hooks::{prepared, read};

#[test]
fn a_program_is_a_hook_by_its_exit_status() {
    let script = "#!/bin/sh\necho \"$CIRCUS_HOOK $CIRCUS_WATCHER $CIRCUS_PID $CIRCUS_SIGNUM\" >> told\n\
                  cat > context\nexit $(cat status 2>/dev/null || echo 0)\n";
    let daemon = Plan::new(
        "[watcher:web]\ncmd = sleep 1000\nautostart = False\ncopy_env = True\n\
         hooks.before_start = exec:./hook.sh one two\nhooks.before_signal = exec:./hook.sh\n",
    )
    .prepare();
    fs::write(daemon.path("hook.sh"), script).expect("it is written");
    rustix::fs::chmod(daemon.path("hook.sh"), 0o755.into()).expect("the mode is set");
    daemon.spawn();
    daemon.wait_answers();
    let status = |text: &str| fs::write(daemon.path("status"), text).expect("it is written");
    status("1");
    assert_eq!(daemon.done("start", "web")["errors"], json!({"web": "before_start said no"}));
    status("75");
    daemon.ok("start", json!({"name": "web"}));
    wait::wait_until("it was asked again", || read(&daemon.path("told")).lines().count() > 3);
    assert_eq!(daemon.status("web"), "starting");
    status("0");
    let pid = daemon.wait_pids("web", 1)[0];
    let context: Value = serde_json::from_str(&read(&daemon.path("context"))).expect("JSON");
    assert_eq!((&context["hook_name"], &context["watcher"]["name"]), (&json!("before_start"), &json!("web")));
    daemon.done("stop", "web");
    let told = read(&daemon.path("told"));
    assert!(told.ends_with(&format!("before_signal web {pid} 15\n")), "{told}");
}

#[test]
fn the_end_of_a_program_is_seen_among_the_ends_of_many_processes() {
    // Each takes a little longer to end than the one before it.
    let watcher = |number: usize| {
        format!(
            "[watcher:w{number}]\ncmd = sh -c \"trap 'sleep 0.{:03}; exit' TERM; sleep 1000 & wait\"\n\
             numprocesses = 3\nhooks.after_stop = exec:/bin/true\n",
            number * 2
        )
    };
    let daemon = Daemon::start(&(0..40).map(watcher).collect::<String>());
    for _ in 0..3 {
        daemon.ok("start", json!({"waiting": true}));
        daemon.ok("stop", json!({"waiting": true}));
    }
    assert!(!daemon.log().contains("timed out"), "{}", daemon.log());
}

#[test]
fn a_program_that_is_taken_back_is_ended_with_its_children() {
    let daemon = Daemon::start(
        "[watcher:web]\ncmd = sleep 1000\nautostart = False\ncopy_env = True\n\
         hooks.before_start = exec:/bin/sh -c 'sleep 100000 & echo $! > child; wait'\n",
    );
    daemon.ok("start", json!({"name": "web"}));
    wait::wait_until("the program runs", || !read(&daemon.path("child")).is_empty());
    let child: i32 = read(&daemon.path("child")).trim().parse().expect("a pid");
    daemon.done("stop", "web");
    wait::wait_until("its child is gone", || !process::lives(child));
}

#[test]
fn what_is_built_in_waits_for_a_port_a_page_and_a_file() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    drop(listener);
    let daemon = Plan::new(&format!(
        "[watcher:port]\ncmd = sleep 1000\nhooks.before_start = builtin:tcp:127.0.0.1:{port}\n\
         [watcher:page]\ncmd = sleep 1000\nhooks.before_start = builtin:http:http://127.0.0.1:{port}/up\n"
    ))
    .start();
    for name in ["port", "page"] {
        assert_eq!(daemon.status(name), "starting");
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 512];
            let read = stream.read(&mut request).unwrap_or(0);
            if request[..read].starts_with(b"GET /up ") {
                let _answered = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            }
        }
    });
    for name in ["port", "page"] {
        daemon.wait_pids(name, 1);
    }
    let there = daemon.path("there");
    let options = json!({"hooks.before_start": format!("builtin:file:{}", there.display())});
    daemon.ok("set", json!({"name": "port", "options": options}));
    daemon.done("stop", "port");
    daemon.ok("start", json!({"name": "port"}));
    assert_eq!(daemon.status("port"), "starting");
    fs::write(there, "").expect("it is written");
    daemon.wait_pids("port", 1);
}

/// The example of the manual, as docs/hooks.md has it: a queue worker that is started when redis answers.
const CHECK_REDIS: &str = r#"
import redis

def check_redis(*args, **kw):
    r = redis.StrictRedis(host="localhost", port=6379, db=0)
    r.set("foo", "bar")
    return r.get("foo") == b"bar"
"#;

#[test]
fn a_queue_worker_starts_when_redis_answers() {
    let test = "a_queue_worker_starts_when_redis_answers";
    let python = std::env::var("CIRCUS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if !skip::can_run(test, &[&python, "-c", "import redis"])
        || !skip::can_run(test, &["redis-server", "--version"])
    {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it has an address").port();
    drop(listener);
    let daemon = prepared(&format!(
        "[watcher:queue-worker]\ncmd = sleep 1000\nhooks.before_start = myapp.check_redis\npriority = 1\n\
         [watcher:redis]\ncmd = redis-server --port {port} --bind 127.0.0.1 --save ''\ncopy_env = True\n\
         priority = 2\nhooks.after_start = builtin:tcp:127.0.0.1:{port}\n"
    ));
    fs::write(daemon.path("myapp.py"), CHECK_REDIS.replace("6379", &port.to_string()))
        .expect("it is written");
    daemon.spawn();
    daemon.wait_answers();
    daemon.wait_pids("redis", 1);
    wait::wait_until("redis is active", || daemon.status("redis") == "active");
    // Its turn may have come after the first look at redis, which said "not now": then it is started by hand.
    if daemon.status("queue-worker") != "active" {
        daemon.done("start", "queue-worker");
    }
    daemon.wait_pids("queue-worker", 1);
    daemon.done("stop", "redis");
    daemon.done("stop", "queue-worker");
    let reply = daemon.done("start", "queue-worker");
    assert!(
        reply["errors"]["queue-worker"].as_str().is_some_and(|error| error.contains("refused")),
        "{reply:?}"
    );
}
