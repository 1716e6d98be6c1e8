//! Supervisor, asked over XML-RPC on a TCP socket that stays open, as its own clients do.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use super::{Contender, Control, Launched, Layout, Name, Question, Venv, first_line, free_port, run, write};
use crate::{failure::Failure, place::Place, scenario::capture};

/// Before a connection that was refused is tried again.
const AGAIN: Duration = Duration::from_millis(20);
/// The longest answer that is taken: it tells of each process.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Supervisor from PyPI.
pub struct Supervisor {
    venv: Venv,
}

impl Supervisor {
    /// The one in this venv.
    #[must_use]
    pub const fn new(venv: Venv) -> Self {
        Self { venv }
    }
}

impl Contender for Supervisor {
    fn name(&self) -> Name {
        Name::Supervisor
    }

    fn version(&self) -> Result<String, Failure> {
        first_line(Command::new(self.venv.program("supervisord")).arg("--version"))
    }

    fn can(&self, layout: Layout) -> bool {
        layout != Layout::Statistics
    }

    fn launch(&self, place: &Place, layout: Layout) -> Result<Launched, Failure> {
        let port = free_port()?;
        let config = place.run.join("supervisor.conf");
        write(&config, &conf(place, layout, port))?;
        let mut command = Command::new(self.venv.program("supervisord"));
        let pid = run(command.arg("-n").arg("-c").arg(&config), place, "supervisor.log")?;
        let limit = place.limit;
        Ok(Launched::new(pid, move || Ok(Box::new(Rpc { port, limit, stream: None }))))
    }
}

/// No log of the programs, and no time in which a process counts as starting: nobody else has these.
fn conf(place: &Place, layout: Layout, port: u16) -> String {
    let run = place.run.display();
    let mut text = format!(
        "[supervisord]\nnodaemon=true\nlogfile={run}/supervisord.log\npidfile={run}/supervisord.pid\n\
         childlogdir={run}\nminfds={}\n\n[inet_http_server]\nport=127.0.0.1:{port}\n\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
        // It opens a handful for each process, and checks this limit before it begins.
        place.processes * 6 + 1024,
    );
    let program = format!(
        "command={}\nautostart=true\nautorestart=true\nstartsecs=0\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
        place.pause_command(),
    );
    match layout {
        Layout::One | Layout::Statistics => text.push_str(&format!(
            "\n[program:pause]\n{program}numprocs={}\nprocess_name=%(program_name)s_%(process_num)d\n",
            place.processes
        )),
        Layout::Each => {
            for number in 1..=place.processes {
                text.push_str(&format!("\n[program:pause{number}]\n{program}"));
            }
        }
        Layout::Capture => text.push_str(&format!(
            "\n[program:flood]\ncommand={}\nautostart=true\nautorestart=true\nstartsecs=0\nstderr_logfile=NONE\n\
             stdout_logfile={}\nstdout_logfile_maxbytes={}\nstdout_logfile_backups={}\n",
            place.flood_command(),
            place.captured().display(),
            capture::MAX_BYTES,
            capture::BACKUPS,
        )),
    }
    text
}

/// A client over XML-RPC.
struct Rpc {
    port: u16,
    limit: Duration,
    stream: Option<BufReader<TcpStream>>,
}

impl Rpc {
    fn call(&mut self, method: &str, flag: Option<bool>) -> Result<(), Failure> {
        let parameter =
            flag.map(|it| format!("<param><value><boolean>{}</boolean></value></param>", u8::from(it)));
        let body = format!(
            "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params>{}</params></methodCall>",
            parameter.unwrap_or_default()
        );
        let request = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/xml\r\nConnection: keep-alive\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let (answer, keep) = exchange(&mut stream, &request).map_err(|error| {
            let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            if late { Failure::Over(self.limit) } else { Failure::Io(error) }
        })?;
        if keep {
            self.stream = Some(stream);
        }
        if answer.contains("<fault>") {
            return Err(Failure::Broken(format!("{method}: {answer}")));
        }
        Ok(())
    }

    /// It may not listen yet.
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures time and tries again")]
    fn connect(&self) -> Result<BufReader<TcpStream>, Failure> {
        let begin = Instant::now();
        loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(self.limit))?;
                    return Ok(BufReader::new(stream));
                }
                Err(_) if begin.elapsed() < self.limit => thread::sleep(AGAIN),
                Err(_) => return Err(Failure::Over(self.limit)),
            }
        }
    }
}

/// Sends a request and reads the answer: its body, and whether the connection may be used again.
fn exchange(stream: &mut BufReader<TcpStream>, request: &str) -> io::Result<(String, bool)> {
    stream.get_mut().write_all(request.as_bytes())?;
    let (mut length, mut keep) = (None, true);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse::<usize>().ok();
        }
        keep &= line != "connection: close";
    }
    let mut body = Vec::new();
    match length {
        Some(length) => stream.by_ref().take(length.min(MAX_ANSWER) as u64).read_to_end(&mut body)?,
        None => stream.by_ref().take(MAX_ANSWER as u64).read_to_end(&mut body)?,
    };
    Ok((String::from_utf8_lossy(&body).into_owned(), keep && length.is_some()))
}

impl Control for Rpc {
    fn start(&mut self) -> Result<(), Failure> {
        self.call("supervisor.startAllProcesses", Some(true))
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.call("supervisor.stopAllProcesses", Some(true))
    }

    fn knows(&self, question: Question) -> bool {
        question == Question::List
    }

    fn ask(&mut self, _question: Question) -> Result<(), Failure> {
        self.call("supervisor.getState", None)
    }
}
