//! What is known and what the operator looks at: pure, like the arbiter of circusd.
//!
//! [`State::handle`] takes the time and one [`Input`] and returns the [`Effect`]s to carry out. The view paints a
//! state and changes nothing. No socket, file, clock or terminal is named here; time is what the inputs say.
//!
//! Invariant: nothing is asked of a daemon unless the operator has confirmed exactly that.

pub mod command;
pub mod happening;
pub mod history;
pub mod host;
pub mod layout;
mod navigate;
pub mod report;
pub mod rows;
pub mod sample;
pub mod sort;
pub mod text;
pub mod watcher;
pub mod why;

use std::{collections::BTreeSet, time::Duration};

use ratatui::layout::Rect;

use self::{
    command::{Action, Command, Keys, Step},
    host::Host,
    layout::{Layout, Wanted},
    report::{Control, Report},
    rows::{Choice, Key, Row},
    sort::Sort,
};

/// Time since the program began.
pub type At = Duration;

/// How long the answer to a request stays on the screen.
const NOTICE: At = At::from_secs(8);
/// The longest filter.
const LONGEST_FILTER: usize = 60;

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A second is over.
    Tick,
    /// A connection of that host brought something.
    Report(usize, Report),
    /// The operator wants something.
    Command(Command),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Stop as a job of the shell.
    Suspend,
    /// Forget what the terminal shows and paint everything.
    Repaint,
    /// Find out what a watcher runs and how its processes ended.
    Inspect {
        /// The host.
        host: usize,
        /// The watcher as requests call it.
        watcher: String,
    },
    /// Ask the daemon to do something.
    Act {
        /// The host.
        host: usize,
        /// The watcher as requests call it.
        watcher: String,
        /// What.
        action: Action,
    },
}

/// What is open over the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing.
    Table,
    /// The filter is being typed.
    Filter,
    /// The help.
    Help,
    /// A question.
    Question {
        /// The host it is about.
        host: usize,
        /// The watcher as it is shown.
        shown: String,
        /// The watcher as requests call it.
        watcher: String,
        /// What is to be done to it.
        action: Action,
    },
}

/// A line for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Until when it is shown.
    pub until: At,
    /// Whether something went wrong.
    pub bad: bool,
    /// In words.
    pub text: String,
}

/// Where the operator is in one host's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The row it is on.
    pub key: Option<Key>,
    /// The row's place, for when the row is gone.
    pub index: usize,
    /// The first row on the screen.
    pub offset: usize,
    /// Groups whose members are hidden.
    pub folded: BTreeSet<String>,
}

/// Everything that is on the screen.
#[derive(Clone, Debug)]
pub struct State {
    hosts: Vec<Host>,
    /// The hosts as they were when the picture was held, and when that was.
    held: Option<(At, Vec<Host>)>,
    cursors: Vec<Cursor>,
    /// The host that has the cursor.
    pub focus: usize,
    /// The order.
    pub sort: Sort,
    /// Processes under their watchers, or all in one list.
    pub grouped: bool,
    /// The text that rows must contain.
    pub filter: String,
    /// What is open over the table.
    pub mode: Mode,
    /// A line for the operator.
    pub notice: Option<Notice>,
    /// Whether the detail pane is open.
    pub detail: bool,
    /// Whether the list of events is large.
    pub events: bool,
    /// Whether no daemon may be changed from here.
    pub read_only: bool,
    /// The time of the last input.
    pub now: At,
    screen: Rect,
    inspected: Option<(usize, String)>,
}

impl State {
    /// A picture of hosts nothing is known of yet.
    #[must_use]
    pub fn new(hosts: Vec<Host>, width: u16, height: u16) -> Self {
        let cursors = hosts.iter().map(|_| Cursor::default()).collect();
        Self {
            hosts,
            held: None,
            cursors,
            focus: 0,
            sort: Sort::default(),
            grouped: true,
            filter: String::new(),
            mode: Mode::Table,
            notice: None,
            detail: height >= 30,
            events: false,
            read_only: false,
            now: At::ZERO,
            screen: Rect::new(0, 0, width, height),
            inspected: None,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: At, input: Input) -> Vec<Effect> {
        self.now = now;
        let mut effects = Vec::new();
        // There are thousands of figures a second, and they are painted once: order comes with the next tick.
        let is_figure = matches!(input, Input::Report(_, Report::Message { .. }));
        match input {
            Input::Tick => self.tick(),
            Input::Report(host, report) => self.learn(host, report),
            Input::Command(command) => self.obey(command, &mut effects),
        }
        if !is_figure {
            self.settle();
            self.inspect(&mut effects);
        }
        effects
    }

    /// The hosts as they are shown.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        self.held.as_ref().map_or(&self.hosts, |(_, hosts)| hosts)
    }

    /// The hosts as they are, whatever is shown.
    #[must_use]
    pub fn live(&self) -> &[Host] {
        &self.hosts
    }

    /// When the picture was made: now, unless it is held.
    #[must_use]
    pub fn shown_at(&self) -> At {
        self.held.as_ref().map_or(self.now, |(at, _)| *at)
    }

    /// Whether the picture is held still.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.held.is_some()
    }

    /// Where the operator is in that host's table.
    #[must_use]
    pub fn cursor(&self, host: usize) -> Option<&Cursor> {
        self.cursors.get(host)
    }

    /// The rows of a host's table.
    #[must_use]
    pub fn rows(&self, host: usize) -> Vec<Row<'_>> {
        let (Some(shown), Some(cursor)) = (self.hosts().get(host), self.cursors.get(host)) else {
            return Vec::new();
        };
        let Cursor { folded, .. } = cursor;
        rows::rows(shown, &Choice { sort: self.sort, grouped: self.grouped, filter: &self.filter, folded })
    }

    /// Where everything stands on the screen.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let (hosts, focus) = (self.hosts.len(), self.focus);
        Layout::new(self.screen, Wanted { hosts, focus, detail: self.detail, events: self.events })
    }

    /// What the keys mean just now.
    #[must_use]
    pub const fn keys(&self) -> Keys {
        match self.mode {
            Mode::Table => Keys::List,
            Mode::Filter => Keys::Text,
            Mode::Help => Keys::Help,
            Mode::Question { .. } => Keys::Question,
        }
    }

    fn tick(&mut self) {
        for host in &mut self.hosts {
            host.tick(self.now);
        }
        if self.notice.as_ref().is_some_and(|notice| notice.until <= self.now) {
            self.notice = None;
        }
    }

    fn learn(&mut self, at: usize, report: Report) {
        let several = self.hosts.len() > 1;
        let Some(host) = self.hosts.get_mut(at) else { return };
        if let Report::Outcome { done, text } = report {
            let text = if several { format!("{}: {text}", host.label) } else { text };
            return self.tell(!done, &text);
        }
        host.learn(self.now, report);
    }

    fn obey(&mut self, command: Command, effects: &mut Vec<Effect>) {
        match command {
            Command::Quit => effects.push(Effect::Quit),
            Command::Suspend => effects.push(Effect::Suspend),
            Command::Redraw => effects.push(Effect::Repaint),
            Command::Move(step) => self.step(self.focus, step),
            Command::NextHost => self.focus = (self.focus + 1) % self.hosts.len().max(1),
            Command::PreviousHost => {
                self.focus = self.focus.checked_sub(1).unwrap_or(self.hosts.len().saturating_sub(1));
            }
            Command::Fold => self.fold(true),
            Command::Unfold => self.fold(false),
            Command::Toggle => self.toggle(),
            Command::ToggleAll => self.toggle_all(),
            Command::SortBy(column) => self.sort.choose(column),
            Command::SortRight => self.sort.choose(self.sort.column.beside(true)),
            Command::SortLeft => self.sort.choose(self.sort.column.beside(false)),
            Command::Reverse => self.sort.reversed = !self.sort.reversed,
            Command::Group => self.grouped = !self.grouped,
            Command::Pause => {
                self.held = match self.held.take() {
                    Some(_) => None,
                    None => Some((self.now, self.hosts.clone())),
                };
            }
            Command::Detail => self.detail = !self.detail,
            Command::Events => self.events = !self.events,
            Command::Help => self.mode = Mode::Help,
            Command::Filter => self.mode = Mode::Filter,
            Command::Type(letter) => {
                if self.filter.chars().count() < LONGEST_FILTER
                    && text::width(letter.encode_utf8(&mut [0; 4])) > 0
                {
                    self.filter.push(letter);
                    self.filter = text::clean(&self.filter);
                }
            }
            Command::Erase => {
                self.filter.pop();
            }
            Command::EraseAll => self.filter.clear(),
            Command::Accept => self.mode = Mode::Table,
            Command::Cancel => self.cancel(),
            Command::Act(action) => self.ask(action),
            Command::Confirm => self.confirm(effects),
            Command::Click(place) => self.click(place),
            Command::Wheel(place, step) => self.wheel(place, step),
            Command::Resize(width, height) => self.screen = Rect::new(0, 0, width, height),
        }
    }

    /// Closes what is open. The filter goes with its line, or when nothing is open.
    fn cancel(&mut self) {
        match std::mem::replace(&mut self.mode, Mode::Table) {
            Mode::Filter | Mode::Table => self.filter.clear(),
            Mode::Question { .. } => self.tell(false, "nothing was done"),
            Mode::Help => {}
        }
    }

    /// Puts the question; only its answer asks the daemon.
    fn ask(&mut self, action: Action) {
        let host = self.focus;
        if self.read_only {
            return self.tell(true, "read-only, as --read-only says");
        }
        match self.target() {
            Ok((shown, watcher)) => self.mode = Mode::Question { host, shown, watcher, action },
            Err(reason) => self.tell(true, &reason),
        }
    }

    /// The watcher under the cursor as it is shown and as requests call it.
    fn target(&self) -> Result<(String, String), String> {
        let host = self.hosts.get(self.focus).ok_or("there is no host")?;
        match &host.control {
            Control::Found { .. } => {}
            Control::Seeking => return Err("the control endpoint is still being looked for".to_owned()),
            Control::Lost => return Err("the control endpoint does not answer".to_owned()),
            Control::Absent { reason } => return Err(format!("read-only: {reason}")),
        }
        let key = self.cursors.get(self.focus).and_then(|cursor| cursor.key.as_ref());
        let name = match key {
            Some(Key::Group(name) | Key::Process(name, _)) => name,
            Some(Key::Socket(_)) | None => return Err("select a watcher first".to_owned()),
        };
        let watcher = host.watchers.get(name).ok_or("select a watcher first")?;
        let real = watcher.real.as_ref().ok_or("circusd does not know this watcher")?;
        Ok((watcher.name.clone(), real.clone()))
    }

    fn confirm(&mut self, effects: &mut Vec<Effect>) {
        if let Mode::Question { host, shown, watcher, action } =
            std::mem::replace(&mut self.mode, Mode::Table)
        {
            self.tell(false, &format!("asked for {} of {shown}", action.word()));
            effects.push(Effect::Act { host, watcher, action });
        }
    }

    fn tell(&mut self, bad: bool, text: &str) {
        self.notice = Some(Notice { until: self.now + NOTICE, bad, text: text::clean(text) });
    }

    /// Asks about the watcher under the cursor when the cursor came to it and the detail pane shows it.
    fn inspect(&mut self, effects: &mut Vec<Effect>) {
        let selected =
            if self.detail { self.target().ok().map(|(_, name)| (self.focus, name)) } else { None };
        if selected != self.inspected {
            self.inspected = selected;
            if let Some((host, watcher)) = self.inspected.clone() {
                effects.push(Effect::Inspect { host, watcher });
            }
        }
    }

    fn step(&mut self, host: usize, step: Step) {
        let rows = self.rows(host);
        let keys: Vec<Key> = rows.iter().map(Row::key).collect();
        let page = self.layout().pane(host).map_or(1, |pane| usize::from(pane.rows.height).max(1));
        if let Some(cursor) = self.cursors.get_mut(host) {
            cursor.step(step, page, &keys);
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
