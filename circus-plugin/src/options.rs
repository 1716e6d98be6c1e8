//! The options of a plugin as typed values: a default where nothing was said, an error that names the option.

use std::{collections::BTreeMap, time::Duration};

use circus_common::{Signal, config::value::Kind, pattern::Pattern};

/// An option that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Its value makes no sense.
    #[error("cannot use `{value}` as `{key}`: {reason}")]
    Value {
        /// Which option.
        key: String,
        /// What it says.
        value: String,
        /// Why not.
        reason: String,
    },
    /// The plugin cannot do without it.
    #[error("{0}")]
    Missing(&'static str),
    /// It was switched off.
    #[error("Will not start an inactive plugin")]
    Inactive,
}

/// What the section of a plugin says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<String, String>);

/// No pause is longer: a hundred years.
const LONGEST: f64 = 3.2e9;

/// No plugin looks more often than a thousand times a second.
const SHORTEST: Duration = Duration::from_millis(1);

impl Options {
    /// All of them.
    #[must_use]
    pub const fn new(all: BTreeMap<String, String>) -> Self {
        Self(all)
    }

    /// By name.
    #[must_use]
    pub const fn all(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// A text, if it is there and not empty.
    #[must_use]
    pub fn given(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// A text.
    #[must_use]
    pub fn text(&self, key: &str, default: &str) -> String {
        self.given(key).unwrap_or(default).to_owned()
    }

    /// A number.
    ///
    /// # Errors
    /// When it is none.
    pub fn number(&self, key: &str, default: f64) -> Result<f64, OptionError> {
        Ok(self.maybe_number(key)?.unwrap_or(default))
    }

    /// A number, if it is there.
    ///
    /// # Errors
    /// When it is none.
    pub fn maybe_number(&self, key: &str) -> Result<Option<f64>, OptionError> {
        let Some(text) = self.given(key) else { return Ok(None) };
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            Ok(_) | Err(_) => Err(wrong(key, text, "a number is wanted")),
        }
    }

    /// An integer.
    ///
    /// # Errors
    /// When it is none.
    pub fn integer(&self, key: &str, default: i64) -> Result<i64, OptionError> {
        let Some(text) = self.given(key) else { return Ok(default) };
        text.parse().map_err(|_| wrong(key, text, "an integer is wanted"))
    }

    /// A port.
    ///
    /// # Errors
    /// When it is none.
    pub fn port(&self, key: &str, default: u16) -> Result<u16, OptionError> {
        let Some(text) = self.given(key) else { return Ok(default) };
        text.parse().map_err(|_| wrong(key, text, "a port is 0 to 65535"))
    }

    /// A boolean.
    ///
    /// # Errors
    /// When it is none.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, OptionError> {
        let Some(text) = self.given(key) else { return Ok(default) };
        flag(text).ok_or_else(|| wrong(key, text, "a boolean is wanted"))
    }

    /// A signal, if it is there.
    ///
    /// # Errors
    /// When there is no such signal.
    pub fn signal(&self, key: &str) -> Result<Option<i32>, OptionError> {
        let Some(text) = self.given(key) else { return Ok(None) };
        match Signal::parse(text) {
            Ok(signal) => Ok(Some(signal.number())),
            Err(error) => Err(wrong(key, text, &error.to_string())),
        }
    }

    /// Seconds; less than none is none.
    ///
    /// # Errors
    /// When it is no number.
    pub fn seconds(&self, key: &str, default: f64) -> Result<Duration, OptionError> {
        Ok(duration(self.number(key, default)?))
    }

    /// The pause between two looks.
    ///
    /// # Errors
    /// When it is no number, or none at all.
    pub fn loop_rate(&self, default: f64) -> Result<Duration, OptionError> {
        let pause = self.seconds("loop_rate", default)?;
        if pause < SHORTEST {
            return Err(wrong(
                "loop_rate",
                self.given("loop_rate").unwrap_or_default(),
                "it must be above 0",
            ));
        }
        Ok(pause)
    }
}

/// Seconds as a duration; less than none is none.
#[must_use]
pub fn duration(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, LONGEST))
}

/// What Circus takes for a boolean.
#[must_use]
pub fn flag(text: &str) -> Option<bool> {
    Kind::Flag.parse(text).ok()?.as_bool()
}

/// The error of a value.
/// The Python expression of an option.
///
/// # Errors
/// When it is none.
pub(crate) fn pattern(key: &str, text: &str) -> Result<Pattern, OptionError> {
    Pattern::new(text).map_err(|error| wrong(key, text, &error))
}

pub(crate) fn wrong(key: &str, value: &str, reason: &str) -> OptionError {
    OptionError::Value { key: key.to_owned(), value: value.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
pub(crate) fn options(pairs: &[(&str, &str)]) -> Options {
    Options::new(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_said_has_its_default() {
        let none = options(&[("a", ""), ("b", " ")]);
        assert_eq!((none.number("a", 2.5), none.integer("b", 7)), (Ok(2.5), Ok(7)));
        assert_eq!((none.flag("c", true), none.text("a", "x")), (Ok(true), "x".to_owned()));
    }

    #[test]
    fn a_value_that_makes_no_sense_is_named() {
        let bad = options(&[("n", "x"), ("i", "1.5"), ("f", "maybe"), ("s", "NOPE"), ("loop_rate", "0")]);
        assert_eq!(
            bad.number("n", 0.0).unwrap_err().to_string(),
            "cannot use `x` as `n`: a number is wanted"
        );
        assert!(bad.integer("i", 0).is_err() && bad.flag("f", true).is_err() && bad.signal("s").is_err());
        assert!(bad.loop_rate(60.0).is_err());
        assert!(options(&[("n", "inf")]).number("n", 0.0).is_err());
    }

    #[test]
    fn signals_are_names_or_numbers() {
        for text in ["15", "TERM", "sigterm"] {
            assert_eq!(options(&[("s", text)]).signal("s"), Ok(Some(15)), "{text}");
        }
    }

    #[test]
    fn no_pause_is_too_long_for_a_clock() {
        assert_eq!(duration(-1.0), Duration::ZERO);
        assert!(duration(f64::MAX) < Duration::from_secs(4_000_000_000));
    }
}
