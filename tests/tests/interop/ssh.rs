//! `--ssh` of every tool that has it, by way of OpenSSH's own server.

use std::{
    env, fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use circus_tests::daemon::{Listener, Program, process, programs::program, skip, wait::wait_until};
use serde_json::Value;
use tempfile::TempDir;

use crate::daemon::{Daemon, free_ports};

/// It wants to be called by its whole path, and is in no user's PATH.
const SSHD: &str = "/usr/sbin/sshd";

/// A server on a port of its own that lets in who has the one key.
struct Server {
    sshd: Child,
    port: u16,
    directory: TempDir,
}

impl Server {
    /// Starts it, if there are ssh and sshd.
    fn start(test: &str) -> Option<Self> {
        // Without its host key it ends at once, but it is there.
        if !Path::new(SSHD).exists() {
            skip::skipped(test, SSHD);
            return None;
        }
        if !skip::can_run(test, &["ssh", "-V"]) {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("circus-ssh-").tempdir().unwrap();
        let port = free_ports()[0];
        lay_out(directory.path(), port);
        if rustix::process::geteuid().is_root() {
            // Where the server of the system never ran nobody has made it.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut command = Command::new(SSHD);
        command.args(["-D", "-E"]).arg(directory.path().join("log"));
        command.arg("-f").arg(directory.path().join("sshd_config")).stdin(Stdio::null());
        let server = Self { sshd: command.spawn().unwrap(), port, directory };
        wait_until("sshd", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(server)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// One of our programs, for which `ssh` is the real one with a configuration of the test's own.
    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(name));
        let path = env::var("PATH").unwrap_or_default();
        command.args(arguments).env("PATH", format!("{}:{path}", self.path("bin")));
        command.env_remove("CIRCUSCTL_ENDPOINT").env_remove("SSH_AUTH_SOCK").stdin(Stdio::null());
        command
    }

    /// Runs it to its end, the part of ssh that stays aside.
    fn run(&self, name: &str, arguments: &[&str]) -> Output {
        self.command(name, arguments).output().unwrap()
    }

    /// Whether the server has led somebody to that endpoint.
    fn has_led_to(&self, endpoint: &str) -> bool {
        let port = endpoint.rsplit(':').next().unwrap_or_default();
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().any(|line| {
            line.contains("originator") && line.contains(&format!("target 127.0.0.1 port {port}"))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Those who are led through it lead sessions of their own.
        for pid in process::living_descendants(self.sshd.id().cast_signed()) {
            process::kill(pid);
        }
        _ = self.sshd.kill();
        _ = self.sshd.wait();
    }
}

/// Keys, both configurations, and an `ssh` that reads ours: the real one looks for it in the user's home only.
fn lay_out(directory: &Path, port: u16) {
    for key in ["host", "key", "stranger"] {
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(directory.join(key));
        assert!(command.status().unwrap().success());
    }
    let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
    let here = directory.display();
    let known = format!("[127.0.0.1]:{port} {}", read("host.pub"));
    let server = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {here}/host\nAuthorizedKeysFile {here}/key.pub\n\
         PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin yes\nLogLevel DEBUG1\n"
    );
    let client = format!(
        "UserKnownHostsFile {here}/known_hosts\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n\
         IdentitiesOnly yes\nIdentityFile {here}/key\nBatchMode yes\n"
    );
    let original = env::var("PATH").unwrap_or_default();
    let ssh = format!("#!/bin/sh\nPATH='{original}'\nexport PATH\nexec ssh -F {here}/ssh_config \"$@\"\n");
    fs::create_dir(directory.join("bin")).unwrap();
    for (name, text) in
        [("known_hosts", known), ("sshd_config", server), ("ssh_config", client), ("bin/ssh", ssh)]
    {
        fs::write(directory.join(name), text).unwrap();
    }
    fs::set_permissions(directory.join("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn circusctl_commands_a_daemon_behind_ssh() {
    let Some(server) = Server::start("circusctl_commands_a_daemon_behind_ssh") else { return };
    let daemon = Daemon::start();
    let way = ["--endpoint", &daemon.endpoint, "--ssh", &server.address()];
    let ask = |arguments: &[&str]| server.run("circusctl", &[&way[..], arguments].concat());
    let listed = ask(&["list"]);
    assert_eq!(text(&listed.stdout), "down,marker,one,sleep er,web\n", "{}", text(&listed.stderr));
    assert!(server.has_led_to(&daemon.endpoint));
    assert_eq!(text(&ask(&["incr", "web", "--waiting"]).stdout), "3\n");
    assert_eq!(text(&ask(&["numprocesses", "web"]).stdout), "3\n");
    let refused = ask(&["start", "nobody"]);
    assert_eq!(
        (refused.status.code(), text(&refused.stderr)),
        (Some(3), "error: program nobody not found\n".into())
    );
}

#[test]
fn the_keyfile_decides_who_is_let_in() {
    let Some(server) = Server::start("the_keyfile_decides_who_is_let_in") else { return };
    let daemon = Daemon::start();
    // Without a key in the configuration only the one that is named counts.
    let client = fs::read_to_string(server.path("ssh_config")).unwrap();
    let without: String = client
        .lines()
        .filter(|line| !line.starts_with("IdentityFile"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(server.path("ssh_config"), without).unwrap();
    let with = |key: &str| {
        let keyfile = server.path(key);
        let way = ["--endpoint", &daemon.endpoint, "--ssh", &server.address(), "--ssh_keyfile", &keyfile];
        server.run("circusctl", &[&way[..], &["numwatchers"]].concat())
    };
    assert_eq!(text(&with("key").stdout), "5\n");
    let refused = with("stranger");
    let said = text(&refused.stderr);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), String::new()));
    assert!(
        said.contains("Permission denied (publickey)") && said.contains("cannot open the tunnel"),
        "{said}"
    );
}

#[test]
fn circus_top_looks_at_a_daemon_behind_ssh() {
    let Some(server) = Server::start("circus_top_looks_at_a_daemon_behind_ssh") else { return };
    let (daemon, stats) = Daemon::start_with_statistics();
    let way = ["--endpoint", &stats, "--control", &daemon.endpoint, "--ssh", &server.address()];
    let shown = server.run("circus-top", &[&way[..], &["--json"]].concat());
    let told: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let host = &told["hosts"][0];
    let web = host["watchers"].as_array().unwrap().iter().find(|it| it["name"] == "Web").unwrap();
    assert_eq!((&web["state"], web["processes"].as_array().unwrap().len()), (&"active".into(), 2), "{host}");
    // Figures by the one tunnel, states by the other, events by a third.
    for endpoint in [&stats, &daemon.endpoint, &daemon.pubsub] {
        assert!(server.has_led_to(endpoint), "{endpoint}");
    }

    fs::write(server.path("key.pub"), fs::read(server.path("stranger.pub")).unwrap()).unwrap();
    let refused = server.run("circus-top", &[&way[..], &["--once"]].concat());
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), String::new()));
    assert!(text(&refused.stderr).contains("Permission denied (publickey)"), "{}", text(&refused.stderr));
}

#[test]
fn both_connections_of_circusd_stats_go_through_ssh() {
    let Some(server) = Server::start("both_connections_of_circusd_stats_go_through_ssh") else { return };
    let daemon = Daemon::start();
    let stats = format!("ipc://{}", server.path("stats"));
    let arguments = ["--endpoint", &daemon.endpoint, "--pubsub", &daemon.pubsub, "--statspoint", &stats];
    let mut command = server.command("circusd-stats", &arguments);
    command.args(["--ssh", &server.address()]);
    let _by_hand = Program(command.spawn().unwrap());
    let listener = Listener::to(&stats);
    // What it was told at its start came by the one, what happened since by the other.
    let before = listener.next("stat.web")["pid"].clone();
    assert!(server.has_led_to(&daemon.endpoint) && server.has_led_to(&daemon.pubsub));
    let incr = daemon.ask(&mut Command::new(program("circusctl")), &["incr", "web"]);
    assert!(incr.status.success());
    let grown = |value: &Value| value["pid"].as_array().map(Vec::len) == Some(3);
    assert_ne!(listener.wait("stat.web", "a new process", grown)["pid"], before);
}
