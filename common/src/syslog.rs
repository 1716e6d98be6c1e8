//! Words of syslog: where its daemon listens, and on whose behalf it is told. Pure; who sends is elsewhere.

/// Where a syslog daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A unix datagram socket.
    Path(String),
    /// A UDP port.
    Host {
        /// Name or address.
        host: String,
        /// The port.
        port: u16,
    },
}

impl SyslogAddress {
    /// The port of a host that names none.
    pub const PORT: u16 = 514;

    /// Reads `/path`, `host`, `host:port`, `[v6]:port`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('/') {
            return Ok(Self::Path(text.to_owned()));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("its `[` is not closed")?;
                (host, after.strip_prefix(':'))
            }
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() {
            return Err("it names neither a host nor a path");
        }
        let port = match port {
            None | Some("") => Self::PORT,
            Some(port) => port.parse().map_err(|_| "its port is no number up to 65535")?,
        };
        Ok(Self::Host { host: host.to_owned(), port })
    }
}

/// A facility of syslog, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// Syslog's names, and `security`, which is Python's for `auth`.
    const NAMES: [(&'static str, u8); 22] = [
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("security", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
        ("ntp", 12),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];

    /// What programs log under that name none.
    pub const USER: Self = Self(1);
    /// What daemons log under.
    pub const DAEMON: Self = Self(3);

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The one of that name, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.trim().to_ascii_lowercase();
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Self(*number))
    }
}
