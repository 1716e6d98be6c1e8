//! The `zeromq` crate, which others write their clients with, against the real daemon over tcp and ipc.

use std::{future::Future, time::Duration};

use serde_json::{Value, json};
use tokio::{runtime, time::timeout};
use zeromq::{DealerSocket, ReqSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

use crate::daemon::Daemon;

const PATIENCE: Duration = Duration::from_secs(60);

/// Asks one question and returns the answer to it.
async fn ask(socket: &mut (impl SocketSend + SocketRecv), command: &str, properties: Value) -> Value {
    let request = json!({"id": command, "command": command, "properties": properties});
    socket.send(ZmqMessage::from(request.to_string())).await.unwrap();
    let message = timeout(PATIENCE, socket.recv()).await.expect("an answer in time").unwrap();
    let reply: Value = serde_json::from_slice(message.get(0).unwrap()).unwrap();
    assert_eq!(reply["id"], command);
    reply
}

fn run(future: impl Future<Output = ()>) {
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

#[test]
fn dealer_and_req_ask_and_are_answered() {
    for daemon in [Daemon::start(), Daemon::start_on_ipc()] {
        run(async {
            let mut dealer = DealerSocket::new();
            dealer.connect(&daemon.endpoint).await.unwrap();
            let mut req = ReqSocket::new();
            req.connect(&daemon.endpoint).await.unwrap();
            let restarted = ask(&mut dealer, "restart", json!({"name": "one", "waiting": true})).await;
            let listed = ask(&mut req, "list", json!({"name": "one"})).await;
            assert_eq!(restarted["info"]["started"], listed["pids"]);
            assert_eq!(ask(&mut req, "status", json!({"name": "web"})).await["status"], "active");
        });
    }
}

#[test]
fn sub_hears_the_events_of_its_topic_only() {
    for daemon in [Daemon::start(), Daemon::start_on_ipc()] {
        run(async {
            let mut events = SubSocket::new();
            events.connect(&daemon.pubsub).await.unwrap();
            events.subscribe("watcher.one.").await.unwrap();
            let mut dealer = DealerSocket::new();
            dealer.connect(&daemon.endpoint).await.unwrap();
            let mut topics = Vec::new();
            // A late subscriber misses the first ones, so restarts go on until a whole one was heard.
            while !topics.ends_with(&["kill", "reap", "stop", "spawn", "start"].map(str::to_owned)) {
                ask(&mut dealer, "restart", json!({"name": "web", "waiting": true})).await;
                ask(&mut dealer, "restart", json!({"name": "one", "waiting": true})).await;
                while let Ok(message) = timeout(Duration::from_millis(100), events.recv()).await {
                    let topic = String::from_utf8(message.unwrap().get(0).unwrap().to_vec()).unwrap();
                    topics.push(topic.strip_prefix("watcher.one.").expect("only that topic").to_owned());
                }
                assert!(topics.len() < 200, "{topics:?}");
            }
        });
    }
}
