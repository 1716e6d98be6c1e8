//! Reads the configuration again, for a daemon that runs: stricter than a start, since something is at stake.
//!
//! Runs on a thread of its own: the disk may be slow, and so may a name service.

use std::{fs, net::TcpListener, path::Path};

use circus_common::{
    Disk,
    config::{
        self, CircusConfig, Config, Degree, Host,
        endpoint::{Endpoint, Host as Name},
    },
};

/// The configuration, if a running daemon may take it over.
///
/// # Errors
/// Every mistake, one a line: what a start would leave out is refused here, and so is a file with nothing in it, which
/// is one that somebody is just writing, and an endpoint that is new and cannot be had.
pub(super) fn load(file: &Path, host: &Host, bound: &[Endpoint]) -> Result<Config, String> {
    // To open a pipe would be to wait for its writer, and with it everything that changes the configuration.
    if fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        return Err(format!("{}: it is not a regular file; circusd goes on as it is", file.display()));
    }
    let loaded = config::load(file, host, &Disk);
    let mistakes = loaded.text(Degree::BrokenSection);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    if is_blank(&loaded.config) {
        return Err(format!("{}: there is nothing in it; circusd goes on as it is", file.display()));
    }
    occupied(&loaded.config.circus, bound).map_or(Ok(loaded.config), Err)
}

fn is_blank(config: &Config) -> bool {
    let Config { circus, watchers, sockets, plugins, places: _ } = config;
    *circus == CircusConfig::default() && watchers.is_empty() && sockets.is_empty() && plugins.is_empty()
}

/// All endpoints that these settings name, as they are written there.
pub(super) fn endpoints(circus: &CircusConfig) -> Vec<Endpoint> {
    let texts = [&circus.endpoint, &circus.pubsub_endpoint, &circus.events_endpoint];
    texts.into_iter().flat_map(|text| text.split_whitespace()).filter_map(|text| text.parse().ok()).collect()
}

/// Why a new TCP endpoint cannot be bound: to be known before everything is stopped for the restart. What collides
/// with an address of ours cannot be tried; it will be free by then.
fn occupied(circus: &CircusConfig, bound: &[Endpoint]) -> Option<String> {
    let ours = |endpoint: &Endpoint| bound.iter().any(|own| own == endpoint || own.collides_with(endpoint));
    endpoints(circus).into_iter().filter(|endpoint| !ours(endpoint)).find_map(|endpoint| {
        let error = match &endpoint {
            Endpoint::Tcp { host: Name::Any, port } => TcpListener::bind(("0.0.0.0", *port)).err()?,
            Endpoint::Tcp { host: Name::Address(address), port } => {
                TcpListener::bind((*address, *port)).err()?
            }
            Endpoint::Tcp { host: Name::Name(name), port } => {
                TcpListener::bind((name.as_str(), *port)).err()?
            }
            Endpoint::Ipc { .. } => return None,
        };
        Some(format!("cannot bind {endpoint}: {error}; circusd goes on as it is"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, bound: &[Endpoint]) -> Result<Config, String> {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("circus.ini");
        fs::write(&file, text).expect("a file");
        load(&file, &Host::default(), bound)
    }

    #[test]
    fn a_file_with_nothing_in_it_is_not_taken_over() {
        for text in ["", "\n# soon\n", "[circus]\n"] {
            assert!(read(text, &[]).is_err_and(|error| error.contains("there is nothing in it")), "{text:?}");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let pipe = dir.path().join("circus.ini");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        let answer = load(&pipe, &Host::default(), &[]);
        assert!(answer.is_err_and(|error| error.contains("it is not a regular file")));
    }

    #[test]
    fn an_endpoint_that_somebody_has_is_found_out_before_anything_is_stopped() {
        let other = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = other.local_addr().expect("bound").port();
        let text =
            format!("[circus]\nendpoint = tcp://127.0.0.1:{port}\npubsub_endpoint = tcp://127.0.0.1:0\n");
        assert!(read(&text, &[]).is_err_and(|error| error.starts_with("cannot bind tcp://127.0.0.1:")));
        // It may be circusd itself that has it, under another spelling.
        let ours = format!("tcp://*:{port}").parse().expect("an endpoint");
        assert!(read(&text, &[ours]).is_ok());
    }
}
