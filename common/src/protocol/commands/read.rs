//! Commands that only read.

use super::{
    Access, Argument, CommandOption, CommandSpec, Complete, Count, Kind, MAYBE_WATCHER, Member, NAME,
    ONE_WATCHER, OPTIONAL_NAME, Property, Sets, Usage, WRONG,
};

pub(super) const DSTATS: CommandSpec = CommandSpec {
    name: "dstats",
    summary: "Get circusd stats",
    doc: "Statistics of the daemon's own process: memory, CPU, age.",
    access: Access::Read,
    properties: &[],
    reply: &[Member {
        name: "info",
        doc: "The statistics, with the members that `stats` gives for a process but `started` and `wid`. `children` \
              is always empty.",
    }],
    usage: Usage { arguments: &[], options: &[], wrong: "Invalid message" },
};

pub(super) const GET: CommandSpec = CommandSpec {
    name: "get",
    summary: "Get the value of specific watcher options",
    doc: "The current values of the options asked for. Any name that `options` shows may be asked for; \
          if the watcher lacks one of them the whole request is refused.",
    access: Access::Read,
    properties: &[
        NAME,
        Property { name: "keys", kind: Kind::List, required: true, doc: "The names of the options." },
    ],
    reply: &[Member { name: "options", doc: "The values by name." }],
    usage: Usage {
        arguments: &[ONE_WATCHER, Argument { name: "KEY", count: Count::Many, complete: Complete::Option }],
        options: &[],
        wrong: WRONG,
    },
};

pub(super) const GLOBALOPTIONS: CommandSpec = CommandSpec {
    name: "globaloptions",
    summary: "Get the arbiter options",
    doc: "The daemon's own settings that clients need: `endpoint`, `stats_endpoint`, `pubsub_endpoint`, \
          `check_delay` and `multicast_endpoint`.",
    access: Access::Read,
    properties: &[Property {
        name: "option",
        kind: Kind::Text,
        required: false,
        doc: "The one setting wanted. Without it: all of them.",
    }],
    reply: &[
        Member { name: "options", doc: "The values by name." },
        Member { name: "version", doc: "The version of this circusd; Circus does not send it." },
    ],
    usage: Usage {
        arguments: &[Argument { name: "KEY", count: Count::Optional, complete: Complete::GlobalOption }],
        options: &[],
        wrong: WRONG,
    },
};

pub(super) const LIST: CommandSpec = CommandSpec {
    name: "list",
    summary: "Get list of watchers or processes in a watcher",
    doc: "The names of all watchers, in lower case and sorted; with a name, the pids of that watcher's \
          processes in the order in which they were started.",
    access: Access::Read,
    properties: &[OPTIONAL_NAME],
    reply: &[
        Member { name: "watchers", doc: "The names, when none was given." },
        Member { name: "pids", doc: "The pids, when a name was given." },
    ],
    usage: Usage { arguments: &[MAYBE_WATCHER], options: &[], wrong: WRONG },
};

pub(super) const LISTEN: CommandSpec = CommandSpec {
    name: "listen",
    summary: "Subscribe to a watcher event",
    doc: "Prints events as they are published, one a line: the topic, then the payload. circusctl does this \
          by itself on the event endpoint; sent to the control endpoint it is refused.\n\n\
          A topic selects all events whose topic begins with it: `watcher.web.` those of one watcher, \
          `watcher.web.reap` its exits, nothing at all every event.\n\n\
          `--endpoint`, or an argument with `://` in it, is where events are published; an endpoint for commands \
          is asked where its daemon publishes them.",
    access: Access::Read,
    properties: &[],
    reply: &[],
    usage: Usage {
        arguments: &[Argument { name: "TOPIC", count: Count::Any, complete: Complete::Topic }],
        options: &[],
        wrong: WRONG,
    },
};

pub(super) const LISTSOCKETS: CommandSpec = CommandSpec {
    name: "listsockets",
    summary: "Get the list of sockets",
    doc: "The sockets that circusd has opened for its watchers, by descriptor.",
    access: Access::Read,
    properties: &[],
    reply: &[Member {
        name: "sockets",
        doc: "Objects with `fd`, `name`, `backlog`, and `host` and `port`, or `path`. The port is the one \
              really bound.",
    }],
    usage: Usage { arguments: &[], options: &[], wrong: WRONG },
};

pub(super) const NUMPROCESSES: CommandSpec = CommandSpec {
    name: "numprocesses",
    summary: "Get the number of processes",
    doc: "How many processes are running, of one watcher or altogether.",
    access: Access::Read,
    properties: &[OPTIONAL_NAME],
    reply: &[
        Member { name: "numprocesses", doc: "The number." },
        Member { name: "watcher_name", doc: "The name as given, when one was given." },
    ],
    usage: Usage { arguments: &[MAYBE_WATCHER], options: &[], wrong: "message invalid" },
};

pub(super) const NUMWATCHERS: CommandSpec = CommandSpec {
    name: "numwatchers",
    summary: "Get the number of watchers",
    doc: "How many watchers there are, those that run plugins and statistics included.",
    access: Access::Read,
    properties: &[],
    reply: &[Member { name: "numwatchers", doc: "The number." }],
    usage: Usage { arguments: &[], options: &[], wrong: WRONG },
};

pub(super) const OPTIONS: CommandSpec = CommandSpec {
    name: "options",
    summary: "Get the value of all options for a watcher",
    doc: "The options of a watcher with their present values, free-form ones included, sorted by name.\n\n\
          Left out, as in Circus, are `rlimit_*`, `hooks.*`, `autostart`, `copy_path`, `virtualenv`, \
          `virtualenv_py_ver`, `stdin_socket`, and `stdout_stream.*` and `stderr_stream.*`; the keys of the \
          streams, but for `class`, are in `stdout_stream_conf` and `stderr_stream_conf`. What is left out here \
          is not found by `get` either.",
    access: Access::Read,
    properties: &[NAME],
    reply: &[Member { name: "options", doc: "The values by name." }],
    usage: Usage { arguments: &[ONE_WATCHER], options: &[], wrong: "number of arguments invalid" },
};

pub(super) const STATS: CommandSpec = CommandSpec {
    name: "stats",
    summary: "Get process infos",
    doc: "Memory, CPU and age of processes: of all watchers, of one, or of one process.\n\n\
          The figures of a process are `mem_info1` (resident) and `mem_info2` (virtual), both with a unit; \
          `cpu` in percent of one processor since the last question; `mem` in percent of the machine's \
          memory; `ctime`, the processor time used; `pid`, `username`, `nice`, `create_time`, `age`, \
          `cmdline`, `children` (one level deep), `started` and `wid`. A process that has just ended has \
          the text `No such process (stopped?)` instead.",
    access: Access::Read,
    properties: &[
        OPTIONAL_NAME,
        Property {
            name: "process",
            kind: Kind::Integer,
            required: false,
            doc: "The pid of one process of that watcher.",
        },
        Property {
            name: "extended",
            kind: Kind::Flag,
            required: false,
            doc: "Include what the `extended_stats` hook adds.",
        },
    ],
    reply: &[
        Member { name: "infos", doc: "Figures by watcher and pid, when no name was given." },
        Member { name: "name", doc: "The name as given." },
        Member { name: "process", doc: "The pid as given." },
        Member { name: "info", doc: "Figures by pid; those of the one process when a pid was given." },
    ],
    usage: Usage {
        arguments: &[
            MAYBE_WATCHER,
            Argument { name: "PID", count: Count::Optional, complete: Complete::Pid },
        ],
        options: &[CommandOption {
            name: "extended",
            property: "extended",
            sets: Sets::Flag(true),
            doc: "Include info from the extended_stats hook",
        }],
        wrong: "message invalid",
    },
};

pub(super) const STATUS: CommandSpec = CommandSpec {
    name: "status",
    summary: "Get the status of a watcher or all watchers",
    doc: "The state of watchers: `stopped`, `starting`, `active` or `stopping`.",
    access: Access::Read,
    properties: &[OPTIONAL_NAME],
    reply: &[
        Member { name: "statuses", doc: "The states by name, when no name was given." },
        Member { name: "status", doc: "The state, instead of `ok`, when a name was given." },
    ],
    usage: Usage { arguments: &[MAYBE_WATCHER], options: &[], wrong: "message invalid" },
};

pub(super) const WHY: CommandSpec = CommandSpec {
    name: "why",
    summary: "Tell how the last processes of a watcher ended",
    doc: "The last exits of each slot of a watcher: when, with which code or by which signal, after how long \
          a life, and whether circusd had asked for it. Circus has no such command.",
    access: Access::Read,
    properties: &[NAME],
    reply: &[
        Member {
            name: "slots",
            doc: "By slot number the last five exits, the latest last, each with `pid`, `started`, `time`, \
                  `lifespan` in seconds, `exit_code`, `signal` (a name or null), `expected` and `text`; and, if stderr has a \
                  stream, `stderr`: the last lines that the process wrote there.",
        },
        Member {
            name: "backoff",
            doc: "By slot number those that wait for their next spawn: `failures` in a row, and `retry_in` seconds.",
        },
        Member { name: "errors", doc: "The last five errors of spawns that failed." },
        Member { name: "restarts", doc: "How many processes ended unasked and were replaced." },
        Member { name: "stops", doc: "How often a stop was asked for by command, on a stopped watcher too." },
        Member {
            name: "hooks",
            doc: "The hooks that have not answered yet, each with `name` and `since`: for how many seconds it has run.",
        },
        Member { name: "state", doc: "The state, as `status` tells it." },
        Member {
            name: "active_since",
            doc: "Since when it is up, in seconds since the epoch; null if it is not.",
        },
        Member { name: "name", doc: "The watcher's name as written." },
    ],
    usage: Usage { arguments: &[ONE_WATCHER], options: &[], wrong: WRONG },
};
