//! `logs`: the last output of watchers, and with `-f` what follows, until interrupted.
//!
//! Following outlives the daemon: when it is back, so is the output. No line is printed twice, and those of one watcher
//! never out of order.

mod source;

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::{sync::mpsc, task::JoinSet};

pub use self::source::Way;
use self::source::{Said, Source};
use crate::{
    out::{Outcome, complain, put, wants_colour},
    render::logs::{Look, line, palette, process_of, time_of},
    words::Words,
};

/// Lines shown if `-n` does not say otherwise, and those asked for at a time while following.
const LINES: u64 = 100;

/// Answers that wait to be printed: a terminal that is held up holds up who asks for more.
const QUEUE: usize = 16;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The watchers' names.
    pub names: Vec<String>,
    /// The one output, if only one is wanted.
    pub stream: Option<&'static str>,
    /// How many of the last lines.
    pub lines: u64,
    /// Whether to go on.
    pub follow: bool,
    /// Whether each line is printed as JSON.
    pub json: bool,
}

impl Wish {
    /// Reads the words of a command line; `json` may stand before the command too.
    ///
    /// # Errors
    /// What is printed of words that mean nothing.
    pub fn read(words: &Words, json: bool) -> Result<Self, String> {
        let lines = match words.value("lines") {
            None => LINES,
            Some(text) => {
                text.parse().map_err(|_| format!("--lines must be a number of lines, not '{text}'"))?
            }
        };
        let stream = match (words.flag("stdout"), words.flag("stderr")) {
            (true, false) => Some("stdout"),
            (false, true) => Some("stderr"),
            (true, true) | (false, false) => None,
        };
        let mut names = words.args.clone();
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.to_lowercase()));
        Ok(Self { names, stream, lines, follow: words.flag("follow"), json: json || words.flag("json") })
    }
}

/// Prints lines in the form that was asked for.
struct Printer {
    json: bool,
    coloured: bool,
    /// The place in the palette of each process that was seen, by watcher and slot.
    colours: BTreeMap<(String, String), usize>,
}

impl Printer {
    fn print(&mut self, name: &str, said: &[Value]) -> std::io::Result<()> {
        let mut text = String::new();
        for one in said {
            let look = match (self.json, self.coloured) {
                (true, _) => Look::Json,
                (false, false) => Look::Plain,
                (false, true) => {
                    let known = self.colours.len();
                    let place = self.colours.entry((name.to_owned(), process_of(one))).or_insert(known);
                    Look::Coloured(palette(*place))
                }
            };
            text.push_str(&line(name, one, look));
            text.push('\n');
        }
        if text.is_empty() { Ok(()) } else { put(&text) }
    }
}

/// Prints the last lines, then follows if that is wished.
pub async fn logs(wish: Wish, way: Way) -> Outcome {
    let mut printer = Printer { json: wish.json, coloured: wants_colour(), colours: BTreeMap::new() };
    let (mut sources, mut first, mut outcome) = (Vec::new(), Vec::new(), Outcome::Done);
    for name in &wish.names {
        let mut source = Source::new(name, wish.stream, &way);
        match source.last(wish.lines).await {
            Ok(lines) => {
                first.extend(lines.into_iter().map(|line| (sources.len(), line)));
                sources.push(source);
            }
            Err(Said::Refused(reason)) => {
                complain(&format!("error: {reason}"));
                outcome = Outcome::Refused;
            }
            Err(Said::Failed(reason)) => {
                complain(&reason);
                return Outcome::Failed;
            }
            Err(Said::Lines(_) | Said::Lost | Said::Away | Said::Back) => {}
        }
    }
    // Together they stand in the order in which they were printed; a sort that is stable keeps those of one source so.
    first.sort_by(|(_, one), (_, other)| time_of(one).total_cmp(&time_of(other)));
    for (at, said) in first {
        let name = sources.get(at).map_or("", Source::name).to_owned();
        if printer.print(&name, std::slice::from_ref(&said)).is_err() {
            return Outcome::Failed;
        }
    }
    if !wish.follow || sources.is_empty() {
        return outcome;
    }
    follow(sources, &mut printer, outcome).await
}

/// Prints what every source has to say, until nobody has anything to say or nobody reads.
async fn follow(sources: Vec<Source>, printer: &mut Printer, outcome: Outcome) -> Outcome {
    let mut outcome = outcome;
    let mut away = 0_usize;
    let (sender, mut heard) = mpsc::channel(QUEUE);
    // They end with this set.
    let mut tasks = JoinSet::new();
    for source in sources {
        tasks.spawn(source.follow(sender.clone()));
    }
    drop(sender);
    while let Some((name, said)) = heard.recv().await {
        match said {
            Said::Lines(lines) => {
                if printer.print(&name, &lines).is_err() {
                    return Outcome::Failed;
                }
            }
            Said::Lost => {
                complain(&format!("circusctl: some lines of {name} came too fast and are left out"))
            }
            Said::Away => {
                if away == 0 {
                    complain("circusctl: the daemon went away, waiting for it");
                }
                away += 1;
            }
            Said::Back => {
                away = away.saturating_sub(1);
                if away == 0 {
                    complain("circusctl: the daemon is back");
                }
            }
            Said::Refused(reason) => {
                complain(&format!("error: {reason}"));
                outcome = Outcome::Refused;
            }
            Said::Failed(reason) => {
                complain(&reason);
                outcome = Outcome::Failed;
            }
        }
    }
    outcome
}
