//! The first words to a helper and its answer: its program, what it is to be, and whether it can be that.
//!
//! The program is preceded by its length on a line of its own, as what Python is started with expects; one line of JSON
//! says what is wanted. The helper answers with one line: `{"ok": true}`, or `{"error": "..."}` and its end.

use std::{io, time::Duration};

use circus_common::python::RESOLVE;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// How long Python may take to start and to import what it is asked to.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 64 * 1024;

/// What runs in a helper of a stream.
const STREAM_HOST: &str = include_str!("stream_host.py");

/// The first words to one helper.
#[derive(Clone, Debug)]
pub struct Greeting(Vec<u8>);

impl Greeting {
    /// To a helper that is to run a stream's class; if it only is to `look`, nothing is constructed.
    #[must_use]
    pub fn of_stream(class: &str, arguments: &Value, look: bool) -> Self {
        let wish = json!({"class": class, "conf": arguments, "look": look});
        Self::of_host(STREAM_HOST, &wish)
    }

    /// To a helper that calls hooks.
    #[must_use]
    pub fn of_hooks(program: &str) -> Self {
        Self::of_host(program, &Value::Null)
    }

    fn of_host(program: &str, wish: &Value) -> Self {
        Self::new(&format!("{RESOLVE}{program}"), wish)
    }

    fn new(program: &str, wish: &Value) -> Self {
        Self(format!("{}\n{program}{wish}\n", program.len()).into_bytes())
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Says it and reads the answer.
    ///
    /// # Errors
    /// What the helper says is wrong, or how it failed to say anything.
    pub(super) async fn say(
        self,
        socket: std::os::unix::net::UnixStream,
    ) -> Result<std::os::unix::net::UnixStream, String> {
        match tokio::time::timeout(PATIENCE, self.exchange(socket)).await {
            Ok(Ok(socket)) => Ok(socket),
            Ok(Err(reason)) => Err(reason),
            Err(_) => Err(format!("its Python does not get ready within {} s", PATIENCE.as_secs())),
        }
    }

    async fn exchange(
        &self,
        socket: std::os::unix::net::UnixStream,
    ) -> Result<std::os::unix::net::UnixStream, String> {
        let failed = |error: io::Error| format!("cannot speak to its Python: {error}");
        let mut socket = UnixStream::from_std(socket).map_err(failed)?;
        // Who has ended already may have said why.
        let written = socket.write_all(&self.0).await;
        let answer = read_line(&mut socket).await.map_err(failed)?;
        read_answer(&answer)?;
        written.map_err(failed)?;
        let socket = socket.into_std().map_err(failed)?;
        // Whoever writes to it from now on has a thread to wait on.
        socket.set_nonblocking(false).map_err(failed)?;
        Ok(socket)
    }
}

/// Reads up to a newline and not a byte further: what follows is not ours.
async fn read_line(socket: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.len() < LONGEST_ANSWER {
        match socket.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(line)
}

/// What an answer means.
///
/// # Errors
/// The reason that it gives.
pub fn read_answer(line: &[u8]) -> Result<(), String> {
    if line.is_empty() {
        return Err("its Python ended without a word; circusd's stderr may hold more".to_owned());
    }
    match serde_json::from_slice::<Value>(line) {
        Ok(answer) if answer["ok"] == true => Ok(()),
        Ok(Value::Object(answer)) => match answer.get("error").and_then(Value::as_str) {
            Some(reason) => Err(reason.to_owned()),
            None => Err("its Python gave an answer that means nothing".to_owned()),
        },
        Ok(_) | Err(_) => Err("its Python wrote something else than an answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_yes_or_why_not() {
        assert_eq!(read_answer(br#"{"ok": true}"#), Ok(()));
        assert_eq!(
            read_answer(br#"{"error": "No module named 'x'"}"#),
            Err("No module named 'x'".to_owned())
        );
        for line in [&b""[..], b"[]", b"{}", b"hello", b"\xff"] {
            assert!(read_answer(line).is_err());
        }
    }

    #[test]
    fn a_greeting_is_a_length_a_program_and_a_line() {
        let bytes = Greeting::new("ab\n", &json!({"c": 1})).0;
        assert_eq!(bytes, b"3\nab\n{\"c\":1}\n");
    }
}
