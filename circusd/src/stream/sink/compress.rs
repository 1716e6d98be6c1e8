//! Compresses files that were put away, while output goes on.
//!
//! The new file is written under a name of its own and takes the old one's place when it is whole, so a crash leaves
//! either. The old file may be renamed meanwhile, by another rotation: it is known by its inode, not by its name.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flate2::{Compression as Effort, write::GzEncoder};

/// What a compressed file's name ends in.
pub(super) const ENDING: &str = ".gz";
/// What the name of one that is not whole ends in.
const UNFINISHED: &str = ".compressing";

/// The right to rename what was put away from one file. Held for the moment of renaming only.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<Mutex<()>>);

impl Names {
    pub(super) fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards names on a disk: no panic of ours leaves them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is to be compressed.
#[derive(Debug)]
pub(in crate::stream) struct Compression {
    /// Where it was when this was decided.
    pub(super) path: PathBuf,
    /// Device and inode.
    pub(super) identity: (u64, u64),
    /// Names it may have got since: the base name, and how many numbers there are.
    pub(super) numbered: Option<(PathBuf, u32)>,
    pub(super) names: Names,
}

impl Compression {
    /// Does it. A file that is gone meanwhile was not wanted any more.
    ///
    /// # Errors
    /// A sentence for the log; the file is then left as it was.
    pub(in crate::stream) fn run(&self) -> Result<(), String> {
        self.compress().map_err(|error| format!("cannot compress `{}`: {error}", self.path.display()))
    }

    fn compress(&self) -> io::Result<()> {
        let Some(mut from) = self.open()? else { return Ok(()) };
        let metadata = from.metadata()?;
        if identity(&metadata) != self.identity {
            return Ok(());
        }
        let unfinished = self.unfinished();
        let made = deflate(&mut from, &metadata, &unfinished).and_then(|()| {
            let _names = self.names.lock();
            let Some(old) = self.find() else { return fs::remove_file(&unfinished) };
            fs::rename(&unfinished, with_ending(&old, ENDING))?;
            fs::remove_file(old)
        });
        made.inspect_err(|_| drop(fs::remove_file(&unfinished)))
    }

    /// Opens the file, if it is there. In the middle of a rotation its name would be looked for in vain.
    fn open(&self) -> io::Result<Option<File>> {
        let _names = self.names.lock();
        let Some(old) = self.find() else { return Ok(None) };
        File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(old).map(Some)
    }

    /// The name the file has now.
    fn find(&self) -> Option<PathBuf> {
        let is_it = |path: &PathBuf| {
            path.symlink_metadata().is_ok_and(|there| there.is_file() && identity(&there) == self.identity)
        };
        let numbered = self.numbered.iter().flat_map(|(base, count)| {
            let numbers = (1..=*count).map(move |number| with_ending(base, &format!(".{number}")));
            // Numbers have no gaps, so that a great count costs nothing.
            numbers.take_while(|path| exists(path) || exists(&with_ending(path, ENDING)))
        });
        std::iter::once(self.path.clone()).chain(numbered).find(is_it)
    }

    /// Beside the file, and its own even if two are compressed at once.
    fn unfinished(&self) -> PathBuf {
        let base = self.numbered.as_ref().map_or(&self.path, |(base, _)| base);
        with_ending(base, &format!(".{}{UNFINISHED}", self.identity.1))
    }
}

/// Removes what a crash has left of compressions of this file.
pub(super) fn clean_up(base: &Path) {
    for (path, suffix) in put_away(base) {
        if suffix.ends_with(UNFINISHED) {
            // If it cannot be removed it stays, and does no harm.
            let _stays = fs::remove_file(path);
        }
    }
}

/// All files named `BASE.SUFFIX`, with their suffixes.
pub(super) fn put_away(base: &Path) -> Vec<(PathBuf, String)> {
    let Some(name) = base.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let directory = match base.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        // A name without a directory is one of the current directory.
        Some(_) | None => Path::new("."),
    };
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let suffix = |entry: fs::DirEntry| {
        let suffix = entry.file_name().to_str()?.strip_prefix(name)?.strip_prefix('.')?.to_owned();
        Some((entry.path(), suffix))
    };
    entries.flatten().filter_map(suffix).collect()
}

fn deflate(from: &mut File, like: &Metadata, to: &Path) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(to)?;
    // Whoever could read it before can after; without the right to give it away, it stays ours.
    let _refused = std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()));
    file.set_permissions(like.permissions())?;
    let mut encoder = GzEncoder::new(file, Effort::default());
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => encoder.write_all(buffer.get(..length).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // It is on the disk before the old one is removed.
    encoder.finish()?.sync_data()
}

/// Appends to the last component of a path.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Device and inode.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether something has that name.
pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    fn compression(path: &Path, numbered: Option<(PathBuf, u32)>) -> Compression {
        let identity = identity(&path.metadata().unwrap());
        Compression { path: path.to_owned(), identity, numbered, names: Names::default() }
    }

    #[test]
    fn a_file_is_replaced_by_its_compressed_form_with_the_same_rights() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.1");
        fs::write(&path, "a line\n".repeat(10_000)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        compression(&path, None).run().unwrap();
        let made = dir.path().join("log.1.gz");
        assert_eq!(text(&made), "a line\n".repeat(10_000));
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_was_renamed_meanwhile_is_found_by_its_inode() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("log");
        let (one, two) = (dir.path().join("log.1"), dir.path().join("log.2"));
        fs::write(&one, "old\n").unwrap();
        let compression = compression(&one, Some((base, 5)));
        fs::rename(&one, &two).unwrap();
        fs::write(&one, "new\n").unwrap();
        compression.run().unwrap();
        assert_eq!(text(&dir.path().join("log.2.gz")), "old\n");
        assert_eq!(fs::read_to_string(&one).unwrap(), "new\n");
        assert!(!exists(&two));
    }

    #[test]
    fn a_file_is_not_looked_for_while_files_are_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("log.1"), dir.path().join("log.2"));
        fs::write(&two, "old\n").unwrap();
        let numbered = Some((dir.path().join("log"), 5));
        let compression = Compression { path: one.clone(), ..compression(&two, numbered) };
        let names = compression.names.clone();
        let renaming = names.lock();
        let compressing = std::thread::spawn(move || compression.run());
        // Long enough for one that does not wait.
        for _ in 0..10_000 {
            std::thread::yield_now();
        }
        fs::write(&one, "new\n").unwrap();
        drop(renaming);
        compressing.join().unwrap().unwrap();
        assert_eq!(text(&dir.path().join("log.2.gz")), "old\n");
    }

    #[test]
    fn a_file_that_is_gone_is_not_asked_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.1");
        fs::write(&path, "x").unwrap();
        let compression = compression(&path, None);
        fs::remove_file(&path).unwrap();
        compression.run().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn leavings_of_a_crash_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["log", "log.1", "log.77.compressing", "other.5.compressing"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        clean_up(&dir.path().join("log"));
        assert!(!exists(&dir.path().join("log.77.compressing")));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
