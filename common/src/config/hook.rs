//! `hooks.NAME`: which of the eleven moments, and whom to ask then.
//!
//! Whether a Python callable can be found is not known here: that needs its interpreter.

use std::{fmt, path::Path};

use super::{expand, python_text::repr_text, suggest, value};

/// The moment at which a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookName {
    /// Before anything of a start.
    BeforeStart,
    /// When all processes were spawned.
    AfterStart,
    /// Before anything of a stop.
    BeforeStop,
    /// When a stop is done.
    AfterStop,
    /// Before each process.
    BeforeSpawn,
    /// After each process, before its `spawn` event.
    AfterSpawn,
    /// Before each signal to a process.
    BeforeSignal,
    /// After it.
    AfterSignal,
    /// Before a process's end is told.
    BeforeReap,
    /// After its `reap` event.
    AfterReap,
    /// When `stats` is asked with `extended`.
    ExtendedStats,
}

impl HookName {
    /// All of them, in the order of the manual.
    pub const ALL: [Self; 11] = [
        Self::BeforeStart,
        Self::AfterStart,
        Self::BeforeStop,
        Self::AfterStop,
        Self::BeforeSpawn,
        Self::AfterSpawn,
        Self::BeforeSignal,
        Self::AfterSignal,
        Self::BeforeReap,
        Self::AfterReap,
        Self::ExtendedStats,
    ];

    /// The name in files and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeStart => "before_start",
            Self::AfterStart => "after_start",
            Self::BeforeStop => "before_stop",
            Self::AfterStop => "after_stop",
            Self::BeforeSpawn => "before_spawn",
            Self::AfterSpawn => "after_spawn",
            Self::BeforeSignal => "before_signal",
            Self::AfterSignal => "after_signal",
            Self::BeforeReap => "before_reap",
            Self::AfterReap => "after_reap",
            Self::ExtendedStats => "extended_stats",
        }
    }

    /// The hook of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.as_str() == name)
    }

    /// Whether a failure counts as success even where the configuration does not say so.
    #[must_use]
    pub const fn forgives(self) -> bool {
        match self {
            Self::BeforeStop | Self::AfterStop | Self::BeforeSignal | Self::AfterSignal => true,
            Self::BeforeReap | Self::AfterReap => true,
            Self::BeforeStart
            | Self::AfterStart
            | Self::BeforeSpawn
            | Self::AfterSpawn
            | Self::ExtendedStats => false,
        }
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom a hook asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookAction {
    /// A Python callable, by its dotted name, also `module:callable`.
    Python(String),
    /// A program: exit 0 is yes, 75 not now, anything else no.
    Program(Vec<String>),
    /// Somebody who accepts connections.
    Tcp {
        /// Where.
        host: String,
        /// On which port.
        port: u16,
    },
    /// A web page that answers with 2xx or 3xx.
    Http {
        /// Where.
        host: String,
        /// On which port.
        port: u16,
        /// The path with its query.
        path: String,
    },
    /// A file that is there.
    File(String),
}

/// One `hooks.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// Whom to ask.
    pub action: HookAction,
    /// Whether its failure counts as success.
    pub ignore_failure: bool,
}

impl HookConfig {
    /// Reads `CALLABLE[, boolean]`.
    ///
    /// # Errors
    /// A sentence that says what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (action, flag) = match text.trim_start() {
            // The words of a program may hold commas: only a boolean behind the last one is the flag.
            own if own.starts_with("exec:") || own.starts_with("builtin:") => match own.rsplit_once(',') {
                Some((action, flag)) if value::flag(flag).is_ok() => (action, Some(flag)),
                Some(_) | None => (own, None),
            },
            // As Circus reads it.
            callable => match callable.split_once(',') {
                Some((callable, flag)) => (callable, Some(flag)),
                None => (callable, None),
            },
        };
        let ignore_failure = flag.map_or(Ok(false), value::flag)?;
        Ok(Self { action: HookAction::parse(action.trim())?, ignore_failure })
    }
}

impl HookAction {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(command) = text.strip_prefix("exec:") {
            let words = expand::words::split(command).map_err(|why| format!("{}: {why}", repr_text(text)))?;
            return match words.first().map(String::as_str) {
                None | Some("") => {
                    Err("a program is missing; write `exec:/path/program arguments`".to_owned())
                }
                Some(_) => Ok(Self::Program(words)),
            };
        }
        let Some(builtin) = text.strip_prefix("builtin:") else {
            return match text {
                "" => Err("a callable is missing; write `module.function`".to_owned()),
                callable => Ok(Self::Python(callable.to_owned())),
            };
        };
        match builtin.split_once(':') {
            Some(("tcp", address)) => match address_of(address, None) {
                Some((host, port)) => Ok(Self::Tcp { host, port }),
                None => Err(format!("{} is not `builtin:tcp:HOST:PORT`", repr_text(text))),
            },
            Some(("http", url)) => http(url),
            Some(("file", path)) if Path::new(path).is_absolute() => Ok(Self::File(path.to_owned())),
            Some(("file", _)) => Err(format!("{}: the path must be absolute", repr_text(text))),
            Some((kind, _)) => {
                let hint = suggest::hint(kind, ["tcp", "http", "file"].into_iter());
                Err(format!("there is no builtin hook `{kind}`{hint}"))
            }
            None => {
                Err("write `builtin:tcp:HOST:PORT`, `builtin:http:URL` or `builtin:file:PATH`".to_owned())
            }
        }
    }
}

/// `HOST:PORT`, the host of IPv6 in brackets; the port may be missing where there is a usual one.
fn address_of(text: &str, usual: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => usual?,
    };
    let good = !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic());
    good.then(|| (host.to_owned(), port))
}

fn http(url: &str) -> Result<HookAction, String> {
    let hint = "write `builtin:http:http://HOST:PORT/PATH`";
    if url.starts_with("https:") {
        let instead = format!("exec:/bin/sh -c 'curl -fsSo /dev/null {url} || exit 75'");
        return Err(format!("{}: TLS is not built in; write `{instead}`", repr_text(url)));
    }
    let rest = url.strip_prefix("http:").unwrap_or(url);
    let rest = rest.strip_prefix("//").ok_or_else(|| format!("{} is no URL; {hint}", repr_text(url)))?;
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let address = address_of(authority, Some(80)).filter(|_| path.chars().all(|c| c.is_ascii_graphic()));
    let (host, port) = address.ok_or_else(|| format!("{} is no URL; {hint}", repr_text(url)))?;
    Ok(HookAction::Http { host, port, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn python(name: &str) -> HookAction {
        HookAction::Python(name.to_owned())
    }

    fn program(words: &[&str]) -> HookAction {
        HookAction::Program(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn a_callable_may_be_followed_by_a_flag() {
        let cases = [
            ("a.b", python("a.b"), false),
            (" a.b:c , True ", python("a.b:c"), true),
            ("a.b, off", python("a.b"), false),
            ("exec:/bin/true", program(&["/bin/true"]), false),
            ("exec:/bin/cut -d, -f1", program(&["/bin/cut", "-d,", "-f1"]), false),
            ("exec:/bin/echo 'a b',c, yes", program(&["/bin/echo", "a b,c"]), true),
            ("builtin:tcp:db:5432,1", HookAction::Tcp { host: "db".to_owned(), port: 5432 }, true),
            ("builtin:tcp:[::1]:80", HookAction::Tcp { host: "::1".to_owned(), port: 80 }, false),
            ("builtin:file:/run/a, b", HookAction::File("/run/a, b".to_owned()), false),
        ];
        for (text, action, ignore_failure) in cases {
            assert_eq!(HookConfig::parse(text), Ok(HookConfig { action, ignore_failure }), "{text}");
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let http =
            |host: &str, port, path: &str| HookAction::Http { host: host.into(), port, path: path.into() };
        let cases = [
            ("builtin:http://a", http("a", 80, "/")),
            ("builtin:http:http://a:8080/b?c=d", http("a", 8080, "/b?c=d")),
            ("builtin:http:http://[::1]:1/", http("::1", 1, "/")),
        ];
        for (text, action) in cases {
            assert_eq!(HookConfig::parse(text).map(|hook| hook.action), Ok(action), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "",
            ",",
            "a.b, perhaps",
            "exec:",
            "exec:''",
            "exec:'",
            "builtin:",
            "builtin:tcp",
            "builtin:tcp:db",
            "builtin:tcp:db:0",
            "builtin:tcp::1",
            "builtin:tcp:db:port",
            "builtin:http:https://a",
            "builtin:http:a",
            "builtin:http:http://a b/",
            "builtin:file:relative",
            "builtin:tpc:a:1",
        ] {
            assert!(HookConfig::parse(text).is_err(), "{text} is taken");
        }
    }

    #[test]
    fn who_wants_tls_is_told_what_waits_with_it() {
        let refused = HookConfig::parse("builtin:http:https://a/up").unwrap_err();
        let (_, instead) = refused.trim_end_matches('`').split_once("write `").unwrap();
        let words = ["/bin/sh", "-c", "curl -fsSo /dev/null https://a/up || exit 75"];
        assert_eq!(HookConfig::parse(instead).map(|hook| hook.action), Ok(program(&words)), "{refused}");
    }

    #[test]
    fn every_hook_is_found_by_its_name() {
        for hook in HookName::ALL {
            assert_eq!(HookName::find(hook.as_str()), Some(hook));
        }
        assert_eq!(HookName::find("before_lunch"), None);
    }
}
