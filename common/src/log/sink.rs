//! The open end of the log: takes the lines of a batch and hands them to the system.
//!
//! A line that its place refuses goes to stderr, so that a full disk does not make the daemon mute.

use std::{
    fs::{File, Metadata},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{level::Level, output::Output, syslog::Syslog};
use crate::os::trusted_open;

/// The open end of an [`Output`].
#[derive(Debug)]
pub(super) enum Sink {
    Stderr,
    Stdout,
    File(LogFile),
    Syslog(Syslog),
    Nowhere,
}

impl Sink {
    /// Opens the output. Only a file can fail here: a syslog daemon may come later.
    pub(super) fn open(output: &Output) -> io::Result<Self> {
        Ok(match output {
            Output::Stderr => Self::Stderr,
            Output::Stdout => Self::Stdout,
            Output::File(path) => Self::File(LogFile::open(path)?),
            Output::Syslog { to, facility } => Self::Syslog(Syslog::new(to.clone(), *facility)),
            Output::Nowhere => Self::Nowhere,
        })
    }

    /// Looks whether the file was moved away, and makes a new one then. Called before each batch.
    pub(super) fn refresh(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.refresh(),
            Self::Stderr | Self::Stdout | Self::Syslog(_) | Self::Nowhere => Ok(()),
        }
    }

    /// Opens the file again, moved or not.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.reopen(),
            Self::Stderr | Self::Stdout | Self::Syslog(_) | Self::Nowhere => Ok(()),
        }
    }

    /// Writes one line, which ends in `\n`.
    pub(super) fn write(&mut self, level: Level, line: &str) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().write_all(line.as_bytes()),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line.as_bytes())?;
                stdout.flush()
            }
            Self::File(file) => file.file.write_all(line.as_bytes()),
            Self::Syslog(syslog) => syslog.send(level, line.trim_end_matches('\n')),
            Self::Nowhere => Ok(()),
        }
    }
}

/// A log file that follows its name.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = trusted_open::append(path)?;
        let identity = identity(&file.metadata()?);
        Ok(Self { path: path.to_owned(), file, identity })
    }

    fn refresh(&mut self) -> io::Result<()> {
        let there = self.path.metadata().is_ok_and(|named| identity(&named) == self.identity);
        if there { Ok(()) } else { self.reopen() }
    }

    /// On failure the old descriptor stays in use.
    fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(sink: &mut Sink, line: &str) {
        sink.refresh().unwrap();
        sink.write(Level::Info, line).unwrap();
    }

    #[test]
    fn a_moved_file_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
        let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
        write(&mut sink, "one\n");
        fs::rename(&path, &moved).unwrap();
        write(&mut sink, "two\n");
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_file_in_the_place_of_ours_is_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "new\n").unwrap();
        write(&mut sink, "two\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\ntwo\n");
    }

    #[test]
    fn when_the_directory_is_gone_the_old_file_stays_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let (place, path) = (dir.path().join("d"), dir.path().join("d/log"));
        fs::create_dir(&place).unwrap();
        let mut sink = Sink::open(&Output::File(path)).unwrap();
        fs::rename(&place, dir.path().join("e")).unwrap();
        assert!(sink.refresh().is_err());
        sink.write(Level::Info, "still\n").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("e/log")).unwrap(), "still\n");
    }
}
