//! Which control endpoint belongs to a statistics endpoint.
//!
//! One that was not named by the operator counts only if the daemon behind it says that it publishes its
//! statistics where we read them: a key must never reach another daemon than the one on the screen.

use circus_common::config::endpoint::Endpoint;

/// Where circusd takes commands unless told otherwise.
const CONTROL_PORT: u16 = 5555;
/// The same beside other socket files, as `circusd --init` writes it.
const CONTROL_FILE: &str = "circusd.sock";

/// A control endpoint that may be the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// The operator named it.
    Given(String),
    /// It must prove that it is.
    Guess(String),
}

impl Candidate {
    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Given(endpoint) | Self::Guess(endpoint) => endpoint,
        }
    }
}

/// All candidates, the best first.
#[must_use]
pub fn candidates(stats: &Endpoint, given: Option<&str>, environment: Option<&str>) -> Vec<Candidate> {
    if let Some(given) = given {
        return vec![Candidate::Given(given.to_owned())];
    }
    let mut all: Vec<_> = environment.map(|it| Candidate::Guess(it.to_owned())).into_iter().collect();
    let guess = match stats {
        Endpoint::Tcp { host, .. } => {
            Some(Endpoint::Tcp { host: host.clone(), port: CONTROL_PORT }.to_string())
        }
        Endpoint::Ipc { path } => {
            path.rsplit_once('/').map(|(directory, _)| format!("ipc://{directory}/{CONTROL_FILE}"))
        }
    };
    all.extend(guess.filter(|guess| environment != Some(guess.as_str())).map(Candidate::Guess));
    all
}

/// Whether the statistics endpoint that a daemon names is the one we read.
#[must_use]
pub fn is_same(named: &str, read: &Endpoint) -> bool {
    let Ok(named) = named.parse::<Endpoint>() else { return false };
    match (&named, read) {
        (Endpoint::Tcp { host, port }, Endpoint::Tcp { port: ours, .. }) => {
            port == ours
                && (host.is_everywhere() || named == *read || named.is_loopback() && read.is_loopback())
        }
        (Endpoint::Ipc { .. }, _) | (_, Endpoint::Ipc { .. }) => named == *read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    #[test]
    fn the_operators_word_counts_alone_and_guesses_must_prove_themselves() {
        let stats = endpoint("tcp://web1:5557");
        let given = candidates(&stats, Some("ipc:///run/c"), Some("tcp://h:1"));
        assert_eq!(given, [Candidate::Given("ipc:///run/c".to_owned())]);
        let guesses = ["tcp://h:1", "tcp://web1:5555"].map(|it| Candidate::Guess(it.to_owned()));
        assert_eq!(candidates(&stats, None, Some("tcp://h:1")), guesses);
        assert_eq!(candidates(&stats, None, Some("tcp://web1:5555")).len(), 1);
        let beside = [Candidate::Guess("ipc:///run/circus/circusd.sock".to_owned())];
        assert_eq!(candidates(&endpoint("ipc:///run/circus/stats.sock"), None, None), beside);
    }

    #[test]
    fn a_daemon_that_publishes_elsewhere_is_another_daemon() {
        for (named, read, same) in [
            ("tcp://127.0.0.1:5557", "tcp://127.0.0.1:5557", true),
            ("tcp://127.0.0.1:5557", "tcp://localhost:5557", true),
            ("tcp://127.0.0.1:5557", "tcp://127.0.0.1:5558", false),
            ("tcp://127.0.0.1:5557", "tcp://web1:5557", false),
            ("tcp://0.0.0.0:5557", "tcp://web1:5557", true),
            ("tcp://*:5557", "tcp://web1:5557", true),
            ("ipc:///run/s", "ipc:///run/s", true),
            ("ipc:///run/s", "tcp://web1:5557", false),
            ("nonsense", "tcp://web1:5557", false),
        ] {
            assert_eq!(is_same(named, &endpoint(read)), same, "{named} {read}");
        }
    }
}
