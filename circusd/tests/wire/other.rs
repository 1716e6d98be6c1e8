//! Clients on the `zeromq` crate, which is what others write theirs with.

use std::time::Duration;

use tokio::{runtime, time::timeout};
use zeromq::{DealerSocket, ReqSocket, Socket, SocketRecv, SocketSend, SubSocket, ZmqMessage};

use crate::{
    alone,
    daemon::{Daemon, Order},
};

/// Asks and returns the answer's text.
async fn ask<S: SocketSend + SocketRecv>(socket: &mut S) -> String {
    socket.send(ZmqMessage::from(r#"{"command": "numwatchers", "id": 1}"#)).await.unwrap();
    let message = timeout(Duration::from_secs(10), socket.recv()).await.unwrap().unwrap();
    String::from_utf8(message.get(0).unwrap().to_vec()).unwrap()
}

#[test]
fn dealer_and_req_of_the_zeromq_crate_are_answered_over_tcp_and_ipc() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let ipc = format!("ipc://{}", home.path().join("control").display());
    let daemon = Daemon::start(&format!("tcp://127.0.0.1:* {ipc}"));
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        for address in [daemon.control.to_string(), ipc.clone()] {
            let mut dealer = DealerSocket::new();
            dealer.connect(&address).await.unwrap();
            let mut req = ReqSocket::new();
            req.connect(&address).await.unwrap();
            for _ in 0..5 {
                assert!(ask(&mut dealer).await.contains("\"numwatchers\": 7"));
                assert!(ask(&mut req).await.contains("\"numwatchers\": 7"));
            }
        }
    });
}

#[test]
fn a_subscriber_of_the_zeromq_crate_gets_what_it_asked_for() {
    let _alone = alone();
    let daemon = Daemon::start("tcp://127.0.0.1:*");
    runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut subscriber = SubSocket::new();
        subscriber.connect(&daemon.events.to_string()).await.unwrap();
        subscriber.subscribe("watcher.web.").await.unwrap();
        let message = loop {
            daemon.order(Order::Publish(1));
            if let Ok(message) = timeout(Duration::from_millis(20), subscriber.recv()).await {
                break message.unwrap();
            }
        };
        assert_eq!(&message.get(0).unwrap()[..], b"watcher.web.updated");
        assert_eq!(&message.get(1).unwrap()[..], br#"{"time": 0.0}"#);
    });
}
