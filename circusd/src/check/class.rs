//! Whether the Python class of a stream and the callable of a hook can be had, tried out in a helper of its own.
//!
//! `--check` has no daemon, so the helper is an ordinary child here, with the rights of whoever checks. Nothing is
//! constructed and nothing called.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    process::{Command, Stdio},
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
    let answered = converse(helper, greeting.bytes(), 1);
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
    let answered = converse(spec, &hooks::words_to_look_up(callable), 2);
    let judged = answered.and_then(|lines| {
        read_answer(lines.first().map_or(&[], Vec::as_slice))?;
        hooks::read_lookup(lines.get(1).map_or(&[], Vec::as_slice))
    });
    judged.map_err(|reason| format!("{callable} cannot be called under {program}: {reason}"))
}

/// Says that to a helper and returns what it answers, at most so many lines.
fn converse(spec: &SpawnSpec, words: &[u8], lines: usize) -> Result<Vec<Vec<u8>>, String> {
    let failed = |error: std::io::Error| error.to_string();
    let (program, args) = spec.argv.split_first().ok_or("there is no interpreter")?;
    let (mut socket, theirs) = UnixStream::pair().map_err(failed)?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    // It is looked for in the PATH that it is given.
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(spec.env.iter()).current_dir(&spec.working_dir);
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).stdout(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "there is no daemon here, and so no second reaper")]
    let mut child = command.spawn().map_err(|error| format!("it cannot be run: {error}"))?;
    // The command holds the other end too.
    drop(command);
    let written = socket.write_all(words);
    let answered: Result<Vec<Vec<u8>>, _> =
        BufReader::new((&socket).take(LONGEST_ANSWER)).split(b'\n').take(lines).collect();
    _ = child.kill();
    #[expect(clippy::disallowed_methods, reason = "as above")]
    child.wait().map_err(failed)?;
    match answered {
        // Who has ended already may have said why.
        Ok(answered) if answered.is_empty() => written.map(|()| answered).map_err(failed),
        answered => answered.map_err(failed),
    }
}
