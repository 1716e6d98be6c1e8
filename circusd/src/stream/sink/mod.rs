//! Where output goes: one kind of sink a file.
//!
//! A sink is used by one writer thread at a time, and may keep it waiting: what is slow there holds up nothing else.
//! What a sink cannot take stays in the batch it was given, or with the sink where half a line is already written.

mod bridge;
mod check;
mod compress;
mod file;
mod journal;
mod own_output;
mod roll;
mod shape;
mod stamp;
mod syslog;
mod timetable;
mod unwritten;

use std::{fmt, io, os::fd::OwnedFd, path::PathBuf};

use circus_common::config::stream::{Class, FileConfig, Format, StreamConfig};

pub use self::check::check_sink;
pub(super) use self::compress::Compression;
use self::{
    bridge::Bridge,
    file::FileSink,
    journal::Journal,
    own_output::{Own, OwnOutput},
    shape::Shape,
    syslog::Syslog,
};
use super::{batch::Batch, order::Channel};

/// A place that takes lines.
pub(super) trait Sink: Send + fmt::Debug {
    /// What it is called in messages.
    fn place(&self) -> String;

    /// Opens it, if it is not open. Output alone opens it too.
    ///
    /// # Errors
    /// What the system says.
    fn open(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Takes lines off the batch and writes them. When it returns `Ok` the batch is empty.
    ///
    /// # Errors
    /// Why the place takes no more. It may be asked again with the same batch.
    fn write(&mut self, batch: &mut Batch) -> io::Result<()>;

    /// Lets go of the place.
    fn close(&mut self) {}

    /// Whether the place is gone for good, as this error shows, and waiting for it is in vain.
    fn is_gone(&self, _error: &io::Error) -> bool {
        false
    }

    /// Whether it can do nothing before a helper is there.
    fn wants_helper(&self) -> bool {
        false
    }

    /// Takes the socket of a helper, if it is a sink that has one.
    fn adopt(&mut self, _helper: OwnedFd) {}

    /// How many lines it has taken off a batch and could not pass on. They go first when it is to write again, if only
    /// an empty batch.
    fn kept(&self) -> u64 {
        0
    }

    /// What came up while it wrote.
    fn remarks(&mut self) -> Remarks {
        Remarks::default()
    }
}

/// What a sink has to tell beside its result.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// Warnings for the log, each told once.
    pub(super) warnings: Vec<String>,
    /// Files that were put away and are to be compressed.
    pub(super) compressions: Vec<Compression>,
}

/// Which streams share a sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// All of one path, whose lines would be mixed otherwise.
    File(PathBuf),
    /// All that write bytes as they come to circusd's standard output.
    Stdout,
    /// The same for its standard error.
    Stderr,
    /// None: it is alone.
    Alone,
}

/// The key and the sink of a stream; [`None`] where output goes nowhere but the ring.
pub(super) fn build(config: &StreamConfig, name: &str, channel: Channel) -> Option<(Key, Box<dyn Sink>)> {
    Some(match &config.class {
        Class::Queue => return None,
        Class::File(file) => file_sink(file),
        Class::Stdout(format) => own(Own::Stdout, format),
        Class::FancyStdout { color, time_format } => {
            let shape = Shape::fancy(*color, time_format);
            (Key::Alone, Box::new(OwnOutput::new(Own::Stdout, Some(shape))))
        }
        Class::Syslog(syslog) => (Key::Alone, Box::new(Syslog::new(syslog, name, channel))),
        Class::Journal(journal) => (Key::Alone, Box::new(Journal::new(journal, name, channel))),
        Class::Python(python) => (Key::Alone, Box::new(Bridge::new(&python.path))),
    })
}

/// Whether bytes are written as they come: then a line of one process must be ended before one of another.
pub(super) fn is_raw(config: &StreamConfig) -> bool {
    match &config.class {
        Class::File(FileConfig { format, .. }) | Class::Stdout(format) => *format == Format::Raw,
        Class::FancyStdout { .. }
        | Class::Queue
        | Class::Syslog(_)
        | Class::Journal(_)
        | Class::Python(_) => false,
    }
}

fn own(own: Own, format: &Format) -> (Key, Box<dyn Sink>) {
    let key = match (&own, format) {
        (Own::Stdout, Format::Raw) => Key::Stdout,
        (Own::Stderr, Format::Raw) => Key::Stderr,
        (Own::Stdout | Own::Stderr | Own::Other(_), _) => Key::Alone,
    };
    (key, Box::new(OwnOutput::new(own, Shape::of(format))))
}

fn file_sink(config: &FileConfig) -> (Key, Box<dyn Sink>) {
    let Some(name) = &config.filename else { return (Key::Alone, Box::new(FileSink::new(config))) };
    match name.as_str() {
        // Opened by name they would be other descriptions of the same file, each with its own place in it.
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => own(Own::Stdout, &config.format),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => own(Own::Stderr, &config.format),
        name => {
            let path = std::path::absolute(name).unwrap_or_else(|_| PathBuf::from(name));
            (Key::File(path), Box::new(FileSink::new(config)))
        }
    }
}
