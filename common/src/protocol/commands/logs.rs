//! `logs`: what the processes of a watcher printed last, and what they print from now on.

use super::{
    Access, Argument, CommandOption, CommandSpec, Complete, Count, Kind, Member, NAME, Property, Sets, Usage,
    WRONG,
};

pub(super) const LOGS: CommandSpec = CommandSpec {
    name: "logs",
    summary: "Show the last output of watchers",
    doc: "The last lines that the processes of a watcher have printed, and with `-f` those that follow, until \
          interrupted. circusctl follows several watchers together, in colours on a terminal, and goes on when \
          the daemon is back after a restart. Circus has no such command.\n\n\
          Lines are remembered of an output that has a stream (`stdout_stream.class`, `stderr_stream.class`; \
          `QueueStream` is the one that does nothing else). Without one the output goes where circusd's own \
          goes, and circusd never sees it.\n\n\
          Following is asking again: with `after` as the `next` of the last answer, and with `wait`. Numbers only \
          grow, from one daemon to the next too.",
    access: Access::Read,
    properties: &[
        NAME,
        Property {
            name: "stream",
            kind: Kind::Text,
            required: false,
            doc: "`stdout` or `stderr`. Without it: whatever has a stream.",
        },
        Property {
            name: "after",
            kind: Kind::Integer,
            required: false,
            doc: "Only lines with a greater number. Without it: the last ones.",
        },
        Property {
            name: "max",
            kind: Kind::Integer,
            required: false,
            doc: "At most so many lines, 100 if it is not given and 10,000 at most.",
        },
        Property {
            name: "wait",
            kind: Kind::Number,
            required: false,
            doc: "If there is no such line: how many seconds to wait for the first, 60 at most.",
        },
    ],
    reply: &[
        Member {
            name: "lines",
            doc: "Oldest first, each with `seq`, `time`, `stream`, `wid`, `pid` and `text`.",
        },
        Member { name: "next", doc: "The number to ask with next." },
        Member { name: "epoch", doc: "The number before the first line of this daemon." },
        Member { name: "lost", doc: "Whether lines after the number asked for are not kept any more." },
    ],
    usage: Usage {
        arguments: &[Argument { name: "NAME", count: Count::Many, complete: Complete::Watcher }],
        options: &[
            CommandOption {
                name: "follow",
                property: "wait",
                sets: Sets::Flag(true),
                doc: "Go on with what is printed from now on (also -f)",
            },
            CommandOption {
                name: "lines",
                property: "max",
                sets: Sets::Number("N"),
                doc: "So many of the last lines (also -n)",
            },
            CommandOption {
                name: "stderr",
                property: "stream",
                sets: Sets::Flag(true),
                doc: "Only what was printed on stderr",
            },
            CommandOption {
                name: "stdout",
                property: "stream",
                sets: Sets::Flag(true),
                doc: "Only what was printed on stdout",
            },
            CommandOption {
                name: "json",
                property: "name",
                sets: Sets::Flag(true),
                doc: "Each line as a JSON object",
            },
        ],
        wrong: WRONG,
    },
};
