//! The connection to circusd: questions and orders go out one after the other, answers come back as inputs.

use std::time::Duration;

use circus_common::client::{CallError, Client, reply_error};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
    time::Instant,
};

use crate::machine::{Answer, Input, Order, Question};

/// Questions and orders that may wait.
const QUEUE: usize = 1024;
/// How long circusd may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be sent.
enum Errand {
    Ask(Question),
    Tell(Order),
}

/// The connection.
#[derive(Debug)]
pub(super) struct Link {
    errands: mpsc::Sender<Errand>,
    task: JoinHandle<()>,
}

impl Link {
    pub fn new(endpoint: &str, answers: mpsc::Sender<Input>) -> Result<Self, String> {
        let client = Client::connect(endpoint, PATIENCE).map_err(|error| error.to_string())?;
        let (errands, waiting) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(client, waiting, answers));
        Ok(Self { errands, task })
    }

    pub fn ask(&self, question: Question) -> Result<(), &'static str> {
        self.send(Errand::Ask(question))
    }

    pub fn tell(&self, order: Order) -> Result<(), &'static str> {
        self.send(Errand::Tell(order))
    }

    fn send(&self, errand: Errand) -> Result<(), &'static str> {
        match self.errands.try_send(errand) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err("circusd does not answer and too much waits for it: something is not sent")
            }
            Err(TrySendError::Closed(_)) => Err("the connection to circusd is lost"),
        }
    }

    /// Sends what waits.
    pub async fn close(self) {
        drop(self.errands);
        // It ends by itself.
        let _ = self.task.await;
    }
}

async fn run(mut client: Client, mut waiting: mpsc::Receiver<Errand>, answers: mpsc::Sender<Input>) {
    while let Some(errand) = waiting.recv().await {
        let input = match errand {
            Errand::Ask(question) => {
                let asked = Instant::now();
                let answer = ask(&mut client, &question).await;
                Input::Answered { question, answer, took: asked.elapsed() }
            }
            Errand::Tell(order) => {
                let (command, properties) = order.request();
                match client.cast(command, properties).await {
                    Ok(()) => continue,
                    Err(error) => Input::Untold { order, reason: error.to_string() },
                }
            }
        };
        if answers.send(input).await.is_err() {
            return;
        }
    }
}

async fn ask(client: &mut Client, question: &Question) -> Answer {
    match client.call(question.command(), question.properties()).await {
        Ok(reply) => match reply_error(&reply) {
            Some((_, reason)) => Answer::Refused(reason.to_owned()),
            None => Answer::Ok(reply),
        },
        Err(
            CallError::Timeout { .. }
            | CallError::Lost
            | CallError::Endpoint(_)
            | CallError::Connect { .. }
            | CallError::Talk { .. },
        ) => Answer::Silent,
    }
}
