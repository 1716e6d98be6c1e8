//! A real terminal with a program in it, looked at as an operator would.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "it runs programs, and a test ends where its terminal does not work"
)]

use std::{
    ffi::OsString,
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Command, ExitStatus},
    sync::{Arc, Mutex},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};
use vt100::{MouseProtocolMode, Parser};

use crate::daemon::{
    Program, programs,
    wait::{wait_end, wait_until},
};

/// A terminal with a program in it.
pub struct Terminal {
    child: Program,
    keys: File,
    /// Our own hold on the program's side: its modes outlive the program.
    side: OwnedFd,
    screen: Arc<Mutex<Parser>>,
    /// Everything that was ever written.
    said: Arc<Mutex<String>>,
}

impl Terminal {
    /// One of our programs with these arguments, in a terminal of that many lines and columns.
    #[must_use]
    pub fn program(name: &str, arguments: &[&str], lines: u16, columns: u16) -> Self {
        let mut words = vec![programs::program(name).into_os_string()];
        words.extend(arguments.iter().map(Into::into));
        Self::run(&words, lines, columns)
    }

    /// Any program.
    #[must_use]
    pub fn run(words: &[OsString], lines: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        resize(&master, lines, columns);
        let side = || File::options().read(true).write(true).open(&name).unwrap();
        // setsid makes it the terminal of the program's own session.
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(words).stdin(side()).stdout(side()).stderr(side());
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        command.env_remove("NO_COLOR").env_remove("CIRCUSCTL_ENDPOINT");
        let child = Program(command.spawn().unwrap());
        let keys = File::from(master);
        let mut output = keys.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(Parser::new(lines, columns, 0)));
        let said = Arc::new(Mutex::new(String::new()));
        let (shown, heard) = (Arc::clone(&screen), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                shown.lock().unwrap().process(&piece[..length]);
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        Self { child, keys, side: side().into(), screen, said }
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.0.id().cast_signed()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, lines: u16, columns: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(lines, columns);
        resize(&self.keys, lines, columns);
    }

    /// What it shows.
    #[must_use]
    pub fn shown(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen is as it should be.
    pub fn wait(&self, reason: &str, is: impl Fn(&str) -> bool) {
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(reason, || is(&self.shown()));
        }));
        // A program that has ended may have said why, and the screen be too small for it.
        let all = || self.all_said().escape_debug().to_string().replace("\\r\\n", "\n");
        assert!(
            looked.is_ok(),
            "waited in vain for {reason}:\n{}\n--- of all it wrote:\n{}",
            self.shown(),
            all()
        );
    }

    /// Waits until the screen shows that.
    pub fn wait_for(&self, text: &str) {
        self.wait(&format!("`{text}`"), |shown| shown.contains(text));
    }

    /// Waits until that was written at some time.
    pub fn wait_said(&self, text: &str) {
        wait_until(text, || self.said.lock().unwrap().contains(text));
    }

    /// How often that was written.
    #[must_use]
    pub fn said(&self, text: &str) -> usize {
        self.all_said().matches(text).count()
    }

    /// Everything that was ever written, colours and all.
    #[must_use]
    pub fn all_said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until a program has the whole screen.
    pub fn wait_taken(&self) {
        wait_until("the whole screen", || self.screen.lock().unwrap().screen().alternate_screen());
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> ExitStatus {
        wait_end(&mut self.child.0)
    }

    /// Waits until the terminal is as a shell wants it: usual screen, cursor, no mouse, echo.
    pub fn wait_clean(&self) {
        wait_until("a clean terminal", || {
            let screen = self.screen.lock().unwrap();
            let screen = screen.screen();
            let modes = tcgetattr(&self.side).unwrap().local_modes;
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == MouseProtocolMode::None
                && modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
        });
    }
}

fn resize(terminal: &impl std::os::fd::AsFd, lines: u16, columns: u16) {
    let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}
