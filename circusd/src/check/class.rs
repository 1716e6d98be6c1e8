//! Whether the Python class of a stream and the callable of a hook can be had, tried out in a helper of its own.
//!
//! `--check` has no daemon, so the helper is an ordinary child here, with the rights of whoever checks. Nothing is
//! constructed and nothing called.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
    time::Duration,
};

use circus_common::config::{
    HookAction,
    stream::{Class, StreamConfig},
};

use crate::{
    arbiter::{effect::SpawnSpec, hook::HookCandidate},
    helpers::{Greeting, PATIENCE, arguments, read_answer},
    hooks,
};

/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Tries the class of a stream out.
///
/// # Errors
/// Why it cannot be had.
pub(super) fn try_out(config: &StreamConfig, helper: &SpawnSpec) -> Result<(), String> {
    let (Class::Python(python), Some(program)) = (&config.class, helper.argv.first()) else { return Ok(()) };
    let greeting = Greeting::of_stream(&python.path, &arguments(config), true);
    let answered = converse(helper, greeting.bytes(), PATIENCE, |_| true);
    let judged = answered.and_then(|lines| read_answer(lines.first().map_or(&[], Vec::as_slice)));
    judged.map_err(|reason| format!("the class {} does not run under {program}: {reason}", python.path))
}

/// Looks the callable of a hook up.
///
/// # Errors
/// Why it cannot be had.
pub(super) fn look_up(candidate: &HookCandidate) -> Result<(), String> {
    let (HookAction::Python(callable), Some(spec)) = (&candidate.place.action, &candidate.place.spawn) else {
        return Ok(());
    };
    let program = spec.argv.first().map_or("python3", String::as_str);
    // Between the two answers stands what modules log when they are imported.
    let answered = converse(spec, &hooks::words_to_look_up(callable), hooks::PATIENCE, hooks::is_lookup);
    let judged = answered.and_then(|lines| {
        read_answer(lines.first().map_or(&[], Vec::as_slice))?;
        hooks::read_lookup(lines.last().map_or(&[], Vec::as_slice))
    });
    judged.map_err(|reason| format!("{callable} cannot be called under {program}: {reason}"))
}

/// Says that to a helper and returns the lines it answers, up to the last one that is wanted.
fn converse(
    spec: &SpawnSpec,
    words: &[u8],
    patience: Duration,
    is_last: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let (program, args) = spec.argv.split_first().ok_or("there is no interpreter")?;
    let (mut socket, theirs) = UnixStream::pair().map_err(failed)?;
    socket.set_read_timeout(Some(patience)).map_err(failed)?;
    // It is looked for in the PATH that it is given.
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(spec.env.iter()).current_dir(&spec.working_dir);
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "there is no daemon here, and so no second reaper")]
    let mut child = command.spawn().map_err(|error| format!("it cannot be run: {error}"))?;
    // The command holds the other end too.
    drop(command);
    let written = socket.write_all(words);
    let answered = read_until(BufReader::new((&socket).take(LONGEST_ANSWER)), is_last);
    _ = child.kill();
    #[expect(clippy::disallowed_methods, reason = "as above")]
    child.wait().map_err(failed)?;
    match answered {
        // Who has ended already may have said why.
        Ok(answered) if answered.is_empty() => written.map(|()| answered).map_err(failed),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(format!("it gave no answer within {} s", patience.as_secs()))
        }
        answered => answered.map_err(failed),
    }
}

fn read_until(reader: impl BufRead, is_last: impl Fn(&[u8]) -> bool) -> std::io::Result<Vec<Vec<u8>>> {
    let mut lines = Vec::new();
    for line in reader.split(b'\n') {
        lines.push(line?);
        if lines.last().is_some_and(|line| is_last(line)) {
            break;
        }
    }
    Ok(lines)
}
