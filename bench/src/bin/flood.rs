//! The program whose output is captured: it signs the board, waits at the gate, writes all its lines, and waits for
//! signals for ever.
//!
//! `flood BOARD GATE`. The gate is a named pipe; it is open when somebody opens it for writing.

use std::{
    env,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

use circus_bench::flood::{LINES, line};

fn main() -> ExitCode {
    let mut paths = env::args_os().skip(1).map(PathBuf::from);
    let (Some(board), Some(gate)) = (paths.next(), paths.next()) else {
        eprintln!("usage: flood BOARD GATE");
        return ExitCode::FAILURE;
    };
    let written = circus_bench::board::sign(&board).and_then(|()| File::open(&gate)).and_then(|_| write());
    if let Err(error) = written {
        eprintln!("flood: {error}");
        return ExitCode::FAILURE;
    }
    loop {
        rustix::event::pause();
    }
}

/// In the pieces in which a program writes to a pipe that uses a buffer.
fn write() -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    for number in 0..LINES {
        out.write_all(&line(number))?;
    }
    out.flush()
}
