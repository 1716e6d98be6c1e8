//! Gathers what the `status` table shows, from `status`, `stats`, `get` and `why`.
//!
//! Whatever the daemon does not know, or does not say in time, is left out: Python's circusd has no `why`.

use circus_common::{config::python_text::str as str_of, visible};
use serde_json::{Map, Value};

use crate::{
    message::Properties,
    render::{
        Reply,
        table::{LastExit, Row},
        why,
    },
    runner::Runner,
};

/// A row for each watcher of a `status` reply, in byte order of the names; none for a refusal.
pub async fn rows(runner: &mut Runner, status: &Reply) -> Vec<Row> {
    let Some(states) = status.get("statuses").and_then(Value::as_object) else {
        return Vec::new();
    };
    let stats = ask(runner, "stats", Properties::new()).await;
    let infos = stats.as_ref().and_then(|reply| reply.get("infos")).and_then(Value::as_object);
    let mut states: Vec<_> = states.iter().collect();
    states.sort_by_key(|(name, _)| *name);
    let mut has_why = true;
    let mut rows = Vec::with_capacity(states.len());
    for (name, state) in states {
        let mut row = Row {
            name: visible::line(name).into(),
            state: visible::line(&str_of(state)).into(),
            ..Row::default()
        };
        if let Some(processes) = infos.and_then(|infos| infos.get(name)).and_then(Value::as_object) {
            let wanted = wanted(runner, name).await;
            fill(&mut row, processes, wanted);
        }
        if has_why {
            match ask(runner, "why", named(name)).await {
                Some(reply) => tell_exits(&mut row, &reply),
                None => has_why = false,
            }
        }
        rows.push(row);
    }
    rows
}

fn fill(row: &mut Row, processes: &Map<String, Value>, wanted: Option<String>) {
    row.pids = processes.keys().cloned().collect();
    row.processes = Some(match wanted {
        Some(wanted) => format!("{}/{wanted}", row.pids.len()),
        None => row.pids.len().to_string(),
    });
    let ages = processes.values().filter_map(|info| info.get("age").and_then(Value::as_f64));
    row.uptime = ages.max_by(f64::total_cmp);
}

fn tell_exits(row: &mut Row, reply: &Reply) {
    row.restarts = reply.get("restarts").map(str_of);
    let last = why::latest(reply).map(|exit| LastExit {
        ending: visible::line(&why::ending(exit)).into(),
        short_ending: visible::line(&why::short_ending(exit)).into(),
        seconds_since: Some(why::seconds_since(exit, reply)),
    });
    // What never ran has not ended, but there is something to tell.
    let never_began = || {
        let ending = visible::line(&why::latest_spawn_error(reply)?).into();
        Some(LastExit { ending, short_ending: "cannot start".to_owned(), seconds_since: None })
    };
    row.last_exit = last.or_else(never_began);
}

async fn wanted(runner: &mut Runner, name: &str) -> Option<String> {
    let mut properties = named(name);
    properties.insert("keys".to_owned(), vec!["numprocesses"].into());
    let reply = ask(runner, "get", properties).await?;
    reply.get("options")?.get("numprocesses").map(str_of)
}

fn named(name: &str) -> Properties {
    Properties::from_iter([("name".to_owned(), name.into())])
}

/// The reply, unless it is a refusal or does not come.
async fn ask(runner: &mut Runner, command: &str, properties: Properties) -> Option<Reply> {
    let reply = runner.call(command, properties).await.ok()?;
    (reply.get("status").and_then(Value::as_str) != Some("error")).then_some(reply)
}
