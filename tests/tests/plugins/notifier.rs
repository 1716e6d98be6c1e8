//! Notifier: by a web request, a program, and mail.

use std::fs;

use circus_tests::daemon::Daemon;
use serde_json::{Value, json};

use super::{LOGGED, servers::Server, wait_started};

#[test]
fn an_unexpected_exit_is_told_in_every_way() {
    let (web, mail) = (Server::web("200 OK"), Server::mail());
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:web]\ncmd = sleep 1000\n\
         [plugin:n]\nuse = circus.plugins.notifier.Notifier\nevents = exit\nwebhook = http://127.0.0.1:{}/hook\n\
         command = sh -c 'cat > told; echo \"$CIRCUS_SUBJECT\" > subject'\n\
         smtp = smtp://127.0.0.1:{}\nmail_to = ops@example.org\nmail_from = circus@example.org\n",
        web.port(),
        mail.port()
    ));
    wait_started(&daemon, 1);
    let events = daemon.events();
    let pid = daemon.wait_pids("web", 1)[0];
    circus_tests::daemon::process::kill(pid);
    events.wait_count("web", "reap", 1);
    let request = web.wait("the web request");
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    let body: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        (&body["watcher"], &body["event"], &body["exit_code"]),
        (&json!("web"), &json!("exit"), &json!(-9))
    );
    let subject = daemon.wait_file("subject");
    assert!(subject.contains(&format!(": process {pid} ended unexpectedly by SIGKILL")), "{subject}");
    assert_eq!(serde_json::from_str::<Value>(&daemon.wait_file("told")).unwrap(), body);
    let said = mail.wait("the mail");
    assert!(said.contains("RCPT TO:<ops@example.org>") && said.contains("Subject: web on "), "{said}");
    assert!(said.contains("ended unexpectedly by SIGKILL"), "{said}");
}

#[test]
fn flapping_and_a_start_that_was_given_up_are_told() {
    let web = Server::web("200 OK");
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(&format!(
        "[circus]\nlogoutput = all.log\nevents_endpoint = ipc://{}/own\n\
         [watcher:bad]\ncmd = sh -c \"sleep 0.1; exit 3\"\nrespawn_healthy = 0\nautostart = False\n\
         [watcher:missing]\ncmd = /nonexistent/program\nmax_retry = 1\nautostart = False\n\
         [plugin:f]\nuse = Flapping\nretry_in = 30\n\
         [plugin:n]\nuse = Notifier\nevents = flapping fatal\nwebhook = http://127.0.0.1:{}/\n",
        dir.path().display(),
        web.port()
    ));
    wait_started(&daemon, 2);
    daemon.ok("start", json!({"name": "bad"}));
    assert!(web.wait("flapping").contains("keeps dying; it is started again in 30 s"));
    daemon.ok("start", json!({"name": "missing"}));
    assert!(web.wait("fatal").contains("cannot be started"));
}

#[test]
fn no_message_overtakes_another() {
    let daemon = Daemon::start(&format!(
        "{LOGGED}[watcher:web]\ncmd = sleep 1000\nautostart = False\n\
         [plugin:n]\nuse = Notifier\nevents = start stop\nwatchers_regex = web\ninterval = 0\n\
         command = sh -c '[ $CIRCUS_EVENT = stop ] && sleep 0.5; echo $CIRCUS_EVENT >> order'\n"
    ));
    wait_started(&daemon, 1);
    let order = || fs::read_to_string(daemon.path("order")).unwrap_or_default();
    daemon.wait_until("its first message", |daemon| {
        daemon.done("restart", "web");
        fs::read_to_string(daemon.path("all.log")).unwrap_or_default().contains("web on ")
    });
    for _ in 0..3 {
        daemon.done("restart", "web");
    }
    daemon.wait_until("all that are slow", |_| order().matches("stop").count() >= 3);
    let order = order();
    let words: Vec<&str> = order.lines().skip_while(|word| *word == "start").collect();
    assert!(words.chunks_exact(2).all(|pair| pair == ["stop", "start"]), "{order}");
}
