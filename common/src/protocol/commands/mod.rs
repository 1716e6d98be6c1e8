//! The one table of commands.
//!
//! The parser takes the required properties from it, circusctl its arguments and help texts, and
//! `docs/commands.md` is written from it. A command that is not here does not exist.

mod administer;
mod logs;
mod operate;
mod read;

/// Every command, by name in order.
pub const TABLE: &[CommandSpec] = &[
    administer::ADD,
    administer::ADDSOCKET,
    operate::DECR,
    read::DSTATS,
    read::GET,
    read::GLOBALOPTIONS,
    operate::INCR,
    administer::IPYTHON,
    operate::KILL,
    read::LIST,
    read::LISTEN,
    read::LISTSOCKETS,
    logs::LOGS,
    operate::NOTIFY,
    read::NUMPROCESSES,
    read::NUMWATCHERS,
    read::OPTIONS,
    administer::QUIT,
    operate::RELOAD,
    administer::RELOADCONFIG,
    operate::RESTART,
    administer::RM,
    administer::RMSOCKET,
    administer::SET,
    operate::SIGNAL,
    operate::START,
    read::STATS,
    read::STATUS,
    operate::STOP,
    read::WHY,
];

/// The entry of that lower-case name.
#[must_use]
pub fn find(name: &str) -> Option<&'static CommandSpec> {
    TABLE.iter().find(|spec| spec.name == name)
}

/// One command, told once for all who need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its name, lower-case.
    pub name: &'static str,
    /// One line, as in the list of commands.
    pub summary: &'static str,
    /// The long text: paragraphs, divided by an empty line.
    pub doc: &'static str,
    /// What it may change.
    pub access: Access,
    /// What a request may say.
    pub properties: &'static [Property],
    /// What a good answer says besides `status`, `time` and `id`.
    pub reply: &'static [Member],
    /// How circusctl is told.
    pub usage: Usage,
}

/// One-letter forms of options, by command.
const LETTERS: [(&str, char, &str); 2] = [("logs", 'f', "follow"), ("logs", 'n', "lines")];

impl CommandSpec {
    /// The option that this word names in full: `--lines`, or `-n` where it has a letter of its own.
    #[must_use]
    pub fn option(&self, word: &str) -> Option<&'static CommandOption> {
        let name = match word.strip_prefix("--") {
            Some(name) => name,
            None => {
                let named = |(command, letter, _): &&(&str, char, &str)| {
                    *command == self.name && word.strip_prefix('-') == Some(letter.encode_utf8(&mut [0; 4]))
                };
                LETTERS.iter().find(named)?.2
            }
        };
        self.usage.options.iter().find(|option| option.name == name)
    }
}

/// What a command may change; roles will be granted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    Read,
    /// The processes of the watchers that are there.
    Operate,
    /// The watchers themselves, and the daemon.
    Administer,
}

/// A property of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether the command is refused without it.
    pub required: bool,
    /// What it means.
    pub doc: &'static str,
}

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Anything; what Python takes for true is true.
    Flag,
    /// A list of texts.
    List,
    /// A text or a list of words.
    Words,
    /// An object.
    Object,
    /// A signal, by number or name.
    Signal,
}

impl Kind {
    /// The word for it in the reference.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Flag => "boolean",
            Self::List => "list of strings",
            Self::Words => "string or list of strings",
            Self::Object => "object",
            Self::Signal => "integer or string",
        }
    }
}

/// A member of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it says, and when it is there.
    pub doc: &'static str,
}

/// How circusctl is told about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The words after the command, in order.
    pub arguments: &'static [Argument],
    /// The options.
    pub options: &'static [CommandOption],
    /// What is said when the number of words is wrong.
    pub wrong: &'static str,
}

/// A word, or the rest of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its place-holder, such as `NAME`.
    pub name: &'static str,
    /// How often it may stand.
    pub count: Count,
    /// What it completes to.
    pub complete: Complete,
}

/// How often an argument may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly once.
    One,
    /// Once or not at all.
    Optional,
    /// As often as one likes.
    Any,
    /// Once or more.
    Many,
}

/// What an argument stands for, so that a shell can offer the right words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complete {
    /// Anything.
    Nothing,
    /// A watcher's name.
    Watcher,
    /// The number of a process of the watcher named before.
    Pid,
    /// The name of a watcher option.
    Option,
    /// Option names and values in turn.
    OptionValue,
    /// The name of one of the daemon's options.
    GlobalOption,
    /// The name of a signal.
    Signal,
    /// An event topic.
    Topic,
}

/// An option of circusctl for one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandOption {
    /// Its name without the two dashes.
    pub name: &'static str,
    /// The property it sets.
    pub property: &'static str,
    /// To what.
    pub sets: Sets,
    /// What it means.
    pub doc: &'static str,
}

/// What an option sets its property to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sets {
    /// To this value; the option takes none.
    Flag(bool),
    /// To the text after it, shown by this place-holder.
    Text(&'static str),
    /// To the number after it, shown by this place-holder.
    Number(&'static str),
    /// To one of these words.
    Choice(&'static [&'static str]),
}

/// What most commands say when the number of words is wrong.
const WRONG: &str = "Invalid number of arguments";

const NAME: Property = Property {
    name: "name",
    kind: Kind::Text,
    required: true,
    doc: "The watcher's name; case does not matter.",
};

const OPTIONAL_NAME: Property = Property {
    name: "name",
    kind: Kind::Text,
    required: false,
    doc: "The watcher's name; case does not matter. Without it: all of them.",
};

const WAITING: Property = Property {
    name: "waiting",
    kind: Kind::Flag,
    required: false,
    doc: "Answer when the work is done, with its result. Otherwise the answer only says that it has begun.",
};

const WAITING_OPTION: CommandOption = CommandOption {
    name: "waiting",
    property: "waiting",
    sets: Sets::Flag(true),
    doc: "Wait until the work has ended",
};

const ONE_WATCHER: Argument = Argument { name: "NAME", count: Count::One, complete: Complete::Watcher };

const MAYBE_WATCHER: Argument =
    Argument { name: "NAME", count: Count::Optional, complete: Complete::Watcher };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_has_every_command_once() {
        assert!(TABLE.is_sorted_by(|left, right| left.name < right.name));
        assert_eq!(TABLE.len(), 30);
    }

    #[test]
    fn every_option_sets_a_property_of_its_command() {
        for spec in TABLE {
            for option in spec.usage.options {
                let known = spec.properties.iter().any(|property| property.name == option.property);
                assert!(known, "{} --{}", spec.name, option.name);
            }
        }
    }

    #[test]
    fn nothing_is_left_without_a_text() {
        for spec in TABLE {
            assert!(!spec.summary.is_empty() && !spec.summary.ends_with('.'), "{}", spec.name);
            assert!(spec.doc.ends_with('.'), "{}", spec.name);
            assert!(spec.properties.iter().all(|property| property.doc.ends_with('.')), "{}", spec.name);
            assert!(spec.reply.iter().all(|member| member.doc.ends_with('.')), "{}", spec.name);
            assert!(spec.usage.options.iter().all(|option| !option.doc.ends_with('.')), "{}", spec.name);
        }
    }
}
