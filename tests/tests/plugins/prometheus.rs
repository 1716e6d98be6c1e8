//! Prometheus: what a scrape finds, read by the parser of Prometheus' own client and by a real server, where there are such.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use circus_tests::daemon::{
    Daemon, process,
    skip::{can_run, skipped},
};
use serde_json::Value;

use super::{LOGGED, servers::free_port, wait_started};

fn scrape(port: u16) -> String {
    get(port, "/metrics").unwrap()
}

/// The body of a page, if there is somebody to ask.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// Reads the format strictly: every family is announced once and before its samples, values are numbers, the end is
/// marked.
fn check(text: &str) {
    let mut family = String::new();
    let mut seen = std::collections::BTreeSet::new();
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            rest.split_once(' ').unwrap().0.clone_into(&mut family);
            assert!(seen.insert(family.clone()), "{family} comes twice");
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(rest.starts_with(&family), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} stands in {family}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
}

#[test]
fn a_scrape_finds_processes_exits_and_figures() {
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:We b]\ncmd = sleep 1000\nnumprocesses = 2\n\
         [plugin:p]\nuse = circus.plugins.prometheus.Prometheus\nlisten = 127.0.0.1:{port}\n"
    ));
    wait_started(&daemon, 1);
    let events = daemon.events();
    // The plugin's own subscription may arrive after ours.
    let text = daemon.wait_for("an exit that was counted", |daemon| {
        let before = daemon.wait_pids("we b", 2);
        process::kill(before[0]);
        daemon.wait_until("a new process", |daemon| {
            let now = daemon.pids("we b");
            now.len() == 2 && !now.contains(&before[0])
        });
        Some(scrape(port))
            .filter(|text| text.contains(r#"circus_watcher_exits_total{watcher="We b",code="-9""#))
    });
    drop(events);
    check(&text);
    for sample in [
        "circus_up 1\n",
        "circus_watcher_processes{watcher=\"We b\"} 2\n",
        "circus_watcher_state{watcher=\"We b\",state=\"active\"} 1\n",
        "circus_process_resident_memory_bytes{watcher=\"We b\",pid=\"",
        "circus_process_open_fds{watcher=\"We b\",pid=\"",
        "circus_command_latency_seconds_bucket{command=\"stats\",le=\"+Inf\"} ",
        "circus_watcher_restarts_total{watcher=\"We b\"} ",
    ] {
        assert!(text.contains(sample), "{sample} is not in\n{text}");
    }
    official("a_scrape_finds_processes_exits_and_figures", &text);
}

/// A real Prometheus that scrapes one port; ended with its value.
struct Server {
    child: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Server {
    fn start(target: u16) -> Self {
        let (data, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: circus\n  static_configs:\n  \
             - targets: ['127.0.0.1:{target}']\n"
        );
        let file = data.path().join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let child = Command::new("prometheus")
            .args([format!("--config.file={}", file.display())])
            .args([format!("--storage.tsdb.path={}", data.path().join("data").display())])
            .args([format!("--web.listen-address=127.0.0.1:{port}"), "--log.level=error".to_owned()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, port, _data: data }
    }

    /// The values of a metric by one of its labels; nothing while there is no answer.
    fn query(&self, metric: &str, label: &str) -> BTreeMap<String, String> {
        let answer = get(self.port, &format!("/api/v1/query?query={metric}")).unwrap_or_default();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let found = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        found.iter().map(|it| (text(&it["metric"][label]), text(&it["value"][1]))).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it_and_knows_what_it_has_read() {
    let test = "a_real_prometheus_scrapes_it_and_knows_what_it_has_read";
    if !can_run(test, &["prometheus", "--version"]) {
        return;
    }
    let port = free_port();
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:We b]\ncmd = sleep 1000\nnumprocesses = 2\n[watcher:spare]\ncmd = sleep 1\n\
         autostart = False\n[plugin:p]\nuse = Prometheus\nlisten = 127.0.0.1:{port}\n"
    ));
    wait_started(&daemon, 1);
    daemon.wait_pids("we b", 2);
    let server = Server::start(port);
    let is = |metric: &str, label: &str, of: &str, value: &str| {
        daemon.wait_until(metric, |_| server.query(metric, label).get(of).is_some_and(|it| it == value));
    };
    is("up", "job", "circus", "1");
    is("circus_up", "job", "circus", "1");
    is("circus_watcher_processes", "watcher", "We b", "2");
    is("circus_watcher_processes", "watcher", "spare", "0");
    // Its types were understood: of a histogram and a counter, and of a gauge for each process.
    daemon.wait_until("types", |_| {
        let answer = get(server.port, "/api/v1/metadata").unwrap_or_default();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let kind = |metric: &str| answer["data"][metric][0]["type"].as_str().unwrap_or_default().to_owned();
        kind("circus_command_latency_seconds") == "histogram"
            && [kind("circus_watcher_exits"), kind("circus_watcher_exits_total")]
                .contains(&"counter".to_owned())
    });
    let pids: Vec<String> = daemon.pids("we b").iter().map(ToString::to_string).collect();
    daemon.wait_until("the memory of each process", |_| {
        let memory = server.query("circus_process_resident_memory_bytes", "pid");
        pids.iter()
            .all(|pid| memory.get(pid).is_some_and(|bytes| bytes.parse::<f64>().is_ok_and(|it| it > 0.0)))
    });
}

/// The parser of Prometheus' Python client, where it is installed.
fn official(test: &str, text: &str) {
    let Some(python) = env::var_os("CIRCUS_PYTHON") else { return skipped(test, "CIRCUS_PYTHON") };
    let program = "import sys\n\
                   try:\n from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
                   except ImportError: sys.exit(77)\n\
                   print(len(list(read(sys.stdin.read()))))\n";
    let mut child = Command::new(python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(77) {
        return skipped(test, "prometheus_client");
    }
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "14");
}
