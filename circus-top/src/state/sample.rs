//! One message of the statistics channel, as typed figures.
//!
//! Python's circusd-stats and ours send the same members; ours adds some. `N/A`, missing members and nonsense are
//! all "not known". Names may hold dots, so the last part of a topic is a pid only if the payload agrees.

use serde_json::{Map, Value};

use super::text::clean;

/// What a message tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// The figures of a process.
    Process {
        /// The watcher as the topic names it.
        watcher: String,
        /// Which.
        pid: u32,
        /// Its figures.
        figures: Box<Figures>,
    },
    /// A watcher is there; its sum is made of its processes.
    Watcher {
        /// The watcher as the topic names it.
        watcher: String,
        /// Exits unasked for that circusd-stats has seen; Circus' own does not count them.
        restarts: Option<u64>,
    },
    /// What a socket had to do in the last second.
    Socket {
        /// Its descriptor in circusd.
        fd: i64,
        /// How often it was found with a connection waiting.
        reads: u64,
        /// Its address or path.
        address: String,
    },
}

/// The figures of one process; what is not known is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Percent of one processor.
    pub cpu: Option<f64>,
    /// Percent of the machine's memory.
    pub mem: Option<f64>,
    /// Resident bytes.
    pub rss: Option<u64>,
    /// Virtual bytes.
    pub vms: Option<u64>,
    /// Seconds since its start.
    pub age: Option<f64>,
    /// Its slot.
    pub wid: Option<u64>,
    /// How often its slot was filled again.
    pub restarts: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open descriptors.
    pub fds: Option<u64>,
    /// The name of the program.
    pub command: String,
    /// Whose it is.
    pub user: String,
    /// Processor time used, as circusd writes it.
    pub time: String,
    /// Niceness, as circusd writes it.
    pub nice: String,
    /// `circusd`, `circusd-stats`: the processes of Circus itself have names.
    pub title: Option<String>,
}

/// Reads a message; `None` when it is none that we know.
#[must_use]
pub fn parse(topic: &str, payload: &str) -> Option<Sample> {
    let subject = topic.strip_prefix("stat.")?;
    let Ok(Value::Object(members)) = serde_json::from_str(payload) else { return None };
    if let (Some(fd), Some(reads)) = (integer(&members, "fd"), count(&members, "reads"))
        && subject.strip_prefix("sockets.").is_some_and(|last| last == fd.to_string())
    {
        return Some(Sample::Socket { fd, reads, address: text(&members, "address") });
    }
    if members.contains_key("addresses") {
        return None;
    }
    // `stat.web.8080` is watcher `web`'s process 8080, or all of watcher `web.8080`: then `pid` is a list.
    match (subject.rsplit_once('.'), pid(&members)) {
        (Some((watcher, last)), Some(pid)) if last == pid.to_string() && !watcher.is_empty() => {
            let (watcher, figures) = (watcher.to_owned(), Box::new(Figures::read(&members)));
            Some(Sample::Process { watcher, pid, figures })
        }
        _ if members.get("pid").is_some_and(Value::is_array) => {
            Some(Sample::Watcher { watcher: subject.to_owned(), restarts: count(&members, "restarts") })
        }
        _ => None,
    }
}

impl Figures {
    /// The members of a process, as `stats` and the statistics channel both have them.
    #[must_use]
    pub fn read(members: &Map<String, Value>) -> Self {
        Self {
            cpu: amount(members, "cpu"),
            mem: amount(members, "mem"),
            rss: count(members, "rss").or_else(|| size(members, "mem_info1")),
            vms: count(members, "vms").or_else(|| size(members, "mem_info2")),
            age: amount(members, "age"),
            wid: count(members, "wid"),
            restarts: count(members, "restarts"),
            threads: count(members, "threads"),
            fds: count(members, "fds"),
            command: text(members, "cmdline"),
            user: text(members, "username"),
            time: text(members, "ctime"),
            nice: text(members, "nice"),
            title: members.get("name").and_then(Value::as_str).map(clean),
        }
    }
}

/// The pid of a process, if the member is one.
fn pid(members: &Map<String, Value>) -> Option<u32> {
    let number = members.get("pid").or_else(|| members.get("subtopic"))?.as_u64()?;
    u32::try_from(number).ok().filter(|pid| *pid > 0)
}

/// A number that can be shown.
pub(super) fn amount(members: &Map<String, Value>, name: &str) -> Option<f64> {
    members.get(name).and_then(Value::as_f64).filter(|number| number.is_finite() && *number >= 0.0)
}

/// A whole number that is not negative.
pub(super) fn count(members: &Map<String, Value>, name: &str) -> Option<u64> {
    members.get(name).and_then(Value::as_u64)
}

fn integer(members: &Map<String, Value>, name: &str) -> Option<i64> {
    members.get(name).and_then(Value::as_i64)
}

/// A text or a number, made safe to show; empty when there is none.
pub(super) fn text(members: &Map<String, Value>, name: &str) -> String {
    match members.get(name) {
        Some(Value::String(text)) => clean(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// `1.58M` in bytes.
fn size(members: &Map<String, Value>, name: &str) -> Option<u64> {
    let text = members.get(name)?.as_str()?;
    let unit = text.chars().next_back()?;
    let power = "BKMGTPEZY".chars().position(|known| known == unit)?;
    let number: f64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let bytes = number * 1024_f64.powi(i32::try_from(power).ok()?);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    let whole = (bytes.is_finite() && (0.0..1.8e19).contains(&bytes)).then_some(bytes as u64);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: &str = r#"{"mem_info1": "1.61M", "mem_info2": "2.53M", "cpu": 51.3, "mem": 0.007,
        "ctime": "0:01.27", "pid": 6228, "username": "root", "nice": 0, "create_time": 1795245104.37, "age": 2.95,
        "cmdline": "sh", "children": [], "subtopic": 6228, "name": null}"#;

    fn process(topic: &str, payload: &str) -> (String, u32, Figures) {
        match parse(topic, payload) {
            Some(Sample::Process { watcher, pid, figures }) => (watcher, pid, *figures),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_process_has_the_figures_that_circus_sends() {
        let (watcher, pid, figures) = process("stat.busy.6228", BUSY);
        assert_eq!((watcher.as_str(), pid), ("busy", 6228));
        assert_eq!((figures.cpu, figures.mem, figures.age), (Some(51.3), Some(0.007), Some(2.95)));
        assert_eq!((figures.rss, figures.command.as_str()), (Some(1_688_207), "sh"));
        assert_eq!((figures.wid, figures.title), (None, None));
    }

    #[test]
    fn names_with_dots_and_numbers_are_told_from_pids() {
        assert_eq!(process("stat.a.b.c.6228", BUSY).0, "a.b.c");
        let sum = r#"{"pid": [1, 2], "cpu": 4.65, "mem": 0.255, "age": 3.47}"#;
        let watcher = "web.8080".to_owned();
        assert_eq!(parse("stat.web.8080", sum), Some(Sample::Watcher { watcher, restarts: None }));
    }

    #[test]
    fn a_socket_is_no_watcher() {
        let socket = r#"{"fd": 7, "subtopic": 7, "reads": 37, "address": "127.0.0.1:20991"}"#;
        let address = "127.0.0.1:20991".to_owned();
        assert_eq!(parse("stat.sockets.7", socket), Some(Sample::Socket { fd: 7, reads: 37, address }));
        assert_eq!(parse("stat.sockets", r#"{"addresses": ["/x"], "reads": 37}"#), None);
    }

    #[test]
    fn what_is_not_available_is_absent() {
        let (_, _, figures) = process(
            "stat.w.7",
            r#"{"pid": 7, "cpu": "N/A", "mem": -1, "age": "N/A", "mem_info1": "N/A", "nice": "Zombie"}"#,
        );
        assert_eq!((figures.cpu, figures.mem, figures.rss, figures.age), (None, None, None, None));
        assert_eq!(figures.nice, "Zombie");
    }

    #[test]
    fn garbage_is_nothing() {
        for (topic, payload) in [
            ("", ""),
            ("stat.", "{}"),
            ("stat..7", r#"{"pid": 7}"#),
            ("stat.w.7", "[]"),
            ("stat.w.7", r#"{"pid": 8}"#),
            ("stat.w.-7", r#"{"pid": -7}"#),
            ("stat.w.0", r#"{"pid": 0}"#),
            ("stat.w.99999999999", r#"{"pid": 99999999999}"#),
            ("watcher.w.spawn", r#"{"pid": [1]}"#),
            ("stat.sockets.7", r#"{"fd": 8, "reads": 1}"#),
        ] {
            assert_eq!(parse(topic, payload), None, "{topic} {payload}");
        }
    }

    #[test]
    fn sizes_are_read_with_every_unit() {
        for (text, bytes) in [
            ("512B", Some(512)),
            ("1.00K", Some(1024)),
            ("3M", Some(3 << 20)),
            ("1.00T", Some(1 << 40)),
            ("N/A", None),
            ("", None),
            ("-1K", None),
            ("NaNK", None),
            ("9e99K", None),
            ("1€", None),
        ] {
            let members = Map::from_iter([("s".to_owned(), Value::from(text))]);
            assert_eq!(size(&members, "s"), bytes, "{text}");
        }
    }
}
