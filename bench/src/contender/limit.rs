//! The limits: what the system itself needs, with nobody supervising.
//!
//! A bare posix_spawn loop, one thread per core, that reaps and replaces; and a raw ZeroMQ echo beside it, over the same
//! transport as circusd's. Both are processes of their own (`helper`), as the daemons are.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{Contender, Control, Launched, Layout, Name, Question, free_port, run, wire::Wire};
use crate::{failure::Failure, place::Place};

/// Before a connection that was refused is tried again.
const AGAIN: Duration = Duration::from_millis(5);

/// The bare loop and the echo.
pub struct Limit;

impl Contender for Limit {
    fn name(&self) -> Name {
        Name::Limit
    }

    fn version(&self) -> Result<String, Failure> {
        Ok("posix_spawn loop, ZeroMQ echo".to_owned())
    }

    fn can(&self, layout: Layout) -> bool {
        layout != Layout::Statistics
    }

    fn launch(&self, place: &Place, layout: Layout) -> Result<Launched, Failure> {
        if layout == Layout::Capture {
            return cat(place);
        }
        let endpoint = format!("tcp://127.0.0.1:{}", free_port()?);
        let socket = place.run.join("bare.sock");
        // Left by the one before: a socket file cannot be bound twice.
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
        run(Command::new(&place.bench).arg("echo").arg(&endpoint), place, "echo.log")?;
        let mut bare = Command::new(&place.bench);
        bare.arg("bare").arg(&socket).arg(place.pause()).arg(place.board());
        let pid = run(bare.arg(place.processes.to_string()), place, "bare.log")?;
        let limit = place.limit;
        Ok(Launched::new(pid, move || {
            let bare = Line { socket: socket.clone(), limit, stream: None };
            Ok(Box::new(Pair { bare, echo: Wire::new(&endpoint, limit)? }))
        }))
    }
}

/// `cat > file`, as a shell does it, and without rotation. Nobody controls it.
fn cat(place: &Place) -> Result<Launched, Failure> {
    let script = format!("{} | exec cat > {}", place.flood_command(), place.captured().display());
    let pid = run(Command::new("sh").arg("-c").arg(script), place, "cat.log")?;
    Ok(Launched::new(pid, || Err(Failure::Broken("nobody controls `cat`".to_owned()))))
}

/// Starts and stops go to the bare loop, questions to the echo.
struct Pair {
    bare: Line,
    echo: Wire,
}

impl Control for Pair {
    fn start(&mut self) -> Result<(), Failure> {
        self.bare.call("start\n")
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.bare.call("stop\n")
    }

    fn ask(&mut self, question: Question) -> Result<(), Failure> {
        self.echo.ask(question)
    }
}

/// One line there, one line back.
struct Line {
    socket: PathBuf,
    limit: Duration,
    stream: Option<BufReader<UnixStream>>,
}

impl Line {
    fn call(&mut self, order: &str) -> Result<(), Failure> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.socket, self.limit)?,
        };
        stream.get_mut().write_all(order.as_bytes())?;
        let mut answer = String::new();
        match stream.read_line(&mut answer) {
            Ok(_) if answer == "ok\n" => {}
            Ok(_) => return Err(Failure::Broken(format!("the bare loop answers `{}`", answer.trim()))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(Failure::Over(self.limit)),
            Err(error) => return Err(error.into()),
        }
        self.stream = Some(stream);
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time and tries again")]
fn connect(socket: &Path, limit: Duration) -> Result<BufReader<UnixStream>, Failure> {
    let begin = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(limit))?;
                return Ok(BufReader::new(stream));
            }
            Err(_) if begin.elapsed() < limit => thread::sleep(AGAIN),
            Err(error) => return Err(error.into()),
        }
    }
}
