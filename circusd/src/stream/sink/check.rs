//! Whether a sink can be had, found out without changing anything.
//!
//! A broken stream makes a broken section: better known when the configuration is read than when a
//! process has something to say.

use std::{
    io,
    path::{Path, PathBuf},
};

use circus_common::config::stream::{Class, FileConfig, Owner, StreamConfig};
use nix::unistd::{Group, User};
use rustix::fs::{Access, AtFlags, CWD, FileType};

use crate::os::trusted_open;

/// Whether the sink of a stream can be had here and now: its file can be made or written, its owner exists.
/// Asks file systems and name services, so never call it on the decision thread.
///
/// # Errors
/// What is wrong, to follow `cannot use stdout_stream of NAME: `.
pub fn check_sink(config: &StreamConfig) -> Result<(), String> {
    match &config.class {
        Class::File(file) => check_file(file),
        // These may come later, and a helper's Python tells itself what it cannot import.
        Class::Stdout(_)
        | Class::FancyStdout { .. }
        | Class::Queue
        | Class::Syslog(_)
        | Class::Journal(_)
        | Class::Python(_) => Ok(()),
    }
}

fn check_file(config: &FileConfig) -> Result<(), String> {
    if let Some(owner) = &config.owner {
        ids(owner)?;
    }
    match &config.filename {
        None => writable_directory(&std::env::temp_dir()),
        Some(name) => check_path(Path::new(name)),
    }
}

fn check_path(path: &Path) -> Result<(), String> {
    look_at(path)?;
    // What is there may be fine, and yet be reached by a link that opening it would refuse.
    trusted_open::check_links(path).map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

fn look_at(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Ok(there) if there.is_dir() => Err(format!("`{}` is a directory", path.display())),
        Ok(there) => {
            let kind = FileType::from_raw_mode(std::os::unix::fs::MetadataExt::mode(&there));
            let writable = accessible(path, Access::WRITE_OK);
            writable.map_err(|error| format!("cannot write `{}`: {error}", path.display()))?;
            // Only a file is put away by renaming, which its directory must allow when that time comes.
            if kind == FileType::Socket {
                return Err(format!(
                    "`{}` is a socket; its messages are not lines of a file",
                    path.display()
                ));
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => writable_directory(&parent(path)),
        Err(error) => Err(format!("cannot write `{}`: {error}", path.display())),
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

fn writable_directory(path: &Path) -> Result<(), String> {
    match path.metadata() {
        Ok(there) if !there.is_dir() => Err(format!("`{}` is not a directory", path.display())),
        Ok(_) => accessible(path, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| format!("cannot create files in `{}`: {error}", path.display())),
        Err(error) => Err(format!("cannot create files in `{}`: {error}", path.display())),
    }
}

/// Asks with the rights that a write will have, not those of whoever started us.
fn accessible(path: &Path, access: Access) -> io::Result<()> {
    Ok(rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
}

/// The numbers of a file's owner. May ask the network.
pub(super) fn ids(owner: &Owner) -> Result<(Option<u32>, Option<u32>), String> {
    let mut primary = None;
    let user = match &owner.user {
        None => None,
        Some(name) => {
            let known = match name.parse::<u32>() {
                Ok(number) => User::from_uid(number.into()),
                Err(_) => User::from_name(name),
            };
            match (known, name.parse::<u32>()) {
                (Ok(Some(user)), _) => {
                    primary = Some(user.gid.as_raw());
                    Some(user.uid.as_raw())
                }
                // A number needs no name.
                (Ok(None), Ok(number)) => Some(number),
                (Ok(None), Err(_)) => return Err(format!("there is no user `{name}`")),
                (Err(error), _) => return Err(format!("cannot look up user `{name}`: {}", error.desc())),
            }
        }
    };
    let group = match &owner.group {
        None => primary,
        Some(name) => match (name.parse::<u32>(), name) {
            (Ok(number), _) => Some(number),
            (Err(_), name) => match Group::from_name(name) {
                Ok(Some(group)) => Some(group.gid.as_raw()),
                Ok(None) => return Err(format!("there is no group `{name}`")),
                Err(error) => return Err(format!("cannot look up group `{name}`: {}", error.desc())),
            },
        },
    };
    Ok((user, group))
}
