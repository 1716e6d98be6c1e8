//! Where the log goes, as `logoutput` says it.

use std::path::PathBuf;

use super::LogError;
use crate::syslog::{Facility, SyslogAddress};

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// circusd's own stderr.
    Stderr,
    /// circusd's own stdout.
    Stdout,
    /// A file, opened again when it was moved.
    File(PathBuf),
    /// A syslog daemon.
    Syslog { to: SyslogAddress, facility: Facility },
    /// Nowhere: Python's `NullHandler`.
    Nowhere,
}

impl Output {
    /// Reads `logoutput`.
    ///
    /// Circus calls its default `stdout` too, though it has always been stderr.
    pub(super) fn parse(text: &str) -> Result<Self, LogError> {
        match text {
            "-" | "stdout" | "/dev/stderr" => Ok(Self::Stderr),
            "/dev/stdout" => Ok(Self::Stdout),
            "" => Err(LogError::Output { text: text.to_owned(), why: "it is empty" }),
            _ => match text.strip_prefix("syslog://") {
                Some(rest) => {
                    Self::syslog(rest).map_err(|why| LogError::Output { text: text.to_owned(), why })
                }
                None => Ok(Self::File(PathBuf::from(text))),
            },
        }
    }

    /// `host[:port]?facility` or `/path?facility`; a facility nobody knows is `user`, as in Circus.
    fn syslog(rest: &str) -> Result<Self, &'static str> {
        let (place, facility) = rest.split_once('?').unwrap_or((rest, ""));
        let place = match place.split_once('/') {
            // What follows a host means nothing.
            Some((host, _)) if !host.is_empty() => host,
            Some(_) | None => place,
        };
        let to = SyslogAddress::parse(place)?;
        Ok(Self::Syslog { to, facility: Facility::parse(facility).unwrap_or(Facility::USER) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, port: u16) -> SyslogAddress {
        SyslogAddress::Host { host: host.to_owned(), port }
    }

    #[test]
    fn each_form_of_logoutput_is_known() {
        let path = |path: &str| SyslogAddress::Path(path.to_owned());
        let facility = |name| Facility::parse(name).unwrap();
        let cases = [
            ("-", Output::Stderr),
            ("stdout", Output::Stderr),
            ("/dev/stderr", Output::Stderr),
            ("/dev/stdout", Output::Stdout),
            ("circus.log", Output::File(PathBuf::from("circus.log"))),
            ("syslog:///dev/log", Output::Syslog { to: path("/dev/log"), facility: facility("user") }),
            (
                "syslog:///dev/log?daemon",
                Output::Syslog { to: path("/dev/log"), facility: facility("daemon") },
            ),
            ("syslog://logs?local7", Output::Syslog { to: host("logs", 514), facility: facility("local7") }),
            (
                "syslog://10.0.0.1:1514?nonsense",
                Output::Syslog { to: host("10.0.0.1", 1514), facility: facility("user") },
            ),
            ("syslog://[::1]:99/?mail", Output::Syslog { to: host("::1", 99), facility: facility("mail") }),
        ];
        for (text, output) in cases {
            assert_eq!(Output::parse(text).unwrap(), output, "{text}");
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in
            ["", "syslog://", "syslog://?user", "syslog://host:port", "syslog://host:99999", "syslog://[::1"]
        {
            let error = Output::parse(text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
