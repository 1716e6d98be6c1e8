//! Commands that change watchers and the daemon itself.

use super::{
    Access, Argument, CommandOption, CommandSpec, Complete, Count, Kind, Member, NAME, ONE_WATCHER, Property,
    Sets, Usage, WAITING, WAITING_OPTION, WRONG,
};

pub(super) const ADD: CommandSpec = CommandSpec {
    name: "add",
    summary: "Add a watcher",
    doc: "Adds a watcher while the daemon runs. It is not written to the configuration file.\n\n\
          With `endpoint_owner` set, the option `uid` must be exactly the text of that setting.",
    access: Access::Administer,
    properties: &[
        Property {
            name: "name",
            kind: Kind::Text,
            required: true,
            doc: "Its name; no other watcher may have it.",
        },
        Property { name: "cmd", kind: Kind::Text, required: true, doc: "The program and its arguments." },
        Property { name: "args", kind: Kind::Words, required: false, doc: "Further arguments." },
        Property {
            name: "options",
            kind: Kind::Object,
            required: false,
            doc: "Options as in a `[watcher:NAME]` section, with values of the right JSON type.",
        },
        Property { name: "start", kind: Kind::Flag, required: false, doc: "Start it at once." },
        Property {
            name: "waiting",
            kind: Kind::Flag,
            required: false,
            doc: "With `start`: answer when it was started.",
        },
    ],
    reply: &[
        Member { name: "started", doc: "The new pids, with `start` and `waiting`." },
        Member { name: "kept", doc: "An empty list, with `start` and `waiting`." },
    ],
    usage: Usage {
        arguments: &[
            Argument { name: "NAME", count: Count::One, complete: Complete::Nothing },
            Argument { name: "CMD", count: Count::Many, complete: Complete::Nothing },
        ],
        options: &[CommandOption {
            name: "start",
            property: "start",
            sets: Sets::Flag(true),
            doc: "Start the watcher immediately",
        }],
        wrong: WRONG,
    },
};

pub(super) const ADDSOCKET: CommandSpec = CommandSpec {
    name: "addsocket",
    summary: "Open a managed socket",
    doc: "Opens a socket while the daemon runs, as a section `[socket:NAME]` would. It is not written to the \
          configuration file, and goes when that is read again without it. Watchers that are added or restarted \
          afterwards can use it. Circus has no such command.\n\n\
          It is refused with `endpoint_owner` set: the socket would be opened with the rights of circusd.",
    access: Access::Administer,
    properties: &[
        Property {
            name: "name",
            kind: Kind::Text,
            required: true,
            doc: "Its name; no other socket may have it.",
        },
        Property {
            name: "options",
            kind: Kind::Object,
            required: false,
            doc: "Keys of a `[socket:NAME]` section; values are texts as there, numbers or booleans.",
        },
    ],
    reply: &[Member { name: "socket", doc: "The socket, as `listsockets` shows it." }],
    usage: Usage {
        arguments: &[
            Argument { name: "NAME", count: Count::One, complete: Complete::Nothing },
            Argument { name: "KEY VALUE", count: Count::Any, complete: Complete::Nothing },
        ],
        options: &[],
        wrong: WRONG,
    },
};

pub(super) const IPYTHON: CommandSpec = CommandSpec {
    name: "ipython",
    summary: "Create shell into circusd process",
    doc: "A Python shell inside the daemon. This daemon is not written in Python: the answer always says \
          that there is none.",
    access: Access::Administer,
    properties: &[],
    reply: &[Member { name: "shell", doc: "False." }, Member { name: "msg", doc: "`not supported`." }],
    usage: Usage { arguments: &[], options: &[], wrong: "Invalid message" },
};

pub(super) const QUIT: CommandSpec = CommandSpec {
    name: "quit",
    summary: "Quit the arbiter immediately",
    doc: "Stops every watcher and ends the daemon. Every process gets its stop signal and its grace period. With \
          `waiting` the answer comes just before the daemon ends.",
    access: Access::Administer,
    properties: &[WAITING],
    reply: &[],
    usage: Usage { arguments: &[], options: &[WAITING_OPTION], wrong: WRONG },
};

pub(super) const RELOADCONFIG: CommandSpec = CommandSpec {
    name: "reloadconfig",
    summary: "Reload the configuration file",
    doc: "Reads the configuration again and applies what has changed: new watchers are added, missing ones \
          removed, changed ones restarted; the others keep their processes, also where only `numprocesses` \
          differs. A file with mistakes is refused as a whole, each mistake with its file and line, and \
          nothing changes.",
    access: Access::Administer,
    properties: &[
        WAITING,
        Property {
            name: "dry_run",
            kind: Kind::Flag,
            required: false,
            doc: "Answer with the plan and change nothing. Circus has no such property.",
        },
    ],
    reply: &[Member { name: "plan", doc: "What would be done, with `dry_run`." }],
    usage: Usage {
        arguments: &[],
        options: &[
            WAITING_OPTION,
            CommandOption {
                name: "plan",
                property: "dry_run",
                sets: Sets::Flag(true),
                doc: "Show what would be done and change nothing",
            },
        ],
        wrong: WRONG,
    },
};

pub(super) const RM: CommandSpec = CommandSpec {
    name: "rm",
    summary: "Remove a watcher",
    doc: "Stops a watcher and forgets it. It comes back when the configuration still has it and is read \
          again. With `nostop` its processes run on, unmanaged, and outlive the daemon.",
    access: Access::Administer,
    properties: &[
        NAME,
        Property { name: "nostop", kind: Kind::Flag, required: false, doc: "Leave the processes running." },
        WAITING,
    ],
    reply: &[],
    usage: Usage {
        arguments: &[ONE_WATCHER],
        options: &[
            WAITING_OPTION,
            CommandOption {
                name: "nostop",
                property: "nostop",
                sets: Sets::Flag(true),
                doc: "Do not stop the watcher, just remove it",
            },
        ],
        wrong: WRONG,
    },
};

pub(super) const RMSOCKET: CommandSpec = CommandSpec {
    name: "rmsocket",
    summary: "Close a managed socket",
    doc: "Closes a socket, and removes the file of a Unix socket. It is refused while a watcher uses the socket by \
          name: in its command, as `stdin_socket` or in `listen_fds`. Processes that inherited it with the others \
          keep it until they end. It comes back when the configuration still has it and is read again. Circus has \
          no such command.",
    access: Access::Administer,
    properties: &[Property {
        name: "name",
        kind: Kind::Text,
        required: true,
        doc: "The socket's name; case does not matter.",
    }],
    reply: &[],
    usage: Usage {
        arguments: &[Argument { name: "NAME", count: Count::One, complete: Complete::Nothing }],
        options: &[],
        wrong: WRONG,
    },
};

pub(super) const SET: CommandSpec = CommandSpec {
    name: "set",
    summary: "Set a watcher option",
    doc: "Changes options of a watcher, in the order given, and publishes `updated` for each. If one of them \
          concerns the processes that run (the command, the environment, the user and the like), they are \
          then reloaded gracefully, once.\n\n\
          Names and types are checked, and users, hooks and streams tried, before anything is changed. A few \
          mistakes only show when it is the option's turn, and leave the earlier ones changed: several processes \
          for a singleton, a `builtin:` hook that is not written as it must be, a number that no user or group \
          can have, an option that only files and `add` take. Such an option is refused as an `unknown key`, as \
          in Circus.",
    access: Access::Administer,
    properties: &[
        NAME,
        Property {
            name: "options",
            kind: Kind::Object,
            required: true,
            doc: "The new values by option, each of the right JSON type.",
        },
        WAITING,
    ],
    reply: &[],
    usage: Usage {
        arguments: &[
            ONE_WATCHER,
            Argument { name: "KEY VALUE", count: Count::Many, complete: Complete::OptionValue },
        ],
        options: &[WAITING_OPTION],
        wrong: WRONG,
    },
};
