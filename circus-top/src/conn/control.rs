//! The control connection: finds it, keeps the picture of states, slots and exits true, carries out wishes.
//!
//! What is asked for is what events say has changed, plus everything once in a while, since events may be lost.
//! Only where nobody publishes statistics the figures are asked for as well.

use std::collections::{BTreeMap, BTreeSet};

use circus_common::{
    client::{CallError, Client, reply_error},
    config::endpoint::{Endpoint, seen_from_here},
    protocol::{ErrorCode, event::res_name},
};
use serde_json::{Map, Value};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Duration, Instant, sleep_until},
};

use super::{
    AGAIN, Outlet, Way, Wish,
    events::{self, News},
    find::{Candidate, is_same},
};
use crate::state::{
    command::Action,
    report::{Control, Report},
};

/// How long an answer is awaited.
const PATIENCE: Duration = Duration::from_secs(3);
/// Changes within this time are asked for together.
const TOGETHER: Duration = Duration::from_millis(100);
/// The least time between two rounds of questions: a crash storm must not become a storm of questions.
const BETWEEN: Duration = Duration::from_secs(1);
/// When everything is asked anew while events arrive.
const RESYNC: Duration = Duration::from_secs(30);
/// The same while they do not.
const RESYNC_BLIND: Duration = Duration::from_secs(5);
/// The same while nobody publishes statistics.
const RESYNC_SILENT: Duration = Duration::from_secs(2);
/// For how long the statistics channel may say nothing.
const SILENCE: Duration = Duration::from_secs(3);
/// Watchers that are looked into in one round; the others' turn comes with an event or the cursor.
const MOST_LOOKS: usize = 500;
/// News that may wait.
const MOST_NEWS: usize = 1024;

/// What a control connection is made of.
pub struct ControlTask {
    /// The statistics endpoint that is read.
    pub stats: Endpoint,
    /// Where it may be.
    pub candidates: Vec<(Candidate, Way)>,
    /// The ssh server.
    pub ssh: Option<String>,
    /// Where reports go.
    pub outlet: Outlet,
    /// When the statistics channel last said something.
    pub last_heard: watch::Receiver<Instant>,
}

/// A daemon that was found.
struct Found {
    client: Client,
    endpoint: String,
    version: Option<String>,
    pubsub: Option<String>,
}

/// A connection at work.
struct Session<'a> {
    task: &'a ControlTask,
    client: Client,
    /// Watchers as requests call them, by the name that topics carry.
    names: BTreeMap<String, String>,
    /// Python's circusd has no `why`.
    has_why: bool,
    /// Watchers that events told of since the last round.
    changed: BTreeSet<String>,
    /// When the first of them changed.
    changed_at: Instant,
    /// Whether events may have been missed.
    missed: bool,
    /// When everything was last asked.
    synced: Instant,
    /// When the last round was.
    asked: Instant,
    sees_events: bool,
}

/// The daemon is gone: everything begins anew.
struct Gone;

impl ControlTask {
    /// Finds the daemon and serves it, for ever.
    pub async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        let mut was_there = false;
        loop {
            let reason = match self.find().await {
                Ok(found) => {
                    was_there = true;
                    self.serve(found, &mut wishes).await;
                    None
                }
                Err(reason) => Some(reason),
            };
            let control = match reason {
                Some(reason) if !was_there => Control::Absent { reason },
                Some(_) | None => Control::Lost,
            };
            self.outlet.send(Report::Control(control)).await;
            sleep_until(Instant::now() + AGAIN).await;
        }
    }

    /// The first candidate that is the right daemon, or why there is none.
    async fn find(&mut self) -> Result<Found, String> {
        let mut reasons = Vec::new();
        let stats = self.stats.clone();
        for (candidate, way) in &mut self.candidates {
            match ask_who(candidate, way, &stats).await {
                Ok(found) => return Ok(found),
                Err(reason) => reasons.push(reason),
            }
        }
        Err(reasons
            .pop()
            .unwrap_or_else(|| "no control endpoint is known; name one with --control".to_owned()))
    }

    async fn serve(&self, found: Found, wishes: &mut mpsc::Receiver<Wish>) {
        let (news_in, mut news) = mpsc::channel(MOST_NEWS);
        let mut tasks = JoinSet::new();
        let way = found.pubsub.and_then(|pubsub| Way::to(&pubsub, self.ssh.as_deref()).ok());
        let sees_events = way.is_some();
        if let Some(way) = way {
            tasks.spawn(events::follow(way, self.outlet.clone(), news_in.clone()));
        }
        let mut session = Session {
            task: self,
            client: found.client,
            names: BTreeMap::new(),
            has_why: true,
            changed: BTreeSet::new(),
            changed_at: Instant::now(),
            missed: false,
            synced: Instant::now(),
            asked: Instant::now(),
            sees_events,
        };
        if session.everything(true).await.is_ok() {
            let (endpoint, version) = (found.endpoint, found.version);
            self.outlet.send(Report::Control(Control::Found { endpoint, version })).await;
            // It ends when the daemon is gone.
            let Err(Gone) = session.go_on(wishes, &mut news).await;
        }
        // Held until here, so that the queue of news does not end with the task of events.
        drop(news_in);
    }
}

/// Asks a daemon who it is.
async fn ask_who(candidate: &Candidate, way: &mut Way, stats: &Endpoint) -> Result<Found, String> {
    let name = candidate.endpoint();
    let endpoint = way.open().await.map_err(|error| error.to_string())?;
    let mut client = Client::connect(&endpoint, PATIENCE).map_err(|error| error.to_string())?;
    let reply = client.call("globaloptions", Map::new()).await;
    let reply = reply.map_err(|error| match error {
        CallError::Timeout { .. } => format!("nobody answers at {name}"),
        CallError::Lost | CallError::Endpoint(_) | CallError::Connect { .. } | CallError::Talk { .. } => {
            error.to_string()
        }
    })?;
    let options = reply.get("options").and_then(Value::as_object);
    let option = |key: &str| options.and_then(|it| it.get(key)).and_then(Value::as_str);
    let named = option("stats_endpoint").unwrap_or_default();
    if matches!(candidate, Candidate::Guess(_)) && !is_same(named, stats) {
        return Err(format!(
            "the circusd at {name} publishes its statistics elsewhere; name yours with --control"
        ));
    }
    Ok(Found {
        client,
        endpoint: name.to_owned(),
        version: reply.get("version").and_then(Value::as_str).map(str::to_owned),
        pubsub: option("pubsub_endpoint").map(|named| seen_from_here(named, name)),
    })
}

impl Session<'_> {
    /// Until the daemon is gone.
    async fn go_on(
        &mut self,
        wishes: &mut mpsc::Receiver<Wish>,
        news: &mut mpsc::Receiver<News>,
    ) -> Result<std::convert::Infallible, Gone> {
        loop {
            tokio::select! {
                Some(wish) = wishes.recv() => self.wish(wish).await?,
                Some(news) = news.recv() => match news {
                    News::Changed(name) => self.mark(name),
                    News::Missed => self.missed = true,
                },
                () = sleep_until(self.next_round()) => self.round().await?,
            }
        }
    }

    fn mark(&mut self, name: String) {
        if self.changed.is_empty() {
            self.changed_at = Instant::now();
        }
        self.changed.insert(name);
    }

    /// When the next questions are due.
    fn next_round(&self) -> Instant {
        let soon = self.asked + BETWEEN;
        let all = if self.missed { soon } else { self.synced + self.patience() };
        if self.changed.is_empty() { all } else { all.min(soon.max(self.changed_at + TOGETHER)) }
    }

    fn patience(&self) -> Duration {
        if self.is_silent() {
            RESYNC_SILENT
        } else if self.sees_events {
            RESYNC
        } else {
            RESYNC_BLIND
        }
    }

    /// Whether nobody publishes statistics.
    fn is_silent(&self) -> bool {
        self.task.last_heard.borrow().elapsed() > SILENCE
    }

    async fn round(&mut self) -> Result<(), Gone> {
        if self.missed || self.synced.elapsed() >= self.patience() {
            let deep = !self.is_silent() || !self.changed.is_empty();
            return self.everything(deep).await;
        }
        let changed = std::mem::take(&mut self.changed);
        self.statuses().await?;
        for name in
            changed.iter().filter_map(|key| self.names.get(key).cloned()).take(MOST_LOOKS).collect::<Vec<_>>()
        {
            self.processes_of(&name).await?;
            self.look_into(&name).await?;
        }
        self.asked = Instant::now();
        Ok(())
    }

    /// All states, processes and sockets; with `deep` also what each watcher runs and how its processes ended.
    async fn everything(&mut self, deep: bool) -> Result<(), Gone> {
        self.changed.clear();
        self.missed = false;
        self.statuses().await?;
        if let Some(reply) = self.ask("stats", Map::new()).await?
            && let Some(Value::Object(infos)) = reply.get("infos")
        {
            self.task.outlet.send(Report::Infos(infos.clone())).await;
        }
        if let Some(reply) = self.ask("dstats", Map::new()).await?
            && let Some(Value::Object(info)) = reply.get("info")
        {
            self.task.outlet.send(Report::Daemon(info.clone())).await;
        }
        if let Some(reply) = self.ask("listsockets", Map::new()).await?
            && let Some(Value::Array(sockets)) = reply.get("sockets")
        {
            self.task.outlet.send(Report::Sockets(sockets.clone())).await;
        }
        if deep {
            for name in self.names.values().take(MOST_LOOKS).cloned().collect::<Vec<_>>() {
                self.look_into(&name).await?;
            }
        }
        (self.synced, self.asked) = (Instant::now(), Instant::now());
        Ok(())
    }

    async fn statuses(&mut self) -> Result<(), Gone> {
        if let Some(reply) = self.ask("status", Map::new()).await?
            && let Some(Value::Object(statuses)) = reply.get("statuses")
        {
            self.names = statuses.keys().map(|name| (res_name(name), name.clone())).collect();
            self.task.outlet.send(Report::Statuses(statuses.clone())).await;
        }
        Ok(())
    }

    async fn processes_of(&mut self, name: &str) -> Result<(), Gone> {
        if let Some(mut reply) = self.ask("stats", named(name)).await?
            && let Some(info @ Value::Object(_)) = reply.get_mut("info").map(Value::take)
        {
            let infos = Map::from_iter([(name.to_owned(), info)]);
            self.task.outlet.send(Report::Infos(infos)).await;
        }
        Ok(())
    }

    async fn look_into(&mut self, name: &str) -> Result<(), Gone> {
        if let Some(reply) = self.ask("options", named(name)).await? {
            self.task.outlet.send(Report::Options { name: name.to_owned(), reply }).await;
        }
        if self.has_why
            && let Some(reply) = self.ask("why", named(name)).await?
        {
            self.task.outlet.send(Report::Why { name: name.to_owned(), reply }).await;
        }
        Ok(())
    }

    async fn wish(&mut self, wish: Wish) -> Result<(), Gone> {
        match wish {
            Wish::Inspect(name) => self.look_into(&name).await,
            Wish::Act { watcher, action } => self.act(&watcher, action).await,
        }
    }

    async fn act(&mut self, watcher: &str, action: Action) -> Result<(), Gone> {
        let answer = self.client.call(action.word(), properties(watcher, action)).await;
        let (done, text) = match &answer {
            Ok(reply) => outcome(reply),
            Err(error) => (false, error.to_string()),
        };
        let text = format!("{} of {watcher}: {text}", action.word());
        self.task.outlet.send(Report::Outcome { done, text }).await;
        self.mark(res_name(watcher));
        answer.map(drop).map_err(|_| Gone)
    }

    /// The answer; none if it is a refusal. A daemon that does not answer is gone.
    async fn ask(
        &mut self,
        command: &str,
        properties: Map<String, Value>,
    ) -> Result<Option<Map<String, Value>>, Gone> {
        let reply = self.client.call(command, properties).await.map_err(|_| Gone)?;
        match reply_error(&reply) {
            None => Ok(Some(reply)),
            Some((number, _)) => {
                if command == "why" && number == i64::from(ErrorCode::UnknownCommand.number()) {
                    self.has_why = false;
                }
                Ok(None)
            }
        }
    }
}

/// The properties of a change. Names are never patterns here.
fn properties(watcher: &str, action: Action) -> Map<String, Value> {
    let mut properties = named(watcher);
    match action {
        Action::Start | Action::Stop | Action::Restart => {
            properties.insert("match".to_owned(), "simple".into());
        }
        Action::Incr | Action::Decr => {
            properties.insert("nb".to_owned(), 1.into());
        }
        Action::Reload => {}
    }
    properties
}

/// Whether it was done, and in words.
fn outcome(reply: &Map<String, Value>) -> (bool, String) {
    if let Some((_, reason)) = reply_error(reply) {
        return (false, reason.to_owned());
    }
    match reply.get("singleton") {
        Some(Value::Bool(true)) => (false, "it is a singleton".to_owned()),
        _ => (true, "ok".to_owned()),
    }
}

fn named(watcher: &str) -> Map<String, Value> {
    Map::from_iter([("name".to_owned(), watcher.into())])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_never_a_pattern() {
        assert_eq!(Value::from(properties("w*", Action::Stop)), json!({"name": "w*", "match": "simple"}));
        assert_eq!(Value::from(properties("w", Action::Decr)), json!({"name": "w", "nb": 1}));
        assert_eq!(Value::from(properties("w", Action::Reload)), json!({"name": "w"}));
    }

    #[test]
    fn refusals_and_singletons_are_not_done() {
        let told = |reply: Value| outcome(reply.as_object().unwrap());
        assert_eq!(told(json!({"status": "ok"})), (true, "ok".to_owned()));
        assert!(!told(json!({"status": "ok", "singleton": true})).0);
        assert_eq!(told(json!({"status": "error", "reason": "no", "errno": 3})), (false, "no".to_owned()));
    }
}
