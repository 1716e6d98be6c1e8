//! The other ends: a statsd, a web and a mail server, each as small as can be.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use circus_tests::daemon::wait::LIMIT;

/// A statsd server.
pub struct Statsd(UdpSocket);

impl Statsd {
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Self(socket)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// The next metric, if one comes soon.
    pub fn next(&self) -> Option<String> {
        let mut buffer = [0; 1500];
        let length = self.0.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Waits for a metric that is so, and returns it.
    pub fn wait(&self, what: &str, mut is: impl FnMut(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        while Instant::now() < end {
            let Some(line) = self.next() else { continue };
            if is(&line) {
                return line;
            }
            seen.push(line);
        }
        panic!("no metric {what} among {seen:?}");
    }
}

/// A server that takes every request by the same function, and tells what it got.
pub struct Server {
    port: u16,
    pub requests: Receiver<String>,
}

impl Server {
    fn start(talk: impl Fn(TcpStream) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(request) = talk(stream) else { continue };
                if sender.send(request).is_err() {
                    return;
                }
            }
        });
        Self { port, requests }
    }

    /// A web server that answers with this status.
    pub fn web(status: &'static str) -> Self {
        Self::start(move |mut stream| {
            let request = http_request(&mut stream)?;
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            stream.write_all(answer.as_bytes()).ok()?;
            Some(request)
        })
    }

    /// A mail server that takes every mail.
    pub fn mail() -> Self {
        Self::start(|stream| smtp(stream).ok())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next request.
    pub fn wait(&self, what: &str) -> String {
        self.requests.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }
}

/// Head and body of a request.
fn http_request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut length = 0;
    loop {
        let start = text.len();
        reader.read_line(&mut text).ok()?;
        let line = text[start..].to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(text + &String::from_utf8_lossy(&body))
}

/// One conversation of SMTP; what the client said.
fn smtp(stream: TcpStream) -> std::io::Result<String> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut said = String::new();
    let mut in_data = false;
    writer.write_all(b"220 test\r\n")?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(said);
        }
        said.push_str(&line);
        let answer = match line.trim_end() {
            "." if in_data => {
                in_data = false;
                "250 taken\r\n"
            }
            _ if in_data => continue,
            "DATA" => {
                in_data = true;
                "354 go on\r\n"
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n")?;
                return Ok(said);
            }
            _ => "250 ok\r\n",
        };
        writer.write_all(answer.as_bytes())?;
    }
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
