//! The texts recorded from Circus 0.19, reply by reply.

use serde_json::{Value, json};

use super::*;

fn text(command: &str, reply: Value) -> String {
    let rendered = render(command, reply.as_object().unwrap(), Form::Text);
    assert!(!rendered.refused && !rendered.complaint);
    rendered.text
}

fn info(pid: u32, cmdline: &str, children: &[Value]) -> Value {
    json!({"mem_info1": "1.45M", "mem_info2": "2.44M", "cpu": 0.0, "mem": 0.006, "ctime": "0:00.0", "pid": pid,
           "username": "root", "nice": 0, "create_time": 1795244735.65, "age": 0.309, "cmdline": cmdline,
           "children": children, "started": 1795244735.75, "wid": 1})
}

#[test]
fn replies_are_printed_as_circus_prints_them() {
    let table = [
        ("start", json!({"status": "ok", "info": {"started": [1], "kept": []}}), "ok"),
        ("stop", json!({"status": "ok", "info": null}), "ok"),
        ("add", json!({"status": "ok", "started": [23783], "kept": []}), "ok"),
        ("incr", json!({"status": "ok", "numprocesses": 2}), "2"),
        ("decr", json!({"status": "ok"}), "ok"),
        (
            "incr",
            json!({"status": "ok", "numprocesses": 1, "singleton": true}),
            "This watcher is a Singleton - not changing the number of processes",
        ),
        (
            "list",
            json!({"status": "ok", "watchers": ["other", "single", "sleep er"]}),
            "other,single,sleep er",
        ),
        ("list", json!({"status": "ok", "pids": [22532, 22534]}), "22532,22534"),
        ("list", json!({"status": "ok", "pids": []}), ""),
        ("numprocesses", json!({"status": "ok", "numprocesses": 1, "watcher_name": "other"}), "1"),
        ("numwatchers", json!({"status": "ok", "numwatchers": 3}), "3"),
        ("status", json!({"status": "stopped"}), "stopped"),
        (
            "status",
            json!({"status": "ok", "statuses": {"single": "active", "Web": "stopped", "circusd-stats": "active"}}),
            "Web: stopped\ncircusd-stats: active\nsingle: active",
        ),
        (
            "listsockets",
            json!({"status": "ok", "sockets": [
                {"fd": 7, "name": "ux", "backlog": 2048, "path": "RUN/ux.sock"},
                {"fd": 8, "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": 20990}]}),
            "7:socket 'ux' at RUN/ux.sock\n8:socket 'web' at 127.0.0.1:20990",
        ),
        ("listsockets", json!({"status": "ok", "sockets": []}), ""),
        (
            "ipython",
            json!({"status": "ok", "shell": false, "msg": "No module named 'IPython'"}),
            "error: Could not start ipython kernel",
        ),
        ("reloadconfig", json!({"status": "ok"}), "ok"),
    ];
    for (command, reply, expected) in table {
        assert_eq!(text(command, reply), expected, "{command}");
    }
}

#[test]
fn options_are_printed_in_pythons_words() {
    let options = json!({"status": "ok", "options": {
        "env": {"BB": "2", "AA": "1"}, "uid": null, "shell": false, "graceful_timeout": 30.0, "numprocesses": 2,
        "stdout_stream_conf": {}, "args": ["-a", "b"], "cmd": "sleep 100"}});
    assert_eq!(
        text("get", options.clone()),
        "env: AA=1,BB=2\nuid: \nshell: False\ngraceful_timeout: 30.0\nnumprocesses: 2\nstdout_stream_conf: {}\n\
         args: ['-a', 'b']\ncmd: sleep 100"
    );
    assert!(text("options", options).starts_with("args: ['-a', 'b']\ncmd: sleep 100\nenv: AA=1,BB=2\n"));
    assert_eq!(
        text("globaloptions", json!({"status": "ok", "options": {"check_delay": 1.0}})),
        "check_delay: 1.0"
    );
    assert_eq!(text("get", json!({"status": "ok", "options": {"env": null}})), "env: ");
}

#[test]
fn figures_are_printed_with_children_indented() {
    let sh = info(27111, "sh", &[info(27112, "sleep", &[])]);
    let line = |pid: u32, cmdline: &str| format!("{pid}  {cmdline} root 0 1.45M 2.44M 0.0 0.006 0:00.0");
    assert_eq!(
        text(
            "stats",
            json!({"infos": {"Web": {"27109": info(27109, "sleep", &[])}, "single": {"27111": sh}}})
        ),
        format!(
            "Web:\n27109: {}\nsingle:\n27111: {}\n   {}",
            line(27109, "sleep"),
            line(27111, "sh"),
            line(27112, "sleep")
        )
    );
    assert_eq!(
        text("stats", json!({"name": "web", "info": {"1": "No such process (stopped?)"}})),
        "web:\n1: No such process (stopped?)"
    );
    assert_eq!(
        text("stats", json!({"process": 5, "info": info(5, "sh", &[])})),
        format!("5: {}\n", line(5, "sh"))
    );
    assert_eq!(
        text("dstats", json!({"info": info(9, "circusd", &[])})),
        format!("Main Process:\n    {}", line(9, "circusd"))
    );
}

#[test]
fn a_refusal_is_a_complaint_with_its_reason() {
    let reply = json!({"status": "error", "reason": "program zz not found", "tb": null, "errno": 3});
    let reply = reply.as_object().unwrap();
    for command in ["status", "list", "start", "stats", "why"] {
        let rendered = render(command, reply, Form::Text);
        assert_eq!(rendered.text, "error: program zz not found");
        assert!(rendered.refused && rendered.complaint);
    }
    assert_eq!(render("globaloptions", reply, Form::Text).text, "program zz not found");
}

#[test]
fn json_is_never_a_complaint_but_tells_a_refusal() {
    let reply = json!({"status": "error", "reason": "no", "errno": 3});
    let rendered = render("list", reply.as_object().unwrap(), Form::Json);
    assert_eq!(rendered.text, r#"{"status": "error", "reason": "no", "errno": 3}"#);
    assert!(rendered.refused && !rendered.complaint);
}

#[test]
fn a_watcher_that_gave_up_is_told_beside_the_ok() {
    let reply = json!({"status": "ok", "info": {"m": {"started": [], "kept": []}},
        "errors": {"m": "[Errno 2] No such file or directory: 'x'", "n": "gave up"}});
    let reply = reply.as_object().unwrap();
    let rendered = render("start", reply, Form::Text);
    assert_eq!((rendered.text.as_str(), rendered.refused, rendered.complaint), ("ok", false, false));
    assert_eq!(rendered.remarks, ["m: [Errno 2] No such file or directory: 'x'", "n: gave up"]);
    assert!(render("start", reply, Form::Json).remarks.is_empty(), "the reply holds them already");
}

#[test]
fn a_reply_of_another_shape_is_printed_without_what_it_lacks() {
    for command in
        ["stats", "dstats", "options", "listsockets", "list", "status", "why", "incr", "numwatchers"]
    {
        for reply in
            [json!({}), json!({"info": 3, "infos": [], "sockets": {}, "options": 1, "slots": 2, "plan": 4})]
        {
            // Whatever it says, it does not panic.
            _ = render(command, reply.as_object().unwrap(), Form::Text);
        }
    }
}

#[test]
fn why_tells_when_and_how_each_process_ended() {
    let reply = json!({"status": "ok", "name": "web", "time": 1000.0, "restarts": 7,
        "slots": {"1": [
            {"pid": 12, "started": 998.8, "time": 999.0, "lifespan": 0.2, "exit_code": 1, "signal": null, "expected": false},
            {"pid": 1234, "started": 100.0, "time": 900.0, "lifespan": 800.0, "exit_code": -9, "signal": "SIGKILL",
             "expected": true}]},
        "backoff": {"1": {"failures": 3, "retry_in": 0.4}}, "errors": ["[Errno 2] No such file or directory: 'x'"]});
    assert_eq!(
        text("why", reply),
        "web: 7 restarts\n\
         SLOT  PID   ENDED           LIVED        HOW\n\
         1     12    1.0 s ago       0.2 s        exited with 1\n\
         1     1234  1 min 40 s ago  13 min 20 s  killed by SIGKILL, as asked\n\
         slot 1: failed 3 times in a row, next try in 0.4 s\n\
         cannot start: [Errno 2] No such file or directory: 'x'"
    );
    assert_eq!(
        text("why", json!({"name": "web", "restarts": 0, "slots": {}})),
        "web: 0 restarts\nno process has ended yet"
    );
}

#[test]
fn why_says_the_same_thing_once() {
    let reply = json!({"name": "job", "time": 10.0, "restarts": 1,
        "slots": {"1": [{"pid": 12, "time": 9.0, "lifespan": 1.0, "exit_code": 0, "signal": null, "expected": true}]},
        "backoff": {"1": {"failures": 1, "retry_in": 2.0}}, "errors": ["a", "a", "a", "b", "a"]});
    assert_eq!(
        text("why", reply),
        "job: 1 restart\n\
         SLOT  PID  ENDED      LIVED  HOW\n\
         1     12   1.0 s ago  1.0 s  exited with 0, as expected\n\
         slot 1: failed once, next try in 2.0 s\n\
         cannot start: a (3 times)\n\
         cannot start: b\n\
         cannot start: a"
    );
}

#[test]
fn a_plan_names_each_change() {
    let reply = json!({"status": "ok", "plan": {"restart": false, "reasons": [], "add": ["new"], "remove": ["old"],
        "recreate": [{"name": "api", "keys": ["cmd", "env"]}], "resize": [{"name": "jobs", "from": 1, "to": 3}],
        "settings": ["check_delay"], "unchanged": ["web"]}});
    assert_eq!(
        text("reloadconfig", reply),
        "~ setting   check_delay\n+ add       new\n- remove    old\n~ recreate  api (cmd, env)\n\
         ~ resize    jobs from 1 to 3 processes\n= keep      web"
    );
    assert_eq!(
        text("reloadconfig", json!({"plan": {"restart": true, "reasons": ["endpoint"], "unchanged": []}})),
        "! the daemon restarts in place: endpoint"
    );
    assert_eq!(
        text("reloadconfig", json!({"plan": {"restart": false, "unchanged": ["web"]}})),
        "nothing would change\n= keep      web"
    );
}

#[test]
fn why_shows_the_last_words_of_the_latest_process_of_each_slot() {
    let exit =
        |pid: i32| json!({"pid": pid, "time": 90.0, "lifespan": 1.0, "exit_code": 1, "expected": false});
    let mut spoke = exit(8);
    spoke["stderr"] = json!(["Traceback:", "  it is broken"]);
    let mut before = exit(7);
    before["stderr"] = json!(["long ago"]);
    let reply =
        json!({"name": "web", "restarts": 2, "time": 100.0, "slots": {"1": [before, spoke], "2": [exit(9)]}});
    let text = text("why", reply);
    assert!(text.ends_with("slot 1, pid 8 on stderr:\n  Traceback:\n    it is broken"), "{text}");
}
