//! Lists the watchers of a Circus daemon with their states, then follows its events.
//!
//! `remote-client [ENDPOINT]`: the control endpoint, if not said `tcp://127.0.0.1:5555`. Where the events are,
//! the daemon tells. It uses nothing but a ZeroMQ library and JSON: any language can do the same.

use std::{env, error::Error, process::ExitCode, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

type Failure = Box<dyn Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let endpoint = env::args().nth(1).unwrap_or_else(|| "tcp://127.0.0.1:5555".to_owned());
    match run(&endpoint).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("remote-client: {endpoint}: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(endpoint: &str) -> Result<(), Failure> {
    let mut control = DealerSocket::new();
    timeout(PATIENCE, control.connect(endpoint)).await??;

    // Subscribed first and asked then, nothing that happens in between is missed.
    let options = call(&mut control, "globaloptions", json!({})).await?;
    let events =
        options["options"]["pubsub_endpoint"].as_str().ok_or("the daemon names no event endpoint")?;
    let mut events_socket = SubSocket::new();
    timeout(PATIENCE, events_socket.connect(events)).await??;
    events_socket.subscribe("watcher.").await?;

    let status = call(&mut control, "status", json!({})).await?;
    for (name, state) in status["statuses"].as_object().into_iter().flatten() {
        let pids = call(&mut control, "list", json!({ "name": name })).await?;
        println!("{name}: {} {}", state.as_str().unwrap_or("?"), pids["pids"]);
    }
    loop {
        let message = events_socket.recv().await?;
        if let (Some(topic), Some(payload)) = (message.get(0), message.get(1)) {
            println!("{} {}", String::from_utf8_lossy(topic), String::from_utf8_lossy(payload));
        }
    }
}

/// Sends a command and returns its answer; a refusal is an error.
async fn call(control: &mut DealerSocket, command: &str, properties: Value) -> Result<Value, Failure> {
    let id = format!("{command}-{properties}");
    let request = json!({ "id": id, "command": command, "properties": properties });
    control.send(ZmqMessage::from(request.to_string())).await?;
    loop {
        let message = timeout(PATIENCE, control.recv()).await??;
        let reply: Value = serde_json::from_slice(message.get(0).ok_or("an empty answer")?)?;
        if reply["id"] != id {
            continue;
        }
        if reply["status"] == "error" {
            return Err(format!("{command}: {}", reply["reason"]).into());
        }
        return Ok(reply);
    }
}
