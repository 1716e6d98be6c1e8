//! The log thread: the only one that writes log bytes, and so the only one a slow disk can hold up.
//!
//! It sleeps on its channel until there is something to write. Before each batch it looks whether its file was
//! moved; after each it owns up to the lines that were dropped because it could not keep up.

use std::{
    fmt::Display,
    io::{self, Write},
    process,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender},
    },
    time::SystemTime,
};

use super::{Plan, Settings, format::Author, layer::Shared, level::Level, record::Record, sink::Sink};

/// After this many records the thread looks at its file again, even if more are waiting.
const BATCH: usize = 256;

/// What the log thread is asked to do, in order.
#[derive(Debug)]
pub(super) enum Order {
    /// Write it.
    Write(Record),
    /// Write a line of the log's own.
    Say(Level, String),
    /// Other settings hold from here on.
    Apply(Settings),
    /// Open the file again.
    Reopen,
    /// Say when everything before this is written.
    Flush(SyncSender<()>),
}

/// The thread's state.
pub(super) struct Writer {
    plan: Plan,
    sink: Sink,
    shared: Arc<Shared>,
    author: Author,
    line: String,
    /// Whether the sink refused the last line: then the next refusal is not told again.
    refused: bool,
}

impl Writer {
    pub(super) fn new(name: &'static str, plan: Plan, sink: Sink, shared: Arc<Shared>) -> Self {
        let author = Author { name, pid: process::id() };
        Self { plan, sink, shared, author, line: String::new(), refused: false }
    }

    /// Works until nobody can give an order any more.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            if let Err(error) = self.sink.refresh() {
                self.tell_refusal(&error);
            }
            let mut order = Some(first);
            for _ in 0..BATCH {
                let Some(next) = order.take() else { break };
                // Whoever has waited for a flush may have moved the file since: what comes then is another batch.
                let flushed = matches!(next, Order::Flush(_));
                self.obey(next);
                order = if flushed { None } else { orders.try_recv().ok() };
            }
            if let Some(last) = order {
                self.obey(last);
            }
            self.own_up();
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Write(record) => {
                self.write(&record);
                self.shared.written(&record);
            }
            Order::Say(level, text) => self.say(level, text),
            Order::Apply(settings) => self.apply(&settings),
            Order::Reopen => match self.sink.reopen() {
                Ok(()) => {}
                Err(error) => {
                    self.say(Level::Warning, format_args!("cannot open the log file again: {error}"))
                }
            },
            Order::Flush(done) => {
                self.own_up();
                // Nobody waits any more: the time was up.
                let _ = done.try_send(());
            }
        }
    }

    /// Puts new settings into force; what cannot be opened leaves the old in force, and says so there.
    fn apply(&mut self, settings: &Settings) {
        let opened = Plan::new(settings).and_then(|plan| plan.open().map(|sink| (plan, sink)));
        match opened {
            Ok((plan, sink)) => {
                self.shared.set_threshold(plan.level);
                (self.plan, self.sink, self.refused) = (plan, sink, false);
                for warning in std::mem::take(&mut self.plan.warnings) {
                    self.say(Level::Warning, warning);
                }
            }
            Err(error) => {
                let cause =
                    std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                self.say(Level::Error, format_args!("{error}{cause}; the log stays where it is"));
            }
        }
    }

    fn own_up(&mut self) {
        match self.shared.take_dropped() {
            0 => {}
            count => self.say(
                Level::Warning,
                format_args!("{count} log lines were dropped: they came faster than they could be written"),
            ),
        }
    }

    /// A line of the log's own.
    fn say(&mut self, level: Level, message: impl Display) {
        self.write(&Record::own(level, now(), message));
    }

    fn write(&mut self, record: &Record) {
        self.line.clear();
        self.plan.format.write(record, self.author, &mut self.line);
        self.line.push('\n');
        match self.sink.write(record.level, &self.line) {
            Ok(()) => self.refused = false,
            Err(error) => {
                self.tell_refusal(&error);
                // The last resort; if that fails too there is nowhere left to say it.
                let _ = io::stderr().write_all(self.line.as_bytes());
            }
        }
    }

    /// Once for each time the place of the log goes bad, not for each line.
    fn tell_refusal(&mut self, error: &io::Error) {
        if self.refused {
            return;
        }
        self.refused = true;
        let told = Record::own(Level::Error, now(), format_args!("cannot write to the log: {error}"));
        let mut line = String::new();
        self.plan.format.write(&told, self.author, &mut line);
        let _ = writeln!(io::stderr(), "{line}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the time of a log line is read where the line is made")]
pub(super) fn now() -> SystemTime {
    SystemTime::now()
}
