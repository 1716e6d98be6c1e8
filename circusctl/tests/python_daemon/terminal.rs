//! A terminal for the shell, made by `script` of util-linux.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;

use crate::daemon::{Daemon, end, wait_for};

/// A terminal in which circusctl runs as a shell.
pub struct Terminal {
    child: Child,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    pub fn start(daemon: &Daemon, state: &TempDir) -> Self {
        let program = assert_cmd::cargo::cargo_bin("circusctl");
        let mut command = Command::new("script");
        command
            .args(["-qefc", &format!("exec {}", program.display()), "/dev/null"])
            .env("CIRCUSCTL_ENDPOINT", &daemon.endpoint)
            .env("XDG_STATE_HOME", state.path())
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = stdout.read(&mut piece) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        Self { child, screen }
    }

    pub fn write(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// How often the text was shown so far.
    pub fn shown(&self, text: &str) -> usize {
        self.screen.lock().unwrap().matches(text).count()
    }

    /// Waits until the text was shown so many times.
    pub fn wait_for(&self, text: &str, times: usize) {
        wait_for(&format!("{text:?}"), || self.shown(text) >= times);
    }

    /// Waits for the prompt that follows a text.
    pub fn wait_for_prompt_after(&self, text: &str) {
        wait_for(&format!("a prompt after {text:?}"), || {
            let screen = self.screen.lock().unwrap();
            screen.rsplit_once(text).is_some_and(|(_, after)| after.contains("(circusctl) "))
        });
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        wait_for("its end", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}
