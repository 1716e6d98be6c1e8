//! What the operator may want: the vocabulary between the keys and the state.

use ratatui::layout::Position;

use super::sort::Column;

/// One wish of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Leave.
    Quit,
    /// Stop as a job of the shell.
    Suspend,
    /// Paint everything anew.
    Redraw,
    /// Move the cursor.
    Move(Step),
    /// Move to another host.
    NextHost,
    /// Move to another host, backwards.
    PreviousHost,
    /// Hide the members of the group, or go up to it.
    Fold,
    /// Show the members of the group.
    Unfold,
    /// Hide them or show them.
    Toggle,
    /// Hide those of all groups, or show them.
    ToggleAll,
    /// Sort by this column; by the same again: the other way round.
    SortBy(Column),
    /// Sort by the column to the right.
    SortRight,
    /// Sort by the column to the left.
    SortLeft,
    /// Sort the other way round.
    Reverse,
    /// Processes under their watchers, or all in one list.
    Group,
    /// Hold the picture still, or let it go on.
    Pause,
    /// Open or close the detail pane.
    Detail,
    /// A large or a small list of events.
    Events,
    /// Open or close the help.
    Help,
    /// Begin to type a filter.
    Filter,
    /// Type a letter.
    Type(char),
    /// Take a letter back.
    Erase,
    /// Take everything back.
    EraseAll,
    /// Done with what is open.
    Accept,
    /// Away with what is open; or with the filter.
    Cancel,
    /// Ask for something, after a confirmation.
    Act(Action),
    /// Yes, do it.
    Confirm,
    /// The mouse was pressed.
    Click(Position),
    /// The wheel was turned.
    Wheel(Position, Step),
    /// The screen has another size.
    Resize(u16, u16),
}

/// A movement of the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One screen up.
    PageUp,
    /// One screen down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
}

/// Something that changes a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it and start it.
    Restart,
    /// Replace its processes gracefully.
    Reload,
    /// One process more.
    Incr,
    /// One process less.
    Decr,
}

/// What the keys mean at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// They move about and ask for things.
    List,
    /// They are letters of the filter.
    Text,
    /// They answer a question.
    Question,
    /// They leave the help.
    Help,
}

impl Action {
    /// The command's name on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Incr => "incr",
            Self::Decr => "decr",
        }
    }

    /// The question before it is done.
    #[must_use]
    pub fn question(self, watcher: &str) -> String {
        match self {
            Self::Start => format!("start {watcher}?"),
            Self::Stop => format!("stop {watcher} and all its processes?"),
            Self::Restart => format!("restart {watcher}: end all its processes and start new ones?"),
            Self::Reload => format!("reload {watcher}: replace its processes gracefully?"),
            Self::Incr => format!("one process more for {watcher}?"),
            Self::Decr => format!("one process less for {watcher}?"),
        }
    }
}
