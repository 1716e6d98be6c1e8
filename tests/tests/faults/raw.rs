//! A client on an ipc endpoint that speaks ZMTP byte by byte, so that it can also speak it wrongly.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

/// How long any single read or write of a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to an endpoint of the daemon.
pub struct Raw(pub UnixStream);

impl Raw {
    /// Connects and says nothing.
    pub fn mute(path: &str) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Connects and completes the handshake.
    pub fn ready(path: &str, socket_type: &str) -> io::Result<Self> {
        let mut raw = Self::mute(path)?;
        let mut greeting = [0_u8; 64];
        greeting[0] = 0xff;
        greeting[9] = 0x7f;
        greeting[10..12].copy_from_slice(&[3, 0]);
        greeting[12..16].copy_from_slice(b"NULL");
        raw.0.write_all(&greeting)?;
        let mut ready = b"\x05READY\x0bSocket-Type".to_vec();
        ready.extend(u32::try_from(socket_type.len()).unwrap().to_be_bytes());
        ready.extend(socket_type.as_bytes());
        raw.frame(0x04, &ready)?;
        raw.0.read_exact(&mut [0; 64])?;
        raw.read()?;
        Ok(raw)
    }

    /// Sends one frame.
    pub fn frame(&mut self, flags: u8, body: &[u8]) -> io::Result<()> {
        let mut bytes = vec![flags | 0x02];
        bytes.extend((body.len() as u64).to_be_bytes());
        bytes.extend(body);
        self.0.write_all(&bytes)
    }

    /// The next frame.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut flags = [0];
        self.0.read_exact(&mut flags)?;
        let mut length = [0; 8];
        let short = flags[0] & 0x02 == 0;
        self.0.read_exact(if short { &mut length[7..] } else { &mut length })?;
        let mut body = vec![0; usize::try_from(u64::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }
}
