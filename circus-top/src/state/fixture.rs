//! Hosts for tests, told by the reports that real daemons send.

use serde_json::{Map, Value, json};

use super::{
    At, Input, State,
    command::Command,
    host::Host,
    report::{Control, Link, Report},
};

/// Feeds one report.
pub fn tell(state: &mut State, host: usize, report: Report) {
    state.handle(state.now, Input::Report(host, report));
}

/// Feeds one command.
pub fn press(state: &mut State, command: Command) -> Vec<super::Effect> {
    state.handle(state.now, Input::Command(command))
}

/// Lets a second pass.
pub fn tick(state: &mut State) {
    state.handle(state.now + At::from_secs(1), Input::Tick);
}

/// A message of the statistics channel about a process.
pub fn process(watcher: &str, pid: u32, cpu: f64, age: f64) -> Report {
    let rss = u64::from(pid) * 40_960;
    let payload = json!({"mem_info1": format!("{:.2}K", rss as f64 / 1024.0), "mem_info2": "9.53M", "cpu": cpu,
        "mem": rss as f64 / 5e7, "ctime": "0:01.27", "pid": pid, "username": "www", "nice": 0, "age": age,
        "cmdline": "gunicorn", "children": [], "subtopic": pid, "name": null});
    Report::Message { topic: format!("stat.{watcher}.{pid}"), payload: payload.to_string() }
}

/// A message about one of Circus' own processes.
pub fn own(title: &str, pid: u32, cpu: f64) -> Report {
    let payload = json!({"mem_info1": "12.30M", "cpu": cpu, "mem": 0.12, "pid": pid, "age": 274_000.5,
        "cmdline": title, "name": title});
    Report::Message { topic: format!("stat.circus.{pid}"), payload: payload.to_string() }
}

/// A message about a socket.
pub fn socket(fd: i64, reads: u64) -> Report {
    let payload = json!({"fd": fd, "subtopic": fd, "reads": reads, "address": "127.0.0.1:8080"});
    Report::Message { topic: format!("stat.sockets.{fd}"), payload: payload.to_string() }
}

/// An event.
pub fn event(watcher: &str, event: &str, members: Value) -> Report {
    let topic = format!("watcher.{watcher}.{event}");
    let seen = circus_common::protocol::event::parse(topic.as_bytes(), members.to_string().as_bytes());
    Report::Happened(seen.unwrap())
}

/// The members of an object.
pub fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

/// A host of that name.
pub fn host(label: &str) -> Host {
    Host::new(label, "tcp://127.0.0.1:5557", At::from_secs(3))
}

/// What a daemon with a control endpoint tells in a second.
fn second(state: &mut State, host: usize, at: u32) {
    let wave = f64::from(at % 20);
    for (pid, cpu) in [(8704, 30.0 + wave * 3.0), (8705, 12.5), (8706, wave)] {
        tell(state, host, process("web", pid, cpu, 274_000.0 + f64::from(at)));
    }
    tell(state, host, process("img.resize", 9001, 99.7, 372.0 + f64::from(at)));
    tell(state, host, process("sleep_er", 9100, 0.0, 12.0));
    tell(state, host, own("circusd", 8600, 0.4));
    tell(state, host, own("circusd-stats", 8601, 1.0));
    tell(state, host, socket(64, u64::from(at % 7) * 5));
}

/// A daemon of a small web farm, watched for a minute and a half.
pub fn farm(state: &mut State, host: usize) {
    let endpoint = "tcp://127.0.0.1:5555".to_owned();
    tell(state, host, Report::Stats(Link::Up));
    tell(state, host, Report::Events(Link::Up));
    let states = json!({"web": "active", "img.resize": "active", "Sleep er": "active", "crasher": "active",
                        "spare": "stopped", "circusd-stats": "active"});
    tell(state, host, Report::Statuses(members(states)));
    let infos = json!({"web": {"8704": {"wid": 1}, "8705": {"wid": 2}, "8706": {"wid": 3}},
                       "img.resize": {"9001": {"wid": 1}}, "Sleep er": {"9100": {"wid": 1}}});
    tell(state, host, Report::Infos(members(infos)));
    let version = Some("0.20.0".to_owned());
    tell(state, host, Report::Control(Control::Found { endpoint, version }));
    let listed = json!({"fd": 64, "name": "web", "backlog": 2048, "host": "127.0.0.1", "port": 8080});
    tell(state, host, Report::Sockets(vec![listed]));
    for (name, wanted) in [("web", 3), ("img.resize", 1), ("Sleep er", 1), ("crasher", 1), ("spare", 2)] {
        let reply = members(json!({"options": {"cmd": "gunicorn -w 1 app:main", "args": "", "uid": "www",
            "working_dir": "/srv/app", "numprocesses": wanted, "env": {"TOKEN": "secret"}}}));
        tell(state, host, Report::Options { name: name.to_owned(), reply });
        let restarts = if name == "crasher" { 4 } else { 0 };
        let mut reply =
            json!({"time": 1000.0, "restarts": restarts, "slots": {}, "backoff": {}, "errors": []});
        if name == "crasher" {
            reply["slots"] = json!({"1": [
                {"pid": 9050, "time": 980.0, "lifespan": 0.2, "exit_code": 3, "signal": null, "expected": false},
                {"pid": 9051, "time": 998.0, "lifespan": 0.1, "exit_code": null, "signal": "SIGSEGV"}]});
            reply["backoff"] = json!({"1": {"failures": 4, "retry_in": 0.8}});
        }
        tell(state, host, Report::Why { name: name.to_owned(), reply: members(reply) });
    }
}

/// Lets a farm run for so many seconds.
pub fn run(state: &mut State, hosts: usize, seconds: u32) {
    for at in 0..seconds {
        for host in 0..hosts {
            second(state, host, at);
        }
        tick(state);
    }
}

/// One host with its farm.
pub fn one(width: u16, height: u16) -> State {
    let mut state = State::new(vec![host("web1")], width, height);
    farm(&mut state, 0);
    run(&mut state, 1, 90);
    tell(&mut state, 0, event("web", "reload", json!({"time": 1.0})));
    tell(&mut state, 0, event("crasher", "spawn", json!({"process_pid": 9052, "time": 1.0})));
    tell(
        &mut state,
        0,
        event("crasher", "reap", json!({"process_pid": 9052, "exit_code": 3, "expected": false})),
    );
    run(&mut state, 1, 1);
    state
}

/// Two hosts, the second without a control endpoint and with statistics of Circus' own kind.
pub fn two(width: u16, height: u16) -> State {
    let mut state = State::new(vec![host("web1"), host("db")], width, height);
    farm(&mut state, 0);
    tell(&mut state, 1, Report::Stats(Link::Up));
    let reason = "nobody answers at tcp://db:5555".to_owned();
    tell(&mut state, 1, Report::Control(Control::Absent { reason }));
    run(&mut state, 2, 30);
    state
}
