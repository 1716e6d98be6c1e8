//! The command line of the benchmark.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::contender::Name;

/// circusd beside Circus, Supervisor and the bare limits, on the same work in the same run.
///
/// Prints a Markdown table. Run it from the workspace as `cargo run --release -p circus-bench`: it builds what it
/// measures, and installs Circus and Supervisor from PyPI into `target/bench-venv`. Whole runs take about an hour; on a
/// machine that does other things the ratios are worth more than the figures.
#[derive(Debug, Parser)]
#[command(name = "bench", version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to measure.
    #[command(flatten)]
    pub options: Options,
    /// The benchmark's own helpers.
    #[command(subcommand)]
    pub helper: Option<Helper>,
}

/// What to measure.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Runs; the figures are their medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=99))]
    pub runs: u16,

    /// One run, and a shorter look at the idle daemon
    #[arg(long)]
    pub quick: bool,

    /// Processes that are managed; several numbers, separated by commas, are measured one after the other
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NUMBERS",
        default_value = "1000",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub processes: Vec<u16>,

    /// Contenders, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub contenders: Vec<Name>,

    /// Scenarios, separated by commas: boot, start, memory, idle, latency, throughput, events, respawn, stop,
    /// start-storm, crash-storm, stop-storm, statistics, capture [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub scenarios: Vec<String>,

    /// Seconds a contender may take for one thing before it is given up
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    pub limit: u16,

    /// Write the table into this file, too (`docs/benchmarks.md`)
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// Measure the programs that are there, without building them
    #[arg(long)]
    pub no_build: bool,
}

/// The benchmark's own helpers; it calls them itself.
#[derive(Clone, Debug, Subcommand)]
pub enum Helper {
    /// Measures, below a guard.
    #[command(hide = true)]
    Measure {
        /// The run folder.
        run: PathBuf,
        /// What to measure.
        #[command(flatten)]
        options: Box<Options>,
    },
    /// The bare posix_spawn loop.
    #[command(hide = true)]
    Bare {
        /// Where it takes orders.
        socket: PathBuf,
        /// What it spawns.
        program: PathBuf,
        /// Where that signs.
        board: PathBuf,
        /// How many.
        count: usize,
    },
    /// The raw ZeroMQ echo.
    #[command(hide = true)]
    Echo {
        /// Where it listens.
        endpoint: String,
    },
}
