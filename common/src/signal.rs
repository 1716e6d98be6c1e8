//! Signals by number and name, the real-time ones included.
//!
//! Own type, since neither `nix` nor `rustix` can name `SIGRTMIN+n` safely.

use std::fmt;

/// A signal number, `0..=64`; 0 is the null signal that only asks whether a process is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// The text or number is no signal. The wire's reason for it is `signal invalid`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signal invalid")]
pub struct SignalError;

/// Names by number, index 0 being signal 1 (Linux numbering, all architectures we run on).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first real-time signal as programs see it: glibc keeps 32 and 33 for itself.
const RTMIN: u8 = 34;

/// The last signal number.
const MAX: u8 = 64;

impl Signal {
    /// The null signal.
    pub const NULL: Self = Self(0);
    /// SIGHUP.
    pub const HUP: Self = Self(1);
    /// SIGINT.
    pub const INT: Self = Self(2);
    /// SIGQUIT.
    pub const QUIT: Self = Self(3);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);
    /// SIGCONT.
    pub const CONT: Self = Self(18);

    /// The signal of that number.
    ///
    /// # Errors
    /// When it is outside `0..=64`.
    pub fn from_number(number: i64) -> Result<Self, SignalError> {
        match u8::try_from(number) {
            Ok(number) if number <= MAX => Ok(Self(number)),
            Ok(_) | Err(_) => Err(SignalError),
        }
    }

    /// Reads a number, a name with or without `SIG` in any case, or `SIGRTMIN+2`, `SIGRTMAX-1`.
    ///
    /// # Errors
    /// When the text names no signal.
    pub fn parse(text: &str) -> Result<Self, SignalError> {
        let text = text.trim();
        if let Ok(number) = text.parse::<i64>() {
            return Self::from_number(number);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return Self::from_number(index as i64 + 1);
        }
        match name {
            "IOT" => return Ok(Self(6)),
            "CLD" => return Ok(Self(17)),
            "POLL" => return Ok(Self(29)),
            _ => {}
        }
        if let Some(rest) = name.strip_prefix("RTMIN") {
            return Self::real_time(i64::from(RTMIN), rest);
        }
        if let Some(rest) = name.strip_prefix("RTMAX") {
            return Self::real_time(i64::from(MAX), rest);
        }
        Err(SignalError)
    }

    /// A real-time signal `base` moved by an offset such as `+2` or `-1`; empty is no offset.
    fn real_time(base: i64, offset: &str) -> Result<Self, SignalError> {
        let by = match offset.trim() {
            "" => 0,
            signed if signed.starts_with(['+', '-']) => {
                signed.replace(' ', "").parse::<i64>().map_err(|_| SignalError)?
            }
            _ => return Err(SignalError),
        };
        match base.checked_add(by) {
            Some(number) if (i64::from(RTMIN)..=i64::from(MAX)).contains(&number) => {
                Self::from_number(number)
            }
            Some(_) | None => Err(SignalError),
        }
    }

    /// The number the kernel knows.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0 as i32
    }
}

/// `SIGTERM`, `SIGRTMIN+2`; a number that has no name as itself.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            number @ 1..=31 => write!(f, "SIG{}", NAMES[usize::from(number) - 1]),
            RTMIN => write!(f, "SIGRTMIN"),
            number @ 35..=64 => write!(f, "SIGRTMIN+{}", number - RTMIN),
            number => write!(f, "{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_offsets_are_read_in_any_case() {
        for (text, number) in [
            ("15", 15),
            ("term", 15),
            ("SIGTERM", 15),
            ("SigHup", 1),
            ("SIGRTMIN+2", 36),
            ("rtmax-1", 63),
            ("0", 0),
        ] {
            assert_eq!(Signal::parse(text).map(Signal::number), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "NOPE", "65", "-1", "SIGRTMIN+99", "SIGRTMIN2", "??", "SIGRTMIN-1"] {
            assert_eq!(Signal::parse(text), Err(SignalError), "{text}");
        }
    }

    #[test]
    fn every_signal_reads_back_from_its_text() {
        for number in 0..=64 {
            let signal = Signal::from_number(number).expect("in range");
            assert_eq!(Signal::parse(&signal.to_string()), Ok(signal));
        }
    }
}
