//! Commands that start, end and signal the processes of watchers.

use super::{
    Access, Argument, CommandOption, CommandSpec, Complete, Count, Kind, MAYBE_WATCHER, Member, NAME,
    ONE_WATCHER, OPTIONAL_NAME, Property, Sets, Usage, WAITING, WAITING_OPTION, WRONG,
};

const NB: Property =
    Property { name: "nb", kind: Kind::Integer, required: false, doc: "How many; 1 by default." };

const NB_ARGUMENT: Argument = Argument { name: "NB", count: Count::Optional, complete: Complete::Nothing };

const COUNT_REPLY: &[Member] = &[
    Member { name: "numprocesses", doc: "The number now wanted, with `waiting`." },
    Member { name: "singleton", doc: "True when nothing was done because the watcher is a singleton." },
];

const COUNT_USAGE: Usage =
    Usage { arguments: &[ONE_WATCHER, NB_ARGUMENT], options: &[WAITING_OPTION], wrong: WRONG };

const PATTERN: Property = Property {
    name: "name",
    kind: Kind::Text,
    required: false,
    doc: "The name or pattern, compared without regard to case.",
};

const MATCH: Property = Property {
    name: "match",
    kind: Kind::Text,
    required: false,
    doc: "How the name is compared: `glob` (the default), `regex` (from the start of the name) or `simple`.",
};

const TARGET_PROPERTIES: &[Property] = &[PATTERN, MATCH, WAITING];

const TARGET_USAGE: Usage = Usage {
    arguments: &[MAYBE_WATCHER],
    options: &[
        WAITING_OPTION,
        CommandOption {
            name: "match",
            property: "match",
            sets: Sets::Choice(&["simple", "glob", "regex"]),
            doc: "Watcher name matching method (simple, glob or regex)",
        },
    ],
    wrong: WRONG,
};

pub(super) const DECR: CommandSpec = CommandSpec {
    name: "decr",
    summary: "Decrement the number of processes in a watcher",
    doc: "Takes processes away from a watcher, down to none. A negative number adds. Of a stopped watcher \
          only the number changes; a singleton is left alone.",
    access: Access::Operate,
    properties: &[NAME, NB, WAITING],
    reply: COUNT_REPLY,
    usage: COUNT_USAGE,
};

pub(super) const INCR: CommandSpec = CommandSpec {
    name: "incr",
    summary: "Increment the number of processes in a watcher",
    doc: "Adds processes to a watcher. A negative number takes away. Of a stopped watcher only the number \
          changes; a singleton is left alone.",
    access: Access::Operate,
    properties: &[NAME, NB, WAITING],
    reply: COUNT_REPLY,
    usage: COUNT_USAGE,
};

pub(super) const KILL: CommandSpec = CommandSpec {
    name: "kill",
    summary: "Kill a specific process",
    doc: "Ends processes of a watcher: the stop signal, then SIGKILL to the whole tree when the grace period \
          is over. They are replaced, unless the watcher has `respawn = False`. A pid that is not the watcher's \
          is not an error; nothing is done then.",
    access: Access::Operate,
    properties: &[
        NAME,
        Property {
            name: "pid",
            kind: Kind::Integer,
            required: false,
            doc: "The process. Without it: all of the watcher's.",
        },
        Property {
            name: "signum",
            kind: Kind::Signal,
            required: false,
            doc: "The signal to begin with, instead of the watcher's `stop_signal`.",
        },
        Property {
            name: "graceful_timeout",
            kind: Kind::Number,
            required: false,
            doc: "The grace period in seconds, instead of the watcher's.",
        },
        WAITING,
    ],
    reply: &[],
    usage: Usage {
        arguments: &[ONE_WATCHER, Argument { name: "PID", count: Count::Optional, complete: Complete::Pid }],
        options: &[
            WAITING_OPTION,
            CommandOption {
                name: "signum",
                property: "signum",
                sets: Sets::Text("SIGNUM"),
                doc: "Overrides the watcher's stop_signal (number or name)",
            },
            CommandOption {
                name: "graceful_timeout",
                property: "graceful_timeout",
                sets: Sets::Number("SECONDS"),
                doc: "Overrides the watcher's graceful_timeout",
            },
        ],
        wrong: WRONG,
    },
};

pub(super) const NOTIFY: CommandSpec = CommandSpec {
    name: "notify",
    summary: "Publish what a plugin found out about a watcher",
    doc: "Publishes the event `flapping` of a watcher on `events_endpoint`. The plugin Flapping sends it when it \
          stops a watcher whose processes keep dying. Nothing else happens. Circus has no such command.",
    access: Access::Operate,
    properties: &[
        NAME,
        Property {
            name: "event",
            kind: Kind::Text,
            required: false,
            doc: "`flapping`, the only one there is and the default.",
        },
        Property {
            name: "attempt",
            kind: Kind::Integer,
            required: false,
            doc: "How often the watcher has been stopped for it; 1 by default.",
        },
        Property {
            name: "retry_in",
            kind: Kind::Number,
            required: false,
            doc: "Seconds until it is started again. Without it: it stays stopped.",
        },
    ],
    reply: &[],
    usage: Usage {
        arguments: &[ONE_WATCHER],
        options: &[CommandOption {
            name: "retry_in",
            property: "retry_in",
            sets: Sets::Number("SECONDS"),
            doc: "When the watcher is started again",
        }],
        wrong: WRONG,
    },
};

pub(super) const RELOAD: CommandSpec = CommandSpec {
    name: "reload",
    summary: "Reload the arbiter or a watcher",
    doc: "Replaces the processes of a watcher with new ones, gracefully: the old ones are stopped only after the \
          new ones were started. A watcher with `send_hup` gets SIGHUP instead.\n\n\
          Without a name every running watcher is reloaded and stopped ones stay stopped; a stopped watcher that \
          is named is started.",
    access: Access::Operate,
    properties: &[
        OPTIONAL_NAME,
        Property {
            name: "graceful",
            kind: Kind::Flag,
            required: false,
            doc: "True by default; false restarts instead.",
        },
        Property {
            name: "sequential",
            kind: Kind::Flag,
            required: false,
            doc: "One process after the other: each old one ends before its replacement starts.",
        },
        WAITING,
    ],
    reply: &[Member {
        name: "info",
        doc: "The pids `stopped`, `started` and `kept`, with a name and `waiting`.",
    }],
    usage: Usage {
        arguments: &[MAYBE_WATCHER],
        options: &[
            WAITING_OPTION,
            CommandOption {
                name: "sequential",
                property: "sequential",
                sets: Sets::Flag(true),
                doc: "Reload the processes one after the other",
            },
            CommandOption {
                name: "terminate",
                property: "graceful",
                sets: Sets::Flag(false),
                doc: "Stop and start instead of a graceful reload",
            },
        ],
        wrong: "invalid number of arguments",
    },
};

pub(super) const RESTART: CommandSpec = CommandSpec {
    name: "restart",
    summary: "Restart the arbiter or a watcher",
    doc: "Stops and starts watchers. Of several that match, those without `autostart` stay stopped.\n\n\
          Without a name the daemon itself restarts in the same process: the configuration is read again, \
          everything is stopped, and what the file says is started. A bad file is refused, and nothing \
          stops.",
    access: Access::Operate,
    properties: TARGET_PROPERTIES,
    reply: &[Member {
        name: "info",
        doc: "The pids `stopped`, `started` and `kept`, when one watcher matches, with `waiting`.",
    }],
    usage: TARGET_USAGE,
};

pub(super) const SIGNAL: CommandSpec = CommandSpec {
    name: "signal",
    summary: "Send a signal",
    doc: "Sends a signal to processes of a watcher, or to their children. No event is published; a process \
          that ends because of it is replaced as after a crash.\n\n\
          A name that no signal has is refused with errno 3; a number that none has, as in Circus, with errno 4.",
    access: Access::Operate,
    properties: &[
        NAME,
        Property {
            name: "signum",
            kind: Kind::Signal,
            required: true,
            doc: "The signal: a number, or a name such as `HUP`, `SIGTERM`, `SIGRTMIN+1`.",
        },
        Property {
            name: "pid",
            kind: Kind::Integer,
            required: false,
            doc: "The process. Without it: all of the watcher's.",
        },
        Property {
            name: "childpid",
            kind: Kind::Integer,
            required: false,
            doc: "Only this direct child of that process (also accepted as `child_pid`).",
        },
        Property {
            name: "children",
            kind: Kind::Flag,
            required: false,
            doc: "The direct children instead of the process.",
        },
        Property {
            name: "recursive",
            kind: Kind::Flag,
            required: false,
            doc: "The process, then all its descendants.",
        },
    ],
    reply: &[],
    usage: Usage {
        arguments: &[
            ONE_WATCHER,
            Argument { name: "PID", count: Count::Optional, complete: Complete::Pid },
            Argument { name: "SIGNUM", count: Count::One, complete: Complete::Signal },
        ],
        options: &[
            CommandOption {
                name: "children",
                property: "children",
                sets: Sets::Flag(true),
                doc: "Only signal children of the process",
            },
            CommandOption {
                name: "recursive",
                property: "recursive",
                sets: Sets::Flag(true),
                doc: "Signal parent and children",
            },
        ],
        wrong: WRONG,
    },
};

pub(super) const START: CommandSpec = CommandSpec {
    name: "start",
    summary: "Start the arbiter or a watcher",
    doc: "Starts watchers. One that matches alone is started whatever its `autostart`; of several, and \
          without a name, those with `autostart`. A watcher that is running gets the processes it lacks.",
    access: Access::Operate,
    properties: TARGET_PROPERTIES,
    reply: &[
        Member {
            name: "info",
            doc: "The pids `started` and `kept`, when one watcher matches, with `waiting`.",
        },
        Member { name: "errors", doc: "Why a start was given up, by watcher; only when there is one." },
    ],
    usage: TARGET_USAGE,
};

pub(super) const STOP: CommandSpec = CommandSpec {
    name: "stop",
    summary: "Stop watchers",
    doc: "Stops watchers, all of them without a name: the stop signal to every process, then SIGKILL to \
          what is left of its tree when the grace period is over. A start in progress is cut short.",
    access: Access::Operate,
    properties: TARGET_PROPERTIES,
    reply: &[Member { name: "info", doc: "Null, when one watcher matches, with `waiting`." }],
    usage: TARGET_USAGE,
};
