//! The rules every story is held to: each with its name and its wording.
//!
//! This is the one list. A broken rule is reported by its name; docs/testing.md shows the list, and a test compares.

/// Declares the rules once.
macro_rules! rules {
    ($($rule:ident $name:literal $text:literal;)*) => {
        /// What must hold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $text] $rule,)*
        }

        impl Rule {
            /// All of them, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$rule,)*];

            /// Its name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)* }
            }

            /// Its wording.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$rule => $text,)* }
            }
        }
    };
}

rules! {
    OneAnswer "one-answer"
        "A request that wants an answer gets exactly one; a cast gets none.";
    SpawnOnce "spawn-once"
        "A process is spawned once, and never while another one has its slot.";
    SpawnsInFlight "spawns-in-flight"
        "Never more spawns are under way than the machine has room for.";
    SpawnTold "spawn-told"
        "Each spawn that succeeded is published in the same breath or when after_spawn has accepted it, unless the process was released.";
    ReapTold "reap-told"
        "Each exit is published once, in the same breath or when the hook that is asked about the process has answered or the kills of a stop are told, and before the watcher's `stop`.";
    KillsFirst "kills-first"
        "Of a stop every first kill is told before the first reap.";
    NoSignalToDead "no-signal-to-the-dead"
        "No signal is emitted for a process whose exit was handled, nor for a member known to be gone.";
    Grace "grace"
        "No SIGKILL before graceful_timeout, unless it is 0, the signal itself is 9, or a second INT or TERM said so.";
    GraceOfMembers "grace-of-members"
        "No SIGKILL for a member before the grace of the process it belongs to is over.";
    KillInTime "kill-in-time"
        "Who was asked to end and has not by the end of the longest grace that was allowed gets SIGKILL then.";
    LegalEvents "legal-events"
        "Spawn before reap, one of each for a life; no kill after the reap; start and stop by turns; a reload only of what has started or waits for a connection.";
    Expected "expected"
        "The end of whoever was asked to end is expected.";
    StopIsEnd "stop-is-end"
        "With `stop` no process of the watcher is there or coming, and no member of one that was found or is in its group.";
    ForgetOnce "forget-once"
        "A process is forgotten once, after its end, and never surveyed after that.";
    ReleaseRunning "release-running"
        "Only a running process is released.";
    NoBusyLoop "no-busy-loop"
        "Deadlines do not come without end at one moment: waiting is a deadline in the future.";
    BackOff "back-off"
        "A slot whose processes end young and unasked is filled after 0, 0.1, 0.2, 0.4 s ... up to check_delay, not sooner.";
    RetryPause "retry-pause"
        "After a failed spawn a watcher's next try comes 0.1 s later or more, and one at a time until one succeeds.";
    TrueList "true-list"
        "`list` and `numprocesses` name exactly the processes that were spawned and have not exited, in order of spawn.";
    TrueStatus "true-status"
        "A watcher whose `status` is stopped has no process.";
    LeaveEmpty "leave-empty"
        "The daemon leaves when no process is there or coming.";
    StreamOrders "stream-orders"
        "The data plane is told of a stream before a process writes to it, and of its end after the last one; nothing after a removal.";
    HookOnce "hook-once"
        "A hook is asked each question once, and only a question that is open is taken back.";
    HookInTime "hook-in-time"
        "No question is open when hook_timeout is over.";
    HookOrder "hook-order"
        "after_spawn and before_signal are asked about processes that are there, before_reap before the reap is told, after_reap after it.";
    SpawnAllowed "spawn-allowed"
        "No spawn without the word of before_start and before_spawn, one at a time with the latter, and none after before_stop.";
    SignalAllowed "signal-allowed"
        "No signal but SIGKILL to a process without the word of before_signal.";
    HurryAsksNobody "hurry-asks-nobody"
        "After a second INT or TERM no hook is asked.";
    OnDemand "on-demand"
        "Of an on_demand watcher no process is spawned between its stop and the next connection.";
    SocketsOpen "sockets-open"
        "Only an open socket is given to a process, awaited or adjusted, and only what was prepared is taken over.";
    OwnSockets "own-sockets"
        "The sockets of a slot's own are closed when no process of that slot lives, and not before.";
    TriedFirst "tried-first"
        "No stream or hook that the trial has found missing is taken over by set, add or reloadconfig.";
    Accounted "accounted"
        "Whoever was spawned was reaped, lives and is known, or was released.";
    Quiet "quiet"
        "After a quiet hour every request is answered and no spawn or survey is under way.";
    Wanted "wanted"
        "After a quiet hour an active watcher (respawn = true, no slot in back-off) has exactly `numprocesses`, a stopped one none, and no watcher is in between.";
    NothingLeft "nothing-left"
        "After a quiet hour no map entry is left over, and no descendant of a process that is gone.";
    ClockIgnored "clock-ignored"
        "A wall clock set forth and back changes no decision.";
    Replays "replays"
        "The same story, told again, comes out the same to the byte.";
}

/// Panics with the rule's name if the condition does not hold.
macro_rules! hold {
    ($rule:ident, $condition:expr, $($text:tt)+) => {
        assert!($condition, "rule {}: {}", $crate::sim::rules::Rule::$rule.name(), format_args!($($text)+))
    };
}
pub(super) use hold;
