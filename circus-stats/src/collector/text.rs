//! The messages, written as Circus writes them.
//!
//! Written by hand and not by way of JSON values: this is the work that is done a thousand times a second.

use std::fmt::{self, Write};

use serde_json::Value;

use super::{
    aggregate::{Aggregate, Memory},
    process::Figures,
};
use crate::{
    publisher::Message,
    streamer::{Group, Member},
};

/// What stands for a figure that we may not read.
const UNKNOWN: &str = "\"N/A\"";

/// About the length of a message.
const USUAL: usize = 512;

/// One process; without figures if we may not read them.
pub(super) fn of_process(group: &Group, member: &Member, figures: Option<&Figures>) -> Message {
    let mut payload = String::with_capacity(USUAL);
    // Writing to a string cannot fail.
    let _ = match figures {
        Some(figures) => known(&mut payload, member, figures),
        None => unknown(&mut payload, member),
    };
    Message { topic: format!("stat.{}.{}", group.name, member.pid), payload }
}

/// A group as one.
pub(super) fn of_group(group: &Group, aggregate: &Aggregate) -> Message {
    let Aggregate { pids, restarts, rss, age, .. } = aggregate;
    let memory = match aggregate.memory() {
        None => UNKNOWN.to_owned(),
        Some(Memory::Nobodys) => "0".to_owned(),
        Some(Memory::Percent(percent)) => number(percent),
    };
    let or_unknown = |figure: Option<f64>| figure.map_or_else(|| UNKNOWN.to_owned(), number);
    let (cpu, age) = (or_unknown(aggregate.cpu()), or_unknown(*age));
    let payload = format!(
        r#"{{"pid": {pids:?}, "cpu": {cpu}, "mem": {memory}, "age": {age}, "rss": {rss}, "restarts": {restarts}}}"#
    );
    Message { topic: format!("stat.{}", group.name), payload }
}

fn known(out: &mut String, member: &Member, figures: &Figures) -> fmt::Result {
    let Figures { rss, vms, time, nice, threads, rare, .. } = figures;
    let [resident, virtual_size] = figures.sizes();
    let numbers = [figures.cpu, figures.memory, figures.created, figures.age].map(number);
    let [cpu, memory, created, age] = numbers;
    write!(
        out,
        r#"{{"mem_info1": "{resident}", "mem_info2": "{virtual_size}", "cpu": {cpu}, "mem": {memory}"#
    )?;
    write!(out, r#", "ctime": "{time}", "pid": {}, "username": "#, member.pid)?;
    text(out, rare.user.as_deref())?;
    write!(out, r#", "nice": {nice}, "create_time": {created}, "age": {age}, "cmdline": "#)?;
    text(out, rare.program.as_deref())?;
    end(out, member)?;
    write!(out, r#", "rss": {rss}, "vms": {vms}, "threads": {threads}, "fds": "#)?;
    maybe(out, rare.descriptors)?;
    out.push_str(r#", "read_bytes": "#);
    maybe(out, rare.traffic.map(|(read, _)| read))?;
    out.push_str(r#", "write_bytes": "#);
    maybe(out, rare.traffic.map(|(_, written)| written))?;
    out.push('}');
    Ok(())
}

fn unknown(out: &mut String, member: &Member) -> fmt::Result {
    let figures = ["mem_info1", "mem_info2", "cpu", "mem", "ctime"];
    out.push('{');
    for name in figures {
        write!(out, r#""{name}": {UNKNOWN}, "#)?;
    }
    write!(out, r#""pid": {}"#, member.pid)?;
    for name in ["username", "nice", "create_time", "age", "cmdline"] {
        write!(out, r#", "{name}": {UNKNOWN}"#)?;
    }
    end(out, member)?;
    for name in ["rss", "vms", "threads", "fds", "read_bytes", "write_bytes"] {
        write!(out, r#", "{name}": null"#)?;
    }
    out.push('}');
    Ok(())
}

/// What follows Circus' figures.
fn end(out: &mut String, member: &Member) -> fmt::Result {
    write!(out, r#", "children": [], "subtopic": {}, "name": "#, member.pid)?;
    match member.name {
        Some(name) => write!(out, "\"{name}\""),
        None => out.write_str("null"),
    }
}

/// As Python writes a fraction: with one digit behind the point at least.
fn number(value: f64) -> String {
    format!("{value:?}")
}

fn text(out: &mut String, text: Option<&str>) -> fmt::Result {
    match text {
        // What is usual needs no look at each letter's meaning in JSON.
        Some(text) if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte)) => {
            write!(out, "\"{text}\"")
        }
        Some(text) => write!(out, "{}", Value::from(text)),
        None => out.write_str(UNKNOWN),
    }
}

fn maybe(out: &mut String, figure: Option<u64>) -> fmt::Result {
    match figure {
        Some(figure) => write!(out, "{figure}"),
        None => out.write_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rare::Rare, *};

    fn group(name: &str) -> Group {
        Group { name: name.to_owned(), members: Vec::new(), restarts: 2 }
    }

    fn figures() -> Figures {
        Figures {
            rss: 1_687_552,
            vms: 2_654_208,
            cpu: 51.3,
            memory: 0.007,
            time: "0:01.27".to_owned(),
            nice: 0,
            created: 1_795_245_104.37,
            age: 2.95,
            threads: 1,
            rare: Rare {
                user: Some("root".to_owned()),
                program: Some("s\"h".to_owned()),
                resident: None,
                descriptors: Some(3),
                traffic: None,
            },
        }
    }

    const BUSY: Member = Member { pid: 6228, birth: 1, name: None };

    #[test]
    fn a_process_is_written_as_circus_writes_it_and_then_our_own_members() {
        let message = of_process(&group("busy"), &BUSY, Some(&figures()));
        assert_eq!(message.topic, "stat.busy.6228");
        assert_eq!(
            message.payload,
            r#"{"mem_info1": "1.61M", "mem_info2": "2.53M", "cpu": 51.3, "mem": 0.007, "ctime": "0:01.27", "pid": 6228, "username": "root", "nice": 0, "create_time": 1795245104.37, "age": 2.95, "cmdline": "s\"h", "children": [], "subtopic": 6228, "name": null, "rss": 1687552, "vms": 2654208, "threads": 1, "fds": 3, "read_bytes": null, "write_bytes": null}"#
        );
    }

    #[test]
    fn what_is_not_for_us_is_n_a() {
        let member = Member { name: Some("circusd"), ..BUSY };
        let message = of_process(&group("circus"), &member, None);
        let value: Value = serde_json::from_str(&message.payload).unwrap();
        for name in
            ["mem_info1", "mem_info2", "cpu", "mem", "ctime", "username", "nice", "create_time", "age"]
        {
            assert_eq!(value[name], "N/A", "{name}");
        }
        assert_eq!((&value["pid"], &value["name"]), (&6228.into(), &"circusd".into()));
        let known: Value =
            serde_json::from_str(&of_process(&group("circus"), &member, Some(&figures())).payload).unwrap();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&value), names(&known));
    }

    #[test]
    fn a_group_is_a_mean_a_sum_and_the_oldest() {
        let mut aggregate = Aggregate::new(2);
        aggregate.add(7, Some(&figures()));
        aggregate.add(8, Some(&Figures { cpu: 0.7, age: 9.5, memory: 0.25, rss: 10, ..figures() }));
        let message = of_group(&group("dotted.name"), &aggregate);
        assert_eq!(message.topic, "stat.dotted.name");
        assert_eq!(
            message.payload,
            r#"{"pid": [7, 8], "cpu": 26.0, "mem": 0.257, "age": 9.5, "rss": 1687562, "restarts": 2}"#
        );
    }

    #[test]
    fn a_group_with_a_process_that_is_not_for_us_is_n_a() {
        let mut aggregate = Aggregate::new(0);
        aggregate.add(7, Some(&figures()));
        aggregate.add(8, None);
        assert_eq!(
            of_group(&group("web"), &aggregate).payload,
            r#"{"pid": [7, 8], "cpu": "N/A", "mem": "N/A", "age": 2.95, "rss": 1687552, "restarts": 0}"#
        );
    }

    #[test]
    fn a_group_of_nobody_is_written_as_circus_writes_it() {
        assert_eq!(
            of_group(&group("web"), &Aggregate::new(0)).payload,
            r#"{"pid": [], "cpu": 0.0, "mem": 0, "age": "N/A", "rss": 0, "restarts": 0}"#
        );
    }
}
