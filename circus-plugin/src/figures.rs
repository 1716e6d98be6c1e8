//! The figures of processes as `stats` answers them, and amounts with units.

use serde_json::Value;

use crate::machine::Members;

/// The figures of one process, or of one of its children. What circusd could not find out is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Which.
    pub pid: i64,
    /// Percent of one processor.
    pub cpu: Option<f64>,
    /// Percent of the memory.
    pub mem: Option<f64>,
    /// Bytes in memory.
    pub resident: Option<u64>,
    /// Bytes of address space.
    pub size: Option<u64>,
    /// Seconds since it was started.
    pub age: Option<f64>,
    /// Its slot.
    pub wid: Option<i64>,
    /// Its children.
    pub children: Vec<Self>,
}

impl Figures {
    fn read(pid: i64, members: &Members) -> Self {
        let number = |key: &str| members.get(key).and_then(number);
        let amount = |key: &str| members.get(key).and_then(Value::as_str).and_then(bytes);
        let children = members.get("children").and_then(Value::as_array).into_iter().flatten();
        let child = |child: &Value| {
            let members = child.as_object()?;
            Some(Self::read(members.get("pid")?.as_i64()?, members))
        };
        Self {
            pid,
            cpu: number("cpu"),
            mem: number("mem"),
            resident: amount("mem_info1"),
            size: amount("mem_info2"),
            age: number("age"),
            wid: members.get("wid").and_then(Value::as_i64),
            children: children.filter_map(child).collect(),
        }
    }
}

/// The processes of one watcher; what is no process (a text instead of figures) is left out.
#[must_use]
pub fn of_watcher(info: &Members) -> Vec<Figures> {
    let one =
        |(pid, figures): (&String, &Value)| Some(Figures::read(pid.parse().ok()?, figures.as_object()?));
    info.iter().filter_map(one).collect()
}

/// A number; `N/A` is none.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Units of 1024, in order.
const UNITS: [(&str, &str); 9] = [
    ("B", "byte"),
    ("K", "kilo"),
    ("M", "mega"),
    ("G", "giga"),
    ("T", "tera"),
    ("P", "peta"),
    ("E", "exa"),
    ("Z", "zetta"),
    ("Y", "iotta"),
];

/// An amount with a unit, such as `1.61M`, `20Ki` or `2 giga`; `None` when it is none.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped; a fraction of a byte is none"
)]
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim();
    let is = |(letter, word): &(&str, &str)| {
        let short = unit.strip_suffix(['i', 'B']).filter(|it| !it.is_empty()).unwrap_or(unit);
        let short = short.strip_suffix('i').filter(|it| !it.is_empty()).unwrap_or(short);
        short == *letter
            || *letter == "K" && short == "k"
            || unit.eq_ignore_ascii_case(word)
            || unit.eq_ignore_ascii_case(&format!("{word}byte"))
            || matches!(
                (*letter, unit.to_ascii_lowercase().as_str()),
                ("Y", "yotta") | ("K", "kibi") | ("M", "mebi") | ("G", "gibi") | ("T", "tebi")
            ) && unit.to_ascii_uppercase().starts_with(letter)
    };
    let power = UNITS.iter().position(is)?;
    let amount = number * 1024_f64.powi(i32::try_from(power).ok()?);
    Some(amount.clamp(0.0, 1.8e19) as u64)
}

/// The largest of some numbers; 0 when there is none.
#[must_use]
pub fn largest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.reduce(f64::max).unwrap_or_default()
}

/// The smallest of some numbers; 0 when there is none.
#[must_use]
pub fn smallest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.reduce(f64::min).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_are_read_with_their_units() {
        for (text, amount) in [
            ("0B", Some(0)),
            ("1.44M", Some(1_509_949)),
            ("2K", Some(2048)),
            ("2k", Some(2048)),
            ("1Ki", Some(1024)),
            ("1MiB", Some(1 << 20)),
            ("1 giga", Some(1 << 30)),
            ("5B", Some(5)),
            ("N/A", None),
            ("", None),
            ("12", None),
            ("1Q", None),
            ("-1M", None),
            ("1.2.3M", None),
        ] {
            assert_eq!(bytes(text), amount, "{text}");
        }
    }

    #[test]
    fn what_circusd_could_not_find_out_is_none() {
        let info = json!({
            "7": {"cpu": "N/A", "mem": 0.5, "mem_info1": "N/A", "children": [{"pid": 8, "cpu": 2.0}]},
            "9": "No such process (stopped?)",
            "spawn_count": 3,
        });
        let found = of_watcher(info.as_object().unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].pid, found[0].cpu, found[0].mem, found[0].resident), (7, None, Some(0.5), None));
        assert_eq!((found[0].children[0].pid, found[0].children[0].cpu), (8, Some(2.0)));
    }
}
