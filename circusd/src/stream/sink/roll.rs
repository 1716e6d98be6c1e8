//! When a file is put away, and how: by number or by date.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use circus_common::config::stream::Rotation;
use memchr::memrchr;

use super::{
    Remarks,
    compress::{Compression, ENDING, Names, clean_up, exists, identity, put_away, with_ending},
    timetable::Timetable,
};
use crate::stream::batch::Batch;

/// So many files of one date are told apart by a number.
const MOST_OF_A_DATE: u32 = 1000;

/// When.
#[derive(Debug)]
pub(super) enum Plan {
    /// Not by us.
    Never,
    /// Not by us, but somebody may do it.
    Watched,
    /// Before it reaches a size.
    Size {
        /// The size.
        max_bytes: u64,
        /// How many old ones are kept.
        backup_count: u32,
        /// What it may have beyond that, because it could not be put away.
        extra: u64,
    },
    /// By the clock.
    Time {
        /// The moments.
        table: Timetable,
        /// How many old ones are kept; 0 is all.
        backup_count: u32,
    },
}

impl From<&Rotation> for Plan {
    fn from(rotation: &Rotation) -> Self {
        match rotation {
            // With no old file to keep, Circus closes the file and goes on in it.
            Rotation::Size { max_bytes: 0, .. } | Rotation::Size { backup_count: 0, .. } => Self::Never,
            Rotation::Size { max_bytes, backup_count } => {
                Self::Size { max_bytes: *max_bytes, backup_count: *backup_count, extra: 0 }
            }
            Rotation::Watched => Self::Watched,
            Rotation::Time { when, interval, backup_count, utc } => {
                Self::Time { table: Timetable::new(*when, *interval, *utc), backup_count: *backup_count }
            }
        }
    }
}

/// How one file is put away.
#[derive(Debug)]
pub(super) struct Roll {
    plan: Plan,
    /// With it, compressed as well.
    names: Option<Names>,
    /// Whether leavings of a former life were looked for.
    looked: bool,
    /// Whether the last try failed: then the next failure is not told again.
    failed: bool,
}

impl Roll {
    pub(super) fn new(rotation: &Rotation, compress: bool) -> Self {
        Self {
            plan: Plan::from(rotation),
            names: compress.then(Names::default),
            looked: false,
            failed: false,
        }
    }

    /// Whether somebody else may put the file away.
    pub(super) const fn is_watched(&self) -> bool {
        matches!(self.plan, Plan::Watched)
    }

    /// A file was opened that was last changed at that second.
    pub(super) fn opened(&mut self, path: &Path, modified: u64, remarks: &mut Remarks) {
        if let Plan::Time { table, .. } = &mut self.plan {
            table.begin(modified);
        }
        if std::mem::replace(&mut self.looked, true) || self.names.is_none() {
            return;
        }
        clean_up(path);
        // What a former life has put away and not compressed.
        let left = put_away(path).into_iter().filter(|(_, suffix)| self.is_plain(suffix));
        let left = left.filter_map(|(path, _)| Some((identity(&path.metadata().ok()?), path)));
        let left: Vec<_> = left.collect();
        remarks
            .compressions
            .extend(left.into_iter().filter_map(|(id, found)| self.compression(path, found, id)));
    }

    /// Whether a suffix is one of ours, and not compressed.
    fn is_plain(&self, suffix: &str) -> bool {
        match &self.plan {
            Plan::Never | Plan::Watched => false,
            Plan::Size { backup_count, .. } => {
                suffix.parse::<u32>().is_ok_and(|number| (1..=*backup_count).contains(&number))
            }
            Plan::Time { table, .. } => table.is_suffix(suffix) && !suffix.ends_with(ENDING),
        }
    }

    /// How many bytes of whole lines still go into a file of that size; 0 if it is to be put away first.
    pub(super) fn fits(&self, size: u64, batch: &Batch) -> usize {
        match &self.plan {
            Plan::Never | Plan::Watched => batch.len(),
            Plan::Size { max_bytes, extra, .. } => {
                let room = max_bytes.saturating_add(*extra).saturating_sub(size);
                let room = usize::try_from(room).unwrap_or(usize::MAX);
                let rest = batch.rest();
                if rest.len() < room {
                    return rest.len();
                }
                let below = rest.get(..room.saturating_sub(1)).unwrap_or(rest);
                memrchr(b'\n', below).map_or(0, |at| at + 1)
            }
            Plan::Time { table, .. } => batch.length_before(Duration::from_secs(table.due())),
        }
    }

    /// Whether a file of that size is to be put away before a line of that length that came at that time.
    pub(super) fn is_due(&self, size: u64, length: usize, at: Duration) -> bool {
        match &self.plan {
            Plan::Never | Plan::Watched => false,
            Plan::Size { max_bytes, extra, .. } => {
                size.saturating_add(length as u64) >= max_bytes.saturating_add(*extra)
            }
            Plan::Time { table, .. } => at.as_secs() >= table.due(),
        }
    }

    /// Puts the file away. Says whether it is; if not, the next try comes later.
    pub(super) fn put_away(
        &mut self,
        path: &Path,
        id: (u64, u64),
        size: u64,
        at: Duration,
        remarks: &mut Remarks,
    ) -> bool {
        let names = self.names.clone();
        let held = names.as_ref().map(Names::lock);
        let now = at.as_secs();
        let moved = match &mut self.plan {
            Plan::Never | Plan::Watched => return false,
            Plan::Size { max_bytes, backup_count, extra } => {
                let moved = by_number(path, *backup_count);
                *extra = if moved.is_ok() { 0 } else { size.max(*max_bytes) };
                moved
            }
            Plan::Time { table, backup_count } => {
                let moved = by_date(path, &table.suffix(now));
                table.advance(now);
                if moved.is_ok() && *backup_count > 0 {
                    remove_oldest(path, table, *backup_count as usize);
                }
                moved
            }
        };
        drop(held);
        match moved {
            Ok(Some(to)) => remarks.compressions.extend(self.compression(path, to, id)),
            Ok(None) => {}
            Err(error) => {
                if !std::mem::replace(&mut self.failed, true) {
                    let path = path.display();
                    let text = format!("cannot put `{path}` away, so output goes on in it: {error}");
                    remarks.warnings.push(text);
                }
                return false;
            }
        }
        self.failed = false;
        true
    }

    fn compression(&self, base: &Path, path: PathBuf, identity: (u64, u64)) -> Option<Compression> {
        let numbered = match &self.plan {
            Plan::Never | Plan::Watched => return None,
            Plan::Size { backup_count, .. } => Some((base.to_owned(), *backup_count)),
            Plan::Time { .. } => None,
        };
        Some(Compression { path, identity, numbered, names: self.names.clone()? })
    }
}

/// `F.1` becomes `F.2` and so on up to the number kept, then F becomes `F.1`. Nothing if F is gone.
fn by_number(path: &Path, backup_count: u32) -> io::Result<Option<PathBuf>> {
    let numbered = |number: u32| with_ending(path, &format!(".{number}"));
    let packed = |number: u32| with_ending(&numbered(number), ENDING);
    // Up to the first gap only: what lies beyond need not make room.
    let taken = (1..backup_count).take_while(|number| exists(&numbered(*number)) || exists(&packed(*number)));
    for number in (1..=taken.count()).rev().filter_map(|number| u32::try_from(number).ok()) {
        if exists(&packed(number)) && exists(&numbered(number)) {
            // A crash came between the last two steps of a compression.
            fs::remove_file(numbered(number))?;
        }
        move_over(&packed(number), &packed(number + 1), &numbered(number + 1))?;
        move_over(&numbered(number), &numbered(number + 1), &packed(number + 1))?;
    }
    move_over(path, &numbered(1), &packed(1)).map(|moved| moved.then(|| numbered(1)))
}

/// Renames what is there over what may be there, and removes the other form of it. Says whether something was there.
fn move_over(from: &Path, to: &Path, other_form: &Path) -> io::Result<bool> {
    match fs::rename(from, to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    match fs::remove_file(other_form) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(true),
    }
}

/// F becomes `F.SUFFIX`. Where the clock was set back a number keeps the files of one date apart; Circus would lose
/// the first.
fn by_date(path: &Path, suffix: &str) -> io::Result<Option<PathBuf>> {
    let name = |number: u32| match number {
        0 => with_ending(path, &format!(".{suffix}")),
        number => with_ending(path, &format!(".{suffix}-{number}")),
    };
    let is_free = |path: &PathBuf| !exists(path) && !exists(&with_ending(path, ENDING));
    let to = (0..MOST_OF_A_DATE).map(name).find(is_free).unwrap_or_else(|| name(MOST_OF_A_DATE));
    match fs::rename(path, &to) {
        Ok(()) => Ok(Some(to)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Leaves so many of the files that were put away by date.
fn remove_oldest(path: &Path, table: &Timetable, kept: usize) {
    let mut old = put_away(path);
    old.retain(|(_, suffix)| table.is_suffix(suffix));
    old.sort_by(|(_, one), (_, other)| date(one).cmp(date(other)));
    let excess = old.len().saturating_sub(kept);
    for (path, _) in old.into_iter().take(excess) {
        // It is tried again at the next rotation.
        let _stays = fs::remove_file(path);
    }
}

/// A suffix by which files sort as they were put away.
fn date(suffix: &str) -> &str {
    suffix.strip_suffix(ENDING).unwrap_or(suffix)
}
