//! The program: the one loop that joins streamer, collector and publisher.
//!
//! The clock ticks only while somebody listens. A round that has not ended when the next is due costs that next one,
//! and nothing drifts.

use std::{io, time::Duration};

use circus_common::{bind::BindError, consumer::Item, tunnel::TunnelError};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval, sleep_until},
};
use tracing::{debug, info, warn};

use crate::{
    asking::{self, AskError},
    cli::Options,
    collector::{self, Rounds, Sampled},
    events::{Events, EventsError},
    hits::Hits,
    publisher::Publisher,
    road::Road,
    streamer::{Listening, Snapshot, Streamer, Wish},
};

/// From one round to the next.
pub const PERIOD: Duration = Duration::from_secs(1);

/// The pause before a circusd that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Why the program cannot begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The stats endpoint cannot be had.
    #[error(transparent)]
    Bind(BindError),
    /// There is no way to circusd.
    #[error(transparent)]
    Tunnel(TunnelError),
    /// Its events cannot be followed.
    #[error(transparent)]
    Events(EventsError),
    /// The system has no signals or threads for us.
    #[error("cannot {what}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Why it could not.
        source: io::Error,
    },
    /// The thread that reads `/proc` is no more.
    #[error("the collector has ended")]
    Collector,
}

/// Publishes until a signal says to end.
///
/// # Errors
/// When it cannot begin, or something it cannot do without ends.
pub async fn run(options: &Options) -> Result<(), ProgramError> {
    let mut signals =
        Signals::new().map_err(|source| ProgramError::System { what: "listen to signals", source })?;
    let mut program = tokio::select! {
        program = Program::begin(options) => program?,
        // ssh may be waiting for a password.
        () = signals.next() => return Ok(()),
    };
    info!("Starting the stats streamer");
    let done = tokio::select! {
        done = program.work() => done,
        () = signals.next() => Ok(()),
    };
    info!("Stats streamer stopped");
    done
}

/// What is being asked of circusd.
#[derive(Debug)]
enum Question {
    None,
    Everything(JoinHandle<Result<Snapshot, AskError>>),
    Sockets(JoinHandle<Result<Vec<Listening>, AskError>>),
    /// It did not answer: everything, a little later.
    Later(Instant),
}

impl Question {
    /// Gives up what is under way.
    fn give_up(&mut self) {
        match std::mem::replace(self, Self::None) {
            Self::Everything(task) => task.abort(),
            Self::Sockets(task) => task.abort(),
            Self::None | Self::Later(_) => {}
        }
    }
}

/// What circusd has said.
#[derive(Debug)]
enum Answer {
    Everything(Result<Snapshot, AskError>),
    Sockets(Result<Vec<Listening>, AskError>),
    /// It is time to ask again.
    Due,
}

#[derive(Debug)]
struct Program {
    control: Road,
    events: Events,
    streamer: Streamer,
    question: Question,
    rounds: Rounds,
    hits: Hits,
    publisher: Publisher,
    clock: Option<Interval>,
    /// Whether it was said that circusd does not answer.
    complained: bool,
}

impl Program {
    async fn begin(options: &Options) -> Result<Self, ProgramError> {
        let ssh = options.ssh.as_deref();
        let control = Road::to(&options.endpoint, ssh).map_err(ProgramError::Tunnel)?;
        let events = Road::to(&options.pubsub, ssh).map_err(ProgramError::Tunnel)?;
        let publisher = Publisher::bind(&options.statspoint).await.map_err(ProgramError::Bind)?;
        let events = Events::follow(events).await.map_err(ProgramError::Events)?;
        let rounds = collector::start()
            .map_err(|source| ProgramError::System { what: "start the collector", source })?;
        Ok(Self {
            control,
            events,
            streamer: Streamer::new(std::process::id().cast_signed()),
            question: Question::None,
            rounds,
            hits: Hits::default(),
            publisher,
            clock: None,
            complained: false,
        })
    }

    async fn work(&mut self) -> Result<(), ProgramError> {
        loop {
            tokio::select! {
                item = self.events.next() => self.happened(item.map_err(ProgramError::Events)?),
                answer = answered(&mut self.question) => self.answered(answer),
                () = tick(&mut self.clock) => self.begin_round(),
                sampled = self.rounds.ended() => {
                    self.end_round(sampled.ok_or(ProgramError::Collector)?).await;
                }
                () = self.publisher.changed() => self.wind_clock(),
            }
        }
    }

    fn happened(&mut self, item: Item) {
        match item {
            Item::Event { topic, payload } => {
                debug!("Received an event from circusd: {topic} {payload}");
                let wish = self.streamer.event(&topic, &payload);
                self.ask(wish);
            }
            Item::Connected | Item::Reconnected => {
                let wish = self.streamer.connected();
                self.ask(wish);
            }
            Item::Disconnected => {
                info!("circusd went away");
                self.question.give_up();
                self.streamer.disconnected();
            }
        }
    }

    /// Asks what the streamer wants to know. A question for everything answers all others.
    fn ask(&mut self, wish: Wish) {
        let road = self.control.clone();
        match (wish, &self.question) {
            (Wish::Nothing, _) | (Wish::Sockets, Question::Everything(_) | Question::Later(_)) => {}
            (Wish::Sockets, Question::None | Question::Sockets(_)) => {
                self.question.give_up();
                self.question =
                    Question::Sockets(tokio::spawn(async move { asking::listening(&road).await }));
            }
            (Wish::Everything, _) => {
                self.question.give_up();
                self.question =
                    Question::Everything(tokio::spawn(async move { asking::everything(&road).await }));
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Everything(Ok(snapshot)) => {
                debug!("Initial list is {:?}", snapshot.watchers);
                self.complained = false;
                let wish = self.streamer.answered(snapshot);
                self.ask(wish);
            }
            Answer::Sockets(Ok(sockets)) => self.streamer.sockets_answered(sockets),
            Answer::Due => self.ask(Wish::Everything),
            Answer::Everything(Err(error)) => {
                if !std::mem::replace(&mut self.complained, true) {
                    warn!("{error}");
                }
                self.question = Question::Later(Instant::now() + PAUSE);
            }
            // The next change asks again.
            Answer::Sockets(Err(error)) => debug!("{error}"),
        }
    }

    fn begin_round(&mut self) {
        let groups = self.streamer.groups();
        if !groups.is_empty() {
            self.rounds.begin(groups);
        }
    }

    async fn end_round(&mut self, sampled: Sampled) {
        let Sampled { mut messages, gone } = sampled;
        if !gone.is_empty() {
            self.streamer.forget(&gone);
        }
        self.hits.watch(&self.streamer.sockets());
        messages.extend(self.hits.messages());
        self.publisher.publish(messages).await;
    }

    /// The clock goes as long as somebody listens.
    fn wind_clock(&mut self) {
        match (self.publisher.has_listeners(), &self.clock) {
            (true, None) => {
                let mut clock = interval(PERIOD);
                clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
                self.clock = Some(clock);
                self.hits.watch(&self.streamer.sockets());
            }
            (false, Some(_)) => {
                self.clock = None;
                self.hits.rest();
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

/// The next moment of a clock that goes. May be dropped at any moment.
async fn tick(clock: &mut Option<Interval>) {
    match clock {
        Some(clock) => drop(clock.tick().await),
        None => std::future::pending().await,
    }
}

/// What comes of the question. May be dropped at any moment without loss.
async fn answered(question: &mut Question) -> Answer {
    let answer = match question {
        Question::None => std::future::pending().await,
        Question::Everything(task) => match task.await {
            Ok(answer) => Answer::Everything(answer),
            Err(_) => Answer::Due,
        },
        Question::Sockets(task) => match task.await {
            Ok(answer) => Answer::Sockets(answer),
            Err(_) => Answer::Due,
        },
        Question::Later(due) => {
            sleep_until(*due).await;
            Answer::Due
        }
    };
    *question = Question::None;
    answer
}

/// The signals that end the program. Another change of the terminal's size is none of them.
struct Signals([Signal; 4]);

impl Signals {
    fn new() -> io::Result<Self> {
        let kinds =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit(), SignalKind::hangup()];
        let [interrupt, terminate, quit, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, quit?, hangup?]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, quit, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
