//! The standard input of a program that is started here.

use std::{
    fs::File,
    io::{self, Seek, Write},
    process::Stdio,
};

use rustix::fs::{MemfdFlags, memfd_create};

/// These bytes and then the end: a file in memory, since a pipe holds as much as the kernel likes, and nobody has to
/// read it.
pub(crate) fn holding(parts: &[&[u8]]) -> io::Result<Stdio> {
    let mut file = File::from(memfd_create("stdin", MemfdFlags::CLOEXEC)?);
    for part in parts {
        file.write_all(part)?;
    }
    file.rewind()?;
    Ok(Stdio::from(file))
}
