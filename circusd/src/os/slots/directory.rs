//! Where the table lies, and that nobody else can put theirs there.

use std::{
    env,
    fs::{DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::SlotError;

/// Where the table is to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateDir {
    /// `$RUNTIME_DIRECTORY`, else `/run/circus` (root), else `$XDG_RUNTIME_DIR/circus`, else `/tmp/circus-UID`.
    Standard,
    /// This directory.
    At(PathBuf),
    /// Nowhere: the table is memory only, and nothing survives.
    Nowhere,
}

impl StateDir {
    /// The directory that [`StateDir::Standard`] means for whoever runs this process.
    #[must_use]
    pub fn standard() -> PathBuf {
        standard(|name| env::var_os(name).map(PathBuf::from))
    }

    /// The directory, made if it is missing, 0700 and ours.
    pub(super) fn prepare(&self) -> Result<Option<PathBuf>, SlotError> {
        let path = match self {
            Self::Standard => Self::standard(),
            Self::At(path) => path.clone(),
            Self::Nowhere => return Ok(None),
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(SlotError::Open { path, source })
            }
            Ok(()) | Err(_) => check(&path).map(|()| Some(path)),
        }
    }
}

fn standard(variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let set = |name| variable(name).filter(|value| value.is_absolute());
    // systemd names several, joined by colons; the first is the unit's main one.
    let first = |list: PathBuf| PathBuf::from(list.to_string_lossy().split(':').next().unwrap_or_default());
    let uid = nix::unistd::geteuid();
    if let Some(list) = set("RUNTIME_DIRECTORY") {
        first(list)
    } else if uid.is_root() {
        PathBuf::from("/run/circus")
    } else if let Some(runtime) = set("XDG_RUNTIME_DIR") {
        runtime.join("circus")
    } else {
        PathBuf::from(format!("/tmp/circus-{uid}"))
    }
}

/// A directory, no symlink, owned by us, writable by nobody else.
fn check(path: &Path) -> Result<(), SlotError> {
    let found =
        path.symlink_metadata().map_err(|source| SlotError::Open { path: path.to_owned(), source })?;
    let safe = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if safe { Ok(()) } else { Err(SlotError::Directory { path: path.to_owned() }) }
}

/// Opens or makes the file; a symlink in its place is refused, and what is not this user's: whoever may write the table
/// says which processes are to be ended.
pub(super) fn open_file(path: &Path) -> Result<File, SlotError> {
    let open = |source| SlotError::Open { path: path.to_owned(), source };
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
        .open(path)
        .map_err(open)?;
    let found = file.metadata().map_err(open)?;
    let safe = found.is_file() && found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o022 == 0;
    if safe { Ok(file) } else { Err(SlotError::Foreign { path: path.to_owned() }) }
}

/// FNV-1a: the same in every release, so that the next version finds the file.
pub(super) fn hash(endpoint: &str) -> u64 {
    endpoint
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_s_directory_comes_first() {
        let found = standard(|name| (name == "RUNTIME_DIRECTORY").then(|| "/run/a:/run/b".into()));
        assert_eq!(found, PathBuf::from("/run/a"));
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().expect("made");
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
            .expect("set");
        let refused = StateDir::At(dir.path().to_owned()).prepare();
        assert!(matches!(refused, Err(SlotError::Directory { .. })), "{refused:?}");
    }

    #[test]
    fn a_symlink_is_refused() {
        let dir = tempfile::tempdir().expect("made");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).expect("linked");
        assert!(matches!(StateDir::At(link).prepare(), Err(SlotError::Directory { .. })));
    }
}
