//! From a watcher's options to the order of one spawn.

use std::{collections::BTreeMap, sync::Arc};

use circus_common::{
    Channel,
    config::{Orphans, WatcherConfig, expand, python_text::repr_text},
};

use super::{
    effect::{Output, SpawnSpec, Stdin},
    input::SpawnFailure,
    socket::{self, Sockets},
};

/// All that spawning the process in slot `wid` needs.
///
/// # Errors
/// When the command cannot be made an argument vector: counts as a failed spawn.
pub(super) fn build(
    config: &WatcherConfig,
    wid: u32,
    env: &Arc<BTreeMap<String, String>>,
    sockets: &Sockets,
) -> Result<SpawnSpec, SpawnFailure> {
    let failure = |text| SpawnFailure { text, machine: false };
    let argv = expand::command_line(config, wid, sockets.numbers()).map_err(failure)?;
    let stdin = match &config.stdin_socket {
        Some(name) if sockets.get(&name.to_lowercase()).is_none() => {
            return Err(failure(format!("stdin_socket {} does not exist", repr_text(name))));
        }
        Some(name) => Stdin::Socket(name.to_lowercase()),
        None if config.close_child_stdin => Stdin::Null,
        None => Stdin::Inherit,
    };
    let order = socket::order(config, sockets);
    if let Some(absent) = order.listen.iter().find(|name| sockets.get(name).is_none()) {
        return Err(failure(format!("listen_fds {} does not exist", repr_text(absent))));
    }
    Ok(SpawnSpec {
        watcher: config.name.clone(),
        argv,
        // With a shell the shell is what is executed.
        executable: config.executable.clone().filter(|_| !config.shell),
        env: Arc::clone(env),
        working_dir: config.working_dir.clone(),
        uid: config.uid.clone(),
        gid: config.gid.clone(),
        rlimits: config.rlimits.iter().map(|(name, value)| (name.clone(), *value)).collect(),
        stdin,
        sockets: order,
        stdout: output(config, Channel::Stdout),
        stderr: output(config, Channel::Stderr),
        stop_signal: config.stop_signal,
        graceful_timeout: config.graceful_timeout,
        keeps_orphans: config.orphans == Orphans::Keep,
    })
}

/// Descriptor 1 or 2.
fn output(config: &WatcherConfig, channel: Channel) -> Output {
    let closed = match channel {
        Channel::Stdout => config.close_child_stdout,
        Channel::Stderr => config.close_child_stderr,
    };
    match closed {
        true => Output::Null,
        false if config.is_piped(channel) => Output::Stream,
        false => Output::Inherit,
    }
}
