//! The rows, in the order of the reference page.

use super::{Change, Field, Legal, OptionSpec, members};
use crate::config::value::Kind;

/// Files, `add` and `set`.
const EVERYWHERE: Legal = Legal { file: true, add: true, set: true };
/// Files and `add`: it cannot be changed while the watcher lives.
const AT_BIRTH: Legal = Legal { file: true, add: true, set: false };
/// Files only.
const FILE: Legal = Legal { file: true, add: false, set: false };
/// `add` and `set` only.
const WIRE: Legal = Legal { file: false, add: true, set: true };

/// A row for a field of the same name that is reported under it.
macro_rules! option {
    ($field:ident, $kind:expr, $default:literal, $legal:expr, $change:ident, $doc:literal) => {
        OptionSpec {
            reported: Some(stringify!($field)),
            ..silent!($field, $kind, $default, $legal, $change, $doc)
        }
    };
}

/// A row for a field that `options` and `get` do not show.
macro_rules! silent {
    ($field:ident, $kind:expr, $default:literal, $legal:expr, $change:ident, $doc:literal) => {
        OptionSpec {
            name: stringify!($field),
            kind: $kind,
            default: $default,
            legal: $legal,
            change: Change::$change,
            reported: None,
            doc: $doc,
            read: |watcher| Some(watcher.$field.to_json()),
            write: |watcher, _, value| {
                watcher.$field = Field::from_json(value)?;
                Ok(())
            },
        }
    };
}

/// A row whose values live elsewhere than in a field of its own.
macro_rules! other {
    ($name:literal, $kind:expr, $legal:expr, $change:ident, $reported:expr, $read:expr, $write:expr, $doc:literal) => {
        OptionSpec {
            name: $name,
            kind: $kind,
            default: "",
            legal: $legal,
            change: Change::$change,
            reported: $reported,
            doc: $doc,
            read: $read,
            write: $write,
        }
    };
}

/// Every option of a watcher.
#[rustfmt::skip]
pub const TABLE: &[OptionSpec] = &[
    option!(cmd, Kind::Text, "", EVERYWHERE, Reload, "the program with its arguments; split like a shell does, but run without one"),
    option!(args, Kind::Words, "", EVERYWHERE, Reload, "further arguments, appended to `cmd`"),
    option!(numprocesses, Kind::Integer, "1", EVERYWHERE, Manage, "how many processes to run"),
    other!("working_dir", Kind::Text, EVERYWHERE, Reload, Some("working_dir"),
        |watcher| Some(watcher.working_dir.to_json()),
        |watcher, _, value| {
            watcher.working_dir = Option::<String>::from_json(value)?.unwrap_or_default();
            Ok(())
        },
        "the directory the processes start in; circusd's own if not set"),
    option!(shell, Kind::Flag, "False", EVERYWHERE, Reload, "hand `cmd` and `args` to `/bin/sh -c` as they are written"),
    option!(shell_args, Kind::Text, "", AT_BIRTH, Reload, "with `shell`: what the shell sees as `$0 $1 ...`"),
    option!(executable, Kind::Text, "", AT_BIRTH, Reload, "the file to execute, when it is not the first word of `cmd`"),
    option!(uid, Kind::Account, "", EVERYWHERE, Reload, "the user the processes run as"),
    option!(gid, Kind::Account, "", EVERYWHERE, Reload, "the group the processes run as; the user's own if not set"),
    option!(env, Kind::Env, "", WIRE, Reload, "the whole environment; in files, use sections `[env]` and `[env:NAMES]`"),
    option!(copy_env, Kind::Flag, "False", EVERYWHERE, Reload, "start from circusd's own environment; otherwise it is empty"),
    silent!(copy_path, Kind::Flag, "False", AT_BIRTH, Reload, "pass on circusd's PYTHONPATH; needs `copy_env`"),
    silent!(virtualenv, Kind::Text, "", AT_BIRTH, Reload, "a Python virtual environment to put in front of PATH and PYTHONPATH; needs `copy_env`"),
    silent!(virtualenv_py_ver, Kind::Text, "", AT_BIRTH, Reload, "its Python version, such as `3.11`; the newest found if not set"),
    option!(priority, Kind::Integer, "0", AT_BIRTH, None, "higher starts first; a stop of all begins with the lowest, but none waits for another"),
    silent!(autostart, Kind::Flag, "True", AT_BIRTH, None, "start it with circusd"),
    option!(respawn, Kind::Flag, "True", EVERYWHERE, Manage, "replace a process that ended"),
    option!(respawn_healthy, Kind::Number, "1.0", EVERYWHERE, None, "own: a process that lived this many seconds is replaced at once; one that ended sooner, with growing pauses; with 0 there is never a pause"),
    option!(max_retry, Kind::Integer, "5", EVERYWHERE, None, "give up starting after so many failed attempts in a row; -1 is never"),
    option!(warmup_delay, Kind::Delay, "0", EVERYWHERE, Manage, "seconds between the starts of two processes"),
    option!(singleton, Kind::Flag, "False", EVERYWHERE, Manage, "never more than one process"),
    option!(stop_signal, Kind::Signal, "SIGTERM", EVERYWHERE, Manage, "the signal that asks a process to end: name or number, also `SIGRTMIN+2`; in a request, as in Circus, the number alone (`circusctl set` takes names and sends it)"),
    option!(stop_children, Kind::Flag, "False", EVERYWHERE, Manage, "send it to the direct children too"),
    option!(graceful_timeout, Kind::Number, "30.0", EVERYWHERE, None, "seconds from that signal to SIGKILL"),
    option!(orphans, Kind::Choice(&["end", "keep"]), "end", EVERYWHERE, None, "own: what becomes of descendants that a stopped process leaves behind"),
    option!(send_hup, Kind::Flag, "False", EVERYWHERE, Manage, "a reload sends SIGHUP instead of replacing the processes"),
    option!(reload_settle, Kind::Number, "0.3", EVERYWHERE, None, "own: seconds a new process must have lived before a reload ends an old one"),
    option!(reload_undo, Kind::Flag, "", EVERYWHERE, None, "own: whether a reload whose new processes die is undone; if not set, when managed sockets are used"),
    option!(max_age, Kind::Integer, "0", EVERYWHERE, Reload, "replace a process after so many seconds; 0 is never"),
    option!(max_age_variance, Kind::Integer, "30", EVERYWHERE, Reload, "add a random number of seconds to it, up to this many"),
    option!(use_sockets, Kind::Flag, "False", AT_BIRTH, Reload, "let the processes inherit the managed sockets"),
    option!(on_demand, Kind::Flag, "False", AT_BIRTH, None, "start at the first connection to a managed socket"),
    option!(idle_timeout, Kind::Number, "0", EVERYWHERE, None, "own: stop an `on_demand` watcher after so many seconds without a connection; 0 is never"),
    silent!(stdin_socket, Kind::Text, "", AT_BIRTH, Reload, "the managed socket that becomes standard input"),
    option!(listen_fds, Kind::Text, "", AT_BIRTH, Reload, "own: names of managed sockets, with commas between, passed as descriptors 3 and up with `LISTEN_FDS`"),
    option!(close_child_stdin, Kind::Flag, "True", EVERYWHERE, Reload, "give the processes /dev/null as standard input"),
    option!(close_child_stdout, Kind::Flag, "False", EVERYWHERE, Reload, "send their standard output to /dev/null"),
    option!(close_child_stderr, Kind::Flag, "False", EVERYWHERE, Reload, "send their standard error to /dev/null"),
    other!("stdout_stream.", Kind::StreamMember, EVERYWHERE, Manage, Some("stdout_stream_conf"),
        |watcher| Some(members::stream(watcher, &watcher.stdout_stream)),
        |watcher, member, value| members::write_stream(&mut watcher.stdout_stream, member, value),
        "where standard output goes: `class` and the options of that class"),
    other!("stderr_stream.", Kind::StreamMember, EVERYWHERE, Manage, Some("stderr_stream_conf"),
        |watcher| Some(members::stream(watcher, &watcher.stderr_stream)),
        |watcher, member, value| members::write_stream(&mut watcher.stderr_stream, member, value),
        "where standard error goes, likewise"),
    other!("stdout_stream", Kind::Stream, WIRE, Manage, None, |_| None,
        |watcher, _, value| members::replace_stream(&mut watcher.stdout_stream, value),
        "the whole of `stdout_stream.*` as one object"),
    other!("stderr_stream", Kind::Stream, WIRE, Manage, None, |_| None,
        |watcher, _, value| members::replace_stream(&mut watcher.stderr_stream, value),
        "the whole of `stderr_stream.*` as one object"),
    option!(python, Kind::Text, "", EVERYWHERE, Manage, "own: the Python that runs its stream classes; that of `[circus]` if not set"),
    other!("rlimit_", Kind::Rlimit, EVERYWHERE, Reload, None, |_| None, members::write_rlimit,
        "a resource limit, soft and hard, such as `rlimit_nofile`; empty or -1 is no limit"),
    other!("hooks.", Kind::Hook, EVERYWHERE, Manage, None, |_| None, members::write_hook,
        "what to call at that moment: a Python callable, `exec:PROGRAM`, `builtin:tcp:HOST:PORT`, `builtin:http:URL` or `builtin:file:PATH`; with `, True` a failure counts as success"),
    other!("hooks", Kind::Hooks, WIRE, Manage, None, |_| None, members::write_hooks,
        "several of `hooks.*` as one object"),
    option!(hook_timeout, Kind::Number, "30.0", EVERYWHERE, None, "own: seconds after which a hook that has not answered is ended and counts as failed; 0 is never"),
    other!("retry_in", Kind::Number, WIRE, None, None, |_| None,
        |watcher, _, value| members::write_extra(watcher, "retry_in", value),
        "kept for plugins"),
    other!("check_flapping", Kind::Flag, FILE, None, None, |_| None,
        |watcher, _, value| members::write_extra(watcher, "check_flapping", value),
        "kept for plugins"),
];
