//! The edge of a daemon on a thread of its own, with answers made up by the test.

use std::{
    fs,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use circus_common::{
    client::{CallError, Client},
    config::endpoint::Endpoint,
    protocol::{Command, ErrorCode, Event, Happening, Reply},
};
use circusd::{
    controller::{BindError, Controller, Settings},
    publisher::Publisher,
};
use serde_json::{Map, Value, json};
use tokio::{runtime, sync::mpsc::UnboundedSender};

/// What a test tells the daemon's loop.
pub enum Order {
    /// Publish so many `updated` events, numbered by their time.
    Publish(u32),
    /// Say how many answers are owed.
    Owed(mpsc::Sender<usize>),
    /// Answer what was held back.
    Release,
    /// Close everything.
    Close,
}

/// A running edge.
pub struct Daemon {
    pub control: Endpoint,
    pub events: Endpoint,
    pub orders: UnboundedSender<Order>,
    /// Its thread's number.
    pub tid: i32,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Binds the control endpoint there, and the event endpoint on a free port.
    pub fn start(control: &str) -> Self {
        Self::with(Settings::local(control).unwrap()).unwrap()
    }

    pub fn with(settings: Settings) -> Result<Self, BindError> {
        let (started, starts) = mpsc::channel();
        let (orders, mut ordered) = tokio::sync::mpsc::unbounded_channel();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let bound = Controller::bind(settings).await;
                let (controller, mut requests) = match bound {
                    Ok(bound) => bound,
                    Err(error) => return started.send(Err(error)).unwrap(),
                };
                let publisher = Publisher::bind(Settings::local("tcp://127.0.0.1:*").unwrap()).await.unwrap();
                let here = (
                    controller.endpoints()[0].clone(),
                    publisher.endpoints()[0].clone(),
                    rustix::thread::gettid().as_raw_nonzero().get(),
                );
                started.send(Ok(here)).unwrap();
                let mut held = Vec::new();
                loop {
                    tokio::select! {
                        Some(incoming) = requests.recv() => {
                            let request = incoming.request;
                            match answer(&incoming.command) {
                                _ if !incoming.reply => {}
                                Some(reply) => controller.reply(request, reply),
                                None => held.push(request),
                            }
                            if matches!(*incoming.command, Command::Quit { .. }) {
                                break;
                            }
                        }
                        order = ordered.recv() => match order {
                            Some(Order::Publish(count)) => {
                                for number in 0..count {
                                    publisher.publish(event(number));
                                    if number % 1000 == 0 {
                                        tokio::task::yield_now().await;
                                    }
                                }
                            }
                            Some(Order::Owed(tell)) => tell.send(controller.owed()).unwrap(),
                            Some(Order::Release) => {
                                for request in held.drain(..) {
                                    controller.reply(request, Reply::with([("held", json!(true))]));
                                }
                            }
                            Some(Order::Close) | None => break,
                        },
                    }
                }
                controller.close(Reply::error(ErrorCode::Command, "arbiter is stopping...")).await;
                publisher.close().await;
            });
        });
        let (control, events, tid) = starts.recv().unwrap()?;
        Ok(Self { control, events, orders, tid, thread: Some(thread) })
    }

    pub fn port(&self) -> u16 {
        port(&self.control)
    }

    pub fn event_port(&self) -> u16 {
        port(&self.events)
    }

    pub fn client(&self) -> BlockingClient {
        BlockingClient::new(&self.control, Duration::from_secs(20))
    }

    pub fn order(&self, order: Order) {
        assert!(self.orders.send(order).is_ok(), "the daemon is gone");
    }

    /// Waits until that many answers are owed.
    pub fn wait_owed(&self, wanted: usize) {
        let (tell, told) = mpsc::channel();
        for _ in 0..2000 {
            self.order(Order::Owed(tell.clone()));
            if told.recv().unwrap() == wanted {
                return;
            }
            thread::park_timeout(Duration::from_millis(5));
        }
        panic!("never were {wanted} answers owed");
    }

    /// Waits for its end.
    pub fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Close);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Our own client, for tests that do not wait otherwise.
pub struct BlockingClient {
    client: Client,
    runtime: runtime::Runtime,
}

impl BlockingClient {
    pub fn new(endpoint: &Endpoint, timeout: Duration) -> Self {
        let client = Client::connect(&endpoint.to_string(), timeout).unwrap();
        Self { client, runtime: runtime::Builder::new_current_thread().enable_all().build().unwrap() }
    }

    pub fn call(&mut self, command: &str, properties: Value) -> Result<Map<String, Value>, CallError> {
        let properties = properties.as_object().cloned().unwrap();
        self.runtime.block_on(self.client.call(command, properties))
    }

    /// Asks something simple and checks the answer.
    pub fn is_served(&mut self) {
        let reply = self.call("numwatchers", json!({})).unwrap();
        assert_eq!(reply["numwatchers"], 7);
    }
}

/// `dstats` is held back, `options` is long, `quit` ends the daemon.
#[expect(clippy::wildcard_enum_match_arm, reason = "a test answers all others alike")]
fn answer(command: &Command) -> Option<Reply> {
    match command {
        Command::Dstats => None,
        Command::List { name: Some(name) } => Some(Reply::not_found(name)),
        Command::List { name: None } => Some(Reply::with([("watchers", json!(["web"]))])),
        Command::Options { .. } => Some(Reply::with([("options", json!({"env": "x".repeat(100_000)}))])),
        Command::NumWatchers => Some(Reply::with([("numwatchers", json!(7))])),
        _ => Some(Reply::ok()),
    }
}

pub fn event(number: u32) -> Event {
    Event { watcher: "web".to_owned(), happening: Happening::Updated, time: f64::from(number) }
}

fn port(endpoint: &Endpoint) -> u16 {
    match endpoint {
        Endpoint::Tcp { port, .. } => *port,
        Endpoint::Ipc { path } => panic!("{path} has no port"),
    }
}

/// Resident memory of this process, in bytes.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
