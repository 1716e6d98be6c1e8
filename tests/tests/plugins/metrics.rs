//! Plugins that report: StatsdEmitter, FullStats, HttpObserver, RedisObserver.

use std::process::{Child, Command, Stdio};

use circus_tests::daemon::{Daemon, Plan, skip::can_run, wait::wait_until};
use serde_json::json;

use super::{
    LOGGED,
    servers::{Server, Statsd, free_port},
    wait_started,
};

#[test]
fn events_are_counted_and_a_blank_in_the_name_of_the_application_does_no_harm() {
    let statsd = Statsd::start();
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:flap2]\ncmd = sleep 1000\n\
         [plugin:s]\nuse = circus.plugins.statsd.StatsdEmitter\napplication_name = my app\nport = {}\n",
        statsd.port()
    ));
    wait_started(&daemon, 1);
    let mut tries = 0;
    // The first events may come before the subscription has arrived.
    daemon.wait_until("a metric of an event", |daemon| {
        tries += 1;
        daemon.done("restart", "flap2");
        tries == 3
    });
    let line = statsd.wait("spawn", |line| line.contains("flap2.spawn"));
    assert_eq!(line, "circus.my app.watcher.flap2.spawn:1|c");
    statsd.wait("start", |line| line == "circus.my app.watcher.flap2.start:1|c");
}

#[test]
fn the_figures_of_all_watchers_are_sent_and_those_of_plugins_are_not() {
    let statsd = Statsd::start();
    let _daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:Dum my]\ncmd = sleep 1000\nnumprocesses = 2\n\
         [plugin:f]\nuse = circus.plugins.statsd.FullStats\nloop_rate = 0.3\napplication_name = fa\n\
         sample_rate = 0.5\nport = {}\n",
        statsd.port()
    ));
    let mut first = None;
    for what in
        ["watchers_num:2|g", "cpu_max:", "cpu_sum:", "mem_pct_max:", "mem_pct_sum:", "mem_max:", "mem_sum:"]
    {
        let line = statsd.wait(what, |line| {
            assert!(!line.contains("plugin:"), "{line}");
            line.starts_with(&format!("circus.fa.watcher._stats.Dum my.{what}"))
        });
        assert!(line.ends_with("|g|@0.5"), "{line}");
        first.get_or_insert(line);
    }
}

#[test]
fn a_web_server_that_answers_is_timed() {
    let (statsd, web) = (Statsd::start(), Server::web("200 OK"));
    let _daemon = Daemon::start(&format!(
        "{LOGGED}[plugin:h]\nuse = circus.plugins.http_observer.HttpObserver\nloop_rate = 0.2\n\
         check_url = http://127.0.0.1:{}/alive\nport = {}\n",
        web.port(),
        statsd.port()
    ));
    assert!(web.wait("a request").starts_with("GET /alive HTTP/1.1\r\n"));
    let line = statsd.wait("request_time", |line| line.contains("request_time"));
    assert!(
        line.starts_with("circus.http_observer.watcher.http_stats.request_time:") && line.ends_with("|ms"),
        "{line}"
    );
}

#[test]
fn a_web_server_that_fails_restarts_its_watcher() {
    let (statsd, web) = (Statsd::start(), Server::web("503 Service Unavailable"));
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:web]\ncmd = sleep 1000\n\
         [plugin:h]\nuse = circus.plugins.http_observer.HttpObserver\nloop_rate = 0.5\nrestart_on_error = web\n\
         check_url = http://127.0.0.1:{}/\nport = {}\n",
        web.port(),
        statsd.port()
    ));
    let old = daemon.wait_pids("web", 1)[0];
    for what in ["error", "error.503", "restart_on_error"] {
        let metric = format!("circus.http_observer.watcher.http_stats.{what}:1|c");
        statsd.wait(what, |line| line == metric);
    }
    daemon.wait_other("web", old);
}

#[test]
fn nobody_there_counts_as_599() {
    let statsd = Statsd::start();
    let _daemon = Daemon::start(&format!(
        "{LOGGED}[plugin:h]\nuse = HttpObserver\nloop_rate = 0.2\ncheck_url = http://127.0.0.1:{}/\nport = {}\n",
        free_port(),
        statsd.port()
    ));
    statsd.wait("599", |line| line == "circus.http_observer.watcher.http_stats.error.599:1|c");
}

/// A web server with a certificate of its own making, ended with its test.
struct Tls(Child, u16);

impl Tls {
    fn start(dir: &std::path::Path) -> Self {
        let port = free_port();
        let openssl = |words: &str| {
            let mut command = Command::new("openssl");
            command.args(words.split(' ')).current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let made = openssl(
            "req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -subj /CN=localhost -days 2 \
             -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost",
        );
        assert!({ made }.status().unwrap().success());
        let mut server = openssl(&format!("s_server -accept 127.0.0.1:{port} -cert cert -key key -www"));
        let child = server.stdin(Stdio::piped()).spawn().unwrap();
        wait_until("a server", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self(child, port)
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_certificate_that_the_machine_trusts_is_good_and_no_other() {
    let test = "a_certificate_that_the_machine_trusts_is_good_and_no_other";
    if !can_run(test, &["openssl", "version"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Tls::start(dir.path());
    for (trusted, metric) in [("cert", "request_time:"), ("nothing", "error.599:1|c")] {
        let statsd = Statsd::start();
        let _daemon = Plan::new(&format!(
            "{LOGGED}[plugin:h]\nuse = HttpObserver\nloop_rate = 0.2\ncheck_url = https://localhost:{}/\nport = {}\n",
            server.1,
            statsd.port()
        ))
        .variable("SSL_CERT_FILE", &dir.path().join(trusted).display().to_string())
        .start();
        statsd.wait(metric, |line| line.contains(metric));
    }
}

#[test]
fn a_proxy_of_the_environment_is_no_answer_of_the_server() {
    let (statsd, proxy) = (Statsd::start(), Server::web("200 OK"));
    let _daemon = Plan::new(&format!(
        "{LOGGED}[plugin:h]\nuse = HttpObserver\nloop_rate = 0.2\ncheck_url = http://127.0.0.1:{}/\nport = {}\n",
        free_port(),
        statsd.port()
    ))
    .variable("http_proxy", &format!("http://127.0.0.1:{}", proxy.port()))
    .start();
    statsd.wait("599", |line| line == "circus.http_observer.watcher.http_stats.error.599:1|c");
    assert!(proxy.requests.try_recv().is_err(), "the proxy was asked");
}

/// A redis server, ended with its test.
struct Redis(Child);

impl Redis {
    fn start(port: u16, dir: &std::path::Path) -> Self {
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1"])
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("redis", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self(child)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn a_real_redis_says_how_it_is_and_its_silence_restarts_its_watcher() {
    if !can_run(
        "a_real_redis_says_how_it_is_and_its_silence_restarts_its_watcher",
        &["redis-server", "--version"],
    ) {
        return;
    }
    let (statsd, port, dir) = (Statsd::start(), free_port(), tempfile::tempdir().unwrap());
    let redis = Redis::start(port, dir.path());
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:queue]\ncmd = sleep 1000\n\
         [plugin:r]\nuse = circus.plugins.redis_observer.RedisObserver\nloop_rate = 0.3\n\
         redis_url = redis://127.0.0.1:{port}/0\nrestart_on_timeout = queue\nport = {}\n",
        statsd.port()
    ));
    let line = statsd.wait("used_memory", |line| line.contains("redis_stats.used_memory:"));
    let value = line.strip_prefix("circus.redis_observer.watcher.redis_stats.used_memory:").unwrap();
    assert!(value.strip_suffix("|g").unwrap().parse::<u64>().unwrap() > 1000, "{line}");
    let old = daemon.wait_pids("queue", 1)[0];
    drop(redis);
    for what in ["error", "restart_on_error"] {
        let metric = format!("circus.redis_observer.watcher.redis_stats.{what}:1|c");
        statsd.wait(what, |line| line == metric);
    }
    daemon.wait_other("queue", old);
    assert_ne!(daemon.ok("numwatchers", json!({}))["numwatchers"], json!(0));
}
