//! Carries out one command: the request, the answer, and what is printed of it.
//!
//! The shell and a one-shot call share it, and so say the same things in the same words.

use circus_common::{
    client::{CallError, Client, reply_error},
    config::endpoint::seen_from_here,
    protocol::{ErrorCode, commands::CommandSpec},
    tunnel::{Tunnel, TunnelError},
};
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    cli::{Action, Args, DEFAULT_ENDPOINT, DEFAULT_PUBSUB_ENDPOINT, UsageError},
    completions::{self, PATIENCE},
    help, listen, logs,
    message::{self, Properties},
    out::{Outcome, complain, end_line, on_terminal, say, show},
    overview,
    render::{Form, Reply, render, table},
    words::Words,
};

/// What is printed after `Timed out.`, as Circus does.
const TIMED_OUT: &str = "\
A time out usually happens in one of those cases:

#1 The Circus daemon could not be reached.
#2 The Circus daemon took too long to perform the operation

For #1, make sure you are hitting the right place
by checking your --endpoint option.

For #2, if you are not expecting a result to
come back, increase your timeout option value
(particularly with waiting switches)";

/// The number of the refusal of a command that the daemon does not know.
const UNKNOWN_COMMAND: i64 = ErrorCode::UnknownCommand as i64;

/// How wide a table is where the terminal does not say.
const USUAL_WIDTH: u16 = 80;

/// The connection to the daemon and the options that hold for every command.
pub struct Runner {
    args: Args,
    /// Where the daemon is, as the user says it.
    endpoint: String,
    client: Option<Client>,
    interrupted: bool,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The client has none.
    #[error(transparent)]
    Call(CallError),
    /// The way to the daemon could not be made.
    #[error(transparent)]
    Tunnel(TunnelError),
}

impl Runner {
    /// A runner for these options; `environment` is the endpoint that the environment names.
    pub fn new(args: Args, environment: Option<String>) -> Self {
        let given = args.endpoint.clone().or(environment);
        let endpoint = given.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        Self { args, endpoint, client: None, interrupted: false }
    }

    /// Does what is asked for, unless it is the shell.
    pub async fn perform(&mut self, action: Result<Action, UsageError>) -> Outcome {
        let text = match action {
            Ok(Action::Version) => format!("circusctl {}", env!("CARGO_PKG_VERSION")),
            Ok(Action::Help) => help::overview(),
            Ok(Action::HelpOn(spec)) => help::documentation(spec),
            Ok(Action::UsageOf(spec)) => help::usage(spec),
            Ok(Action::Completions(shell)) => completions::script(shell).trim_end().to_owned(),
            Ok(Action::Run(spec, words)) => return self.run(spec, &words).await,
            Ok(Action::Shell) => return Outcome::Done,
            Err(error) => {
                complain(&format!("{}\ncircusctl: error: {error}", help::USAGE));
                return Outcome::Usage;
            }
        };
        printed(&text, Outcome::Done)
    }

    /// Carries out a command; SIGINT ends it.
    pub async fn run(&mut self, spec: &'static CommandSpec, words: &Words) -> Outcome {
        tokio::select! {
            outcome = self.run_to_the_end(spec, words) => return outcome,
            _ = tokio::signal::ctrl_c() => self.interrupted = true,
        }
        end_line();
        // Following output ends so and in no other way: that is no failure.
        if spec.name == "logs" { Outcome::Done } else { Outcome::Failed }
    }

    /// Whether SIGINT has ended a command since this was asked last.
    pub fn was_interrupted(&mut self) -> bool {
        std::mem::take(&mut self.interrupted)
    }

    /// Asks the daemon, over the connection that is kept between commands.
    ///
    /// # Errors
    /// When there is no reply.
    pub async fn call(&mut self, command: &str, properties: Properties) -> Result<Reply, RunError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let endpoint = self.reachable(&self.endpoint).map_err(RunError::Tunnel)?;
                Client::connect(&endpoint, self.args.patience()).map_err(RunError::Call)?
            }
        };
        let reply = self.client.insert(client).call(command, properties).await;
        if reply.is_err() {
            // A tunnel that has ended never comes back: the next call makes a new one.
            self.client = None;
        }
        reply.map_err(RunError::Call)
    }

    /// `name: state` lines whatever the terminal: what the shell begins with.
    pub async fn banner(&mut self) -> Outcome {
        self.ask("status", Properties::new()).await
    }

    async fn run_to_the_end(&mut self, spec: &'static CommandSpec, words: &Words) -> Outcome {
        if spec.name == "listen" {
            return self.listen(&words.args).await;
        }
        if spec.name == "logs" {
            return self.logs(spec, words).await;
        }
        let properties = match message::properties(spec, words) {
            Ok(properties) => properties,
            Err(error) => {
                complain(&error.to_string());
                return Outcome::Failed;
            }
        };
        let all_watchers = spec.name == "status" && properties.is_empty();
        if all_watchers && self.args.form() == Form::Text && on_terminal() {
            return self.status_table().await;
        }
        if properties.contains_key("dry_run") {
            return self.plan(spec.name, properties).await;
        }
        self.ask(spec.name, properties).await
    }

    /// Asks for a plan, but only a daemon that makes plans: Python's ignores `dry_run`, and would act at once.
    async fn plan(&mut self, command: &str, properties: Properties) -> Outcome {
        // It is told by `why`, which came with the plans; without a name it does nothing.
        match self.call("why", Properties::new()).await {
            Ok(reply) if matches!(reply_error(&reply), Some((number, _)) if number == UNKNOWN_COMMAND) => {
                complain("error: this daemon cannot make plans; nothing was done");
                Outcome::Refused
            }
            Ok(_) => self.ask(command, properties).await,
            Err(error) => self.unanswered(&error),
        }
    }

    async fn ask(&mut self, command: &str, properties: Properties) -> Outcome {
        match self.call(command, properties).await {
            Ok(reply) => self.print(command, &reply),
            Err(error) => self.unanswered(&error),
        }
    }

    /// Says why there is no reply, in the form in which the reply was wanted.
    fn unanswered(&self, error: &RunError) -> Outcome {
        if self.args.form() == Form::Text {
            return explained(error);
        }
        let reply = reply_in_place_of(error);
        printed(&render("", &reply, self.args.form()).text, Outcome::Failed)
    }

    fn print(&self, command: &str, reply: &Reply) -> Outcome {
        let rendered = render(command, reply, self.args.form());
        let outcome = if rendered.refused { Outcome::Refused } else { Outcome::Done };
        if rendered.complaint {
            complain(&rendered.text);
            return outcome;
        }
        let outcome = printed(&rendered.text, outcome);
        rendered.remarks.iter().for_each(|remark| complain(remark));
        outcome
    }

    async fn status_table(&mut self) -> Outcome {
        let reply = match self.call("status", Properties::new()).await {
            Ok(reply) => reply,
            Err(error) => return explained(&error),
        };
        match overview::rows(self, &reply).await {
            // A refusal, or no watchers at all: nothing to lay out.
            rows if rows.is_empty() => self.print("status", &reply),
            rows => ended(show(&table::table(&rows, width())), Outcome::Done),
        }
    }

    async fn listen(&mut self, args: &[String]) -> Outcome {
        let (argument, topics) = listen::split(args);
        let wish = listen::Wish { topics, json: self.args.json, patience: self.args.patience() };
        let given = argument.or(self.args.endpoint.as_deref()).map(str::to_owned);
        let mut may_be_control = given.is_some();
        let mut named = match given {
            Some(given) => given,
            None => self.events_of_the_environment().await,
        };
        loop {
            let reached = match self.reachable(&named) {
                Ok(reached) => reached,
                Err(error) => return explained(&RunError::Tunnel(error)),
            };
            let place = listen::Place { named: &named, reached: &reached, may_be_control };
            match listen::listen(&wish, place).await {
                listen::Ended::With(outcome) => return outcome,
                listen::Ended::Elsewhere(events) => {
                    let events = seen_from_here(&events, &named);
                    complain(&format!(
                        "circusctl: {named} is for commands, listening to its events at {events}"
                    ));
                    named = events;
                    may_be_control = false;
                }
            }
        }
    }

    /// Where the daemon that the environment names publishes its events. Circus knows no such daemon here: where none is
    /// named, or it does not answer, the place is the usual one.
    async fn events_of_the_environment(&mut self) -> String {
        let usual = || DEFAULT_PUBSUB_ENDPOINT.to_owned();
        if self.endpoint == DEFAULT_ENDPOINT {
            return usual();
        }
        let control = self.endpoint.clone();
        match timeout(PATIENCE, self.call("globaloptions", listen::question())).await {
            Ok(Ok(reply)) => {
                listen::named_in(&reply).map_or_else(usual, |events| seen_from_here(&events, &control))
            }
            Ok(Err(_)) | Err(_) => usual(),
        }
    }

    async fn logs(&self, spec: &CommandSpec, words: &Words) -> Outcome {
        if words.args.is_empty() {
            complain(spec.usage.wrong);
            return Outcome::Failed;
        }
        let wish = match logs::Wish::read(words, self.args.json) {
            Ok(wish) => wish,
            Err(error) => {
                complain(&error);
                return Outcome::Failed;
            }
        };
        match self.reachable(&self.endpoint) {
            Ok(endpoint) => logs::logs(wish, logs::Way { endpoint, patience: self.args.patience() }).await,
            Err(error) => explained(&RunError::Tunnel(error)),
        }
    }

    /// The address to connect to: the endpoint itself, or this end of a tunnel to it.
    fn reachable(&self, endpoint: &str) -> Result<String, TunnelError> {
        match &self.args.ssh {
            None => Ok(endpoint.to_owned()),
            Some(server) => Tunnel::to(endpoint, server, self.args.ssh_keyfile.as_deref())?.open(),
        }
    }
}

/// What a script that reads JSON finds where there is no reply: a refusal without a number, since no daemon gave one.
fn reply_in_place_of(error: &RunError) -> Reply {
    let members = [
        ("status", Value::from("error")),
        ("reason", Value::from(error.to_string())),
        ("errno", Value::Null),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Says why there is no reply.
fn explained(error: &RunError) -> Outcome {
    complain(&error.to_string());
    if matches!(error, RunError::Call(CallError::Timeout { .. })) {
        complain(TIMED_OUT);
    }
    Outcome::Failed
}

fn printed(text: &str, outcome: Outcome) -> Outcome {
    ended(say(text), outcome)
}

/// The outcome, unless nobody reads it any more.
fn ended(printed: std::io::Result<()>, outcome: Outcome) -> Outcome {
    if printed.is_ok() { outcome } else { Outcome::Failed }
}

fn width() -> u16 {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .map(|size| size.ws_col)
        .ok()
        .filter(|&columns| columns > 0)
        .unwrap_or(USUAL_WIDTH)
}
