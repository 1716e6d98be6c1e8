//! Files: `FileStream`, `WatchedFileStream`, `TimedRotatingFileStream` and what may be done to them from outside.
//!
//! A file is put away between lines. If it cannot be, output goes on where it is, with one warning: a misplaced line
//! is better than a lost one, or a child that waits for ever.

#[cfg(test)]
mod tests;

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

use circus_common::config::stream::{FileConfig, Owner};

use super::{
    Remarks, Sink,
    check::ids,
    compress::identity,
    roll::Roll,
    shape::Shape,
    unwritten::{Unwritten, line_end},
};
use crate::{
    os::trusted_open,
    stream::batch::{Batch, LINE_LIMIT},
};

/// A file that is open.
#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    /// What it holds, as far as we know.
    size: u64,
    /// Whether it is a file at all: a device or a pipe is never put away.
    regular: bool,
}

/// A sink that ends in a file.
#[derive(Debug)]
pub(super) struct FileSink {
    /// Absent until a temporary file was made.
    path: Option<PathBuf>,
    shape: Option<Shape>,
    roll: Roll,
    owner: Option<Owner>,
    mode: Option<u32>,
    open: Option<Open>,
    unwritten: Unwritten,
    /// Whether the last byte written did not end a line.
    mid_line: bool,
    /// How many bytes of the batch belong into this file before anything else is decided.
    owed: usize,
    /// How much was written since the file was to be put away, because a line was under way.
    postponed: usize,
    remarks: Remarks,
}

impl FileSink {
    pub(super) fn new(config: &FileConfig) -> Self {
        Self {
            path: config.filename.as_ref().map(PathBuf::from),
            shape: Shape::of(&config.format),
            roll: Roll::new(&config.rotation, config.compress),
            owner: config.owner.clone(),
            mode: config.mode,
            open: None,
            unwritten: Unwritten::default(),
            mid_line: false,
            owed: 0,
            postponed: 0,
            remarks: Remarks::default(),
        }
    }

    /// Makes a temporary file, or opens the one that has a name.
    fn make(&mut self) -> io::Result<Open> {
        let file = match &self.path {
            Some(path) => trusted_open::append(path)?,
            None => {
                let template = std::env::temp_dir().join(format!("tmp{}", "X".repeat(6)));
                let (fd, path) = nix::unistd::mkstemp(&template)?;
                self.remarks
                    .warnings
                    .push(format!("a stream without a filename writes to the new file `{}`", path.display()));
                self.path = Some(path);
                File::from(fd)
            }
        };
        self.give_away(&file)?;
        let metadata = file.metadata()?;
        let modified = u64::try_from(metadata.mtime()).unwrap_or(0);
        if metadata.is_file() {
            self.roll.opened(self.path.as_deref().unwrap_or(Path::new("")), modified, &mut self.remarks);
        }
        let (identity, regular) = (identity(&metadata), metadata.is_file());
        Ok(Open { file, identity, size: metadata.len(), regular })
    }

    fn give_away(&self, file: &File) -> io::Result<()> {
        if let Some(owner) = &self.owner {
            let (user, group) = ids(owner).map_err(io::Error::other)?;
            fchown(file, user, group)?;
        }
        match self.mode {
            Some(mode) => file.set_permissions(Permissions::from_mode(mode)),
            None => Ok(()),
        }
    }

    /// Looks whether the file is still the one to write to, and how large it is.
    fn refresh(&mut self) -> io::Result<()> {
        let watched = self.roll.is_watched();
        let Some(open) = self.open.as_mut().filter(|open| open.regular) else { return Ok(()) };
        let now = open.file.metadata()?;
        open.size = now.len();
        let removed = now.nlink() == 0;
        let named = || self.path.as_ref().and_then(|path| path.metadata().ok()).map(|named| identity(&named));
        if removed || watched && named() != Some(open.identity) {
            match self.make() {
                Ok(made) => (self.open, self.mid_line) = (Some(made), false),
                // Moved, and no other can be made: what is written there is not lost.
                Err(_) if !removed => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what waits from before.
    fn flush(&mut self) -> io::Result<()> {
        let Self { open, unwritten, .. } = self;
        let Some(open) = open else { return Err(io::ErrorKind::NotConnected.into()) };
        unwritten.flush(|bytes| {
            let written = write(&mut open.file, bytes)?;
            open.size += written as u64;
            Ok(written)
        })
    }

    /// Writes bytes as they came, in stretches between which the file may be put away.
    fn write_raw(&mut self, batch: &mut Batch) -> io::Result<()> {
        while !batch.is_empty() {
            if self.owed == 0 {
                self.owed = self.next_stretch(batch)?;
            }
            let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotConnected.into()) };
            let bytes = batch.rest().get(..self.owed).unwrap_or(batch.rest());
            let written = write(&mut open.file, bytes)?;
            self.mid_line = bytes.get(written.wrapping_sub(1)).is_some_and(|last| *last != b'\n');
            open.size += written as u64;
            self.owed = self.owed.saturating_sub(written);
            batch.take(written);
        }
        self.owed = 0;
        Ok(())
    }

    /// Puts the file away if it is time, and says how many bytes go into the one that is open then.
    fn next_stretch(&mut self, batch: &Batch) -> io::Result<usize> {
        let Some(open) = self.open.as_ref().filter(|open| open.regular) else { return Ok(batch.len()) };
        let fits = self.roll.fits(open.size, batch);
        if fits > 0 {
            return Ok(fits);
        }
        if self.mid_line && self.postponed < LINE_LIMIT {
            let end = line_end(batch.rest());
            self.postponed += end;
            return Ok(end);
        }
        self.postponed = 0;
        let at = batch.front().map(|segment| segment.at).unwrap_or_default();
        self.put_away(at)?;
        let size = self.open.as_ref().map_or(0, |open| open.size);
        // A line that fits nowhere goes into a file of its own.
        Ok(self.roll.fits(size, batch).max(line_end(batch.rest())))
    }

    /// Writes lines in their shape.
    fn write_shaped(&mut self, batch: &mut Batch) -> io::Result<()> {
        while let Some(line) = batch.line(LINE_LIMIT) {
            let (at, length) = (line.segment.at, line.length);
            let open = self.open.as_ref().filter(|open| open.regular);
            let size = open.map(|open| open.size + self.unwritten.len() as u64);
            if size.is_some_and(|size| self.roll.is_due(size, length, at)) {
                self.flush()?;
                self.put_away(at)?;
            }
            if let (Some(shape), Some(line)) = (&mut self.shape, batch.line(LINE_LIMIT)) {
                shape.write(&line, &mut self.unwritten.bytes);
            }
            batch.take(length);
            if self.unwritten.is_full() {
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Puts the file away and begins a new one.
    fn put_away(&mut self, at: Duration) -> io::Result<()> {
        let (Some(path), Some(open)) = (&self.path, &self.open) else { return Ok(()) };
        let path = path.clone();
        if self.roll.put_away(&path, open.identity, open.size, at, &mut self.remarks) {
            self.open = None;
            self.mid_line = false;
            self.open = Some(self.make()?);
        }
        Ok(())
    }
}

fn write(file: &mut File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Ok(0) if !bytes.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl Sink for FileSink {
    fn place(&self) -> String {
        self.path
            .as_ref()
            .map_or_else(|| "a temporary file".to_owned(), |path| format!("`{}`", path.display()))
    }

    fn open(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Some(self.make()?);
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        self.open()?;
        // Before the file may change: half a line of it is already there.
        self.flush()?;
        if self.owed == 0 {
            self.refresh()?;
        }
        if self.shape.is_some() { self.write_shaped(batch) } else { self.write_raw(batch) }
    }

    fn close(&mut self) {
        self.open = None;
    }

    fn kept(&self) -> u64 {
        self.unwritten.lines()
    }

    fn remarks(&mut self) -> Remarks {
        std::mem::take(&mut self.remarks)
    }
}
