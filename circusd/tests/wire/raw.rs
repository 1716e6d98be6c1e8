//! A client that speaks ZMTP byte by byte, so that it can also speak it wrongly.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

/// How long any single read or write of a test may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a listener of the daemon.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects and says nothing.
    pub fn mute(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// Connects and sends the greeting only.
    pub fn greeting(port: u16) -> Self {
        let mut raw = Self::mute(port);
        let mut greeting = [0_u8; 64];
        greeting[0] = 0xff;
        greeting[9] = 0x7f;
        greeting[10..12].copy_from_slice(&[3, 0]);
        greeting[12..16].copy_from_slice(b"NULL");
        raw.0.write_all(&greeting).unwrap();
        raw
    }

    /// Connects and completes the handshake.
    pub fn ready(port: u16, socket_type: &str, identity: &[u8]) -> Self {
        let mut raw = Self::greeting(port);
        let mut ready = vec![5];
        ready.extend(b"READY");
        for (name, value) in [("Socket-Type", socket_type.as_bytes()), ("Identity", identity)] {
            ready.push(u8::try_from(name.len()).unwrap());
            ready.extend(name.as_bytes());
            ready.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            ready.extend(value);
        }
        raw.frame(0x04, &ready).unwrap();
        raw.0.read_exact(&mut [0; 64]).unwrap();
        let (flags, body) = raw.read().unwrap();
        assert_eq!((flags, &body[1..6]), (0x04, &b"READY"[..]));
        raw
    }

    /// Sends one frame.
    pub fn frame(&mut self, flags: u8, body: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(body.len() + 9);
        if let Ok(short) = u8::try_from(body.len()) {
            bytes.extend([flags, short]);
        } else {
            bytes.push(flags | 0x02);
            bytes.extend((body.len() as u64).to_be_bytes());
        }
        bytes.extend(body);
        self.0.write_all(&bytes)
    }

    /// Sends a request of one frame.
    pub fn request(&mut self, text: &str) -> io::Result<()> {
        self.frame(0, text.as_bytes())
    }

    /// The next frame.
    pub fn read(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut flags = [0];
        self.0.read_exact(&mut flags)?;
        let length = if flags[0] & 0x02 == 0 {
            let mut short = [0];
            self.0.read_exact(&mut short)?;
            u64::from(short[0])
        } else {
            let mut long = [0; 8];
            self.0.read_exact(&mut long)?;
            u64::from_be_bytes(long)
        };
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut body)?;
        Ok((flags[0] & !0x02, body))
    }

    /// The next message as text, commands of the protocol passed over.
    pub fn answer(&mut self) -> io::Result<String> {
        loop {
            let (flags, body) = self.read()?;
            if flags == 0 {
                return Ok(String::from_utf8(body).unwrap());
            }
        }
    }

    /// Whether the daemon closes the connection within that time. What it sends before is thrown away.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let mut sink = [0; 4096];
        loop {
            match self.0.read(&mut sink) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => {
                    return !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                }
            }
        }
    }
}
