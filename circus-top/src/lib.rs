//! circus-top: Circus daemons as they run, on one screen.
//!
//! `conn` brings reports, `input` turns keys into commands, `state` decides what is known and selected, `view` makes
//! a frame of it, `term` has the terminal. `state` and `view` are pure. Without a capable terminal, and with
//! `--once` or `--json`, `batch` prints instead.

pub mod batch;
pub mod cli;
pub mod conn;
pub mod hosts;
pub mod input;
pub mod live;
pub mod state;
pub mod term;
pub mod view;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
};

use circus_common::tunnel::TunnelError;
use tokio::sync::mpsc;

use crate::{
    cli::{Form, Options},
    conn::{Connection, Outlet, Route},
    state::{State, host::Host},
};

/// Reports that may wait for the loop.
const MOST_REPORTS: usize = 4096;

/// The exit code when there is nothing to show.
const NO_DATA: u8 = 1;

/// Why circus-top ends early.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no way to a daemon.
    #[error("cannot reach {endpoint}: {source}")]
    Tunnel {
        /// Its statistics endpoint.
        endpoint: String,
        /// Why not.
        source: TunnelError,
    },
    /// The terminal cannot be used.
    #[error("cannot use the terminal: {0}")]
    Terminal(io::Error),
    /// Nobody reads what is printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// Does what the arguments say; the exit code.
///
/// # Errors
/// When there is no way to a daemon, or nowhere to show it.
pub async fn run(options: Options) -> Result<ExitCode, Failure> {
    let look = term::look(variable);
    let (queue, mut reports) = mpsc::channel(MOST_REPORTS);
    let mut connections: Vec<Connection> = Vec::new();
    let mut hosts = Vec::new();
    let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let labels = hosts::labels(&options.addresses, &here);
    for (host, (address, label)) in options.addresses.iter().zip(labels).enumerate() {
        let endpoint = address.stats.to_string();
        let route = Route::prepare(address)
            .await
            .map_err(|source| Failure::Tunnel { endpoint: endpoint.clone(), source })?;
        connections.push(route.connect(Outlet { host, queue: queue.clone() }));
        hosts.push(Host::new(&label, &endpoint, options.process_timeout));
    }
    let (width, height) = term::dimensions();
    let mut state = State::new(hosts, width, height);
    state.read_only = options.read_only;
    match options.form {
        Form::Live if term::is_capable(variable) => {
            live::run(state, &connections, &mut reports, look).await.map_err(Failure::Terminal)
        }
        Form::Live => {
            let printed = batch::go_on(&mut state, &mut reports, look);
            tokio::select! {
                ended = printed => ended.map_err(Failure::Print)?,
                _ = tokio::signal::ctrl_c() => {}
            }
            Ok(ExitCode::SUCCESS)
        }
        form @ (Form::Text | Form::Json) => {
            batch::gather(&mut state, &mut reports, options.process_timeout).await;
            let is_full = batch::print(&state, form, look).map_err(Failure::Print)?;
            for host in state.hosts().iter().filter(|host| !host.has_data()) {
                _ = writeln!(io::stderr(), "circus-top: no data from {}", host.endpoint);
            }
            Ok(if is_full { ExitCode::SUCCESS } else { ExitCode::from(NO_DATA) })
        }
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok()
}
