//! Sends a command, awaits its reply: what every client uses.
//!
//! A call that timed out drops its socket: a ZeroMQ socket keeps what it could not send, and would run an old
//! command when the daemon returns. Answers are matched by id; late ones are discarded. A daemon that leaves takes what
//! it has not answered with it: what changes nothing is asked again, of anything else it is said.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    config::endpoint::{Endpoint, EndpointError},
    protocol::{
        commands::{Access, find},
        request,
    },
    transport::{Dealer, TransportError},
};

/// A socket unused for longer may not know that its daemon has left: while a caller waits for its user, no runtime runs.
const FRESH: Duration = Duration::from_millis(50);

/// What such a socket gets to find out, and what an answer gets to arrive that was there before its connection ended.
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// The pause before a question is asked again.
const BEFORE_AGAIN: Duration = Duration::from_millis(100);

/// Why a call has no reply. A refusal by the daemon is a reply: see [`reply_error`].
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time.
    #[error("Timed out.")]
    Timeout {
        /// Whether there was a daemon to ask at all.
        connected: bool,
    },
    /// The connection ended first.
    #[error("the daemon went away before it answered; whether it did what was asked is not known")]
    Lost,
    /// The address is none.
    #[error("{0}")]
    Endpoint(EndpointError),
    /// The address cannot be connected to, ever.
    #[error("cannot connect to {endpoint}: {reason}")]
    Connect {
        /// Where to.
        endpoint: Endpoint,
        /// Why not.
        reason: TransportError,
    },
    /// The request could not be sent, or its answer not be received.
    #[error("cannot talk to {endpoint}: {reason}")]
    Talk {
        /// To whom.
        endpoint: Endpoint,
        /// Why not.
        reason: TransportError,
    },
}

/// A daemon's address and, once it was needed, the connection to it.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    timeout: Duration,
    socket: Option<Dealer>,
    used: Instant,
}

impl Client {
    /// A client of the daemon at that address. Nothing is sent before the first call.
    ///
    /// # Errors
    /// When the text is no address.
    pub fn connect(endpoint: &str, timeout: Duration) -> Result<Self, CallError> {
        let endpoint = endpoint.parse().map_err(CallError::Endpoint)?;
        Ok(Self { endpoint, timeout, socket: None, used: Instant::now() })
    }

    /// The address.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks, and returns the reply as it came, refusals included. A question that changes nothing is asked again when
    /// the daemon left without an answer.
    ///
    /// # Errors
    /// When there is no reply within the client's time limit, or the daemon left with something else.
    pub async fn call(
        &mut self,
        command: &str,
        properties: Map<String, Value>,
    ) -> Result<Map<String, Value>, CallError> {
        let until = Instant::now() + self.timeout;
        let again = find(command).is_some_and(|spec| spec.access == Access::Read);
        let (id, body) = encoded(command, properties);
        loop {
            match self.ask(body.clone(), &id, until).await {
                // One that cuts every connection is not overrun.
                Err(CallError::Lost) if again => sleep_until(Instant::now() + BEFORE_AGAIN).await,
                ended => return ended,
            }
        }
    }

    /// Like [`Self::call`], but asks only once: for who wants to know that the daemon was away.
    ///
    /// # Errors
    /// When there is no reply within the client's time limit, or the daemon left.
    pub async fn call_once(
        &mut self,
        command: &str,
        properties: Map<String, Value>,
    ) -> Result<Map<String, Value>, CallError> {
        let (id, body) = encoded(command, properties);
        self.call_raw(body, &id).await
    }

    /// Sends a body made elsewhere and awaits the answer to that id.
    ///
    /// # Errors
    /// When there is no reply within the client's time limit, or the daemon left.
    pub async fn call_raw(&mut self, body: Vec<u8>, id: &Value) -> Result<Map<String, Value>, CallError> {
        self.ask(body, id, Instant::now() + self.timeout).await
    }

    async fn ask(
        &mut self,
        body: Vec<u8>,
        id: &Value,
        until: Instant,
    ) -> Result<Map<String, Value>, CallError> {
        // Taken out, so that it is gone on every way out but success; also when this future is dropped.
        let (socket, connection) = self.connected(until).await?;
        let answer = async {
            socket.send(body).await?;
            tokio::select! {
                biased;
                answer = answer_to(&socket, id) => answer.map(Some),
                () = socket.lost(connection) => {
                    timeout_at(Instant::now() + SECOND_LOOK, answer_to(&socket, id)).await.ok().transpose()
                }
            }
        };
        match timeout_at(until, answer).await {
            Ok(Ok(Some(reply))) => {
                self.keep(socket);
                Ok(reply)
            }
            Ok(Ok(None)) => {
                socket.close().await;
                Err(CallError::Lost)
            }
            Ok(Err(reason)) => Err(CallError::Talk { endpoint: self.endpoint.clone(), reason }),
            Err(_) => {
                // Now, not when it is dropped: a caller that waits for its user drives no runtime meanwhile.
                socket.close().await;
                Err(CallError::Timeout { connected: true })
            }
        }
    }

    /// Tells without asking: there is no answer, and no way to know what became of it.
    ///
    /// # Errors
    /// When the daemon cannot be reached within the client's time limit.
    pub async fn cast(&mut self, command: &str, properties: Map<String, Value>) -> Result<(), CallError> {
        let until = Instant::now() + self.timeout;
        let (socket, _) = self.connected(until).await?;
        let id = format!("{:032x}", fastrand::u128(..));
        match timeout_at(until, socket.send(request::encode(command, properties, &id, true))).await {
            Ok(Ok(())) => {
                self.keep(socket);
                Ok(())
            }
            Ok(Err(reason)) => Err(CallError::Talk { endpoint: self.endpoint.clone(), reason }),
            Err(_) => Err(CallError::Timeout { connected: true }),
        }
    }

    fn keep(&mut self, socket: Dealer) {
        self.socket = Some(socket);
        self.used = Instant::now();
    }

    /// The socket with somebody at its other end, and which connection that is. Nothing is sent before: it would be
    /// queued, and run later.
    async fn connected(&mut self, until: Instant) -> Result<(Dealer, u64), CallError> {
        let socket = match self.socket.take() {
            Some(socket) => {
                if self.used.elapsed() > FRESH {
                    sleep_until(Instant::now() + SECOND_LOOK).await;
                }
                socket
            }
            None => Dealer::connect(&self.endpoint)
                .await
                .map_err(|reason| CallError::Connect { endpoint: self.endpoint.clone(), reason })?,
        };
        match socket.wait_connected(until.saturating_duration_since(Instant::now())).await {
            Ok(connection) => Ok((socket, connection)),
            Err(TransportError::Timeout) => Err(CallError::Timeout { connected: false }),
            Err(reason) => Err(CallError::Talk { endpoint: self.endpoint.clone(), reason }),
        }
    }
}

/// A request's id and body.
fn encoded(command: &str, properties: Map<String, Value>) -> (Value, Vec<u8>) {
    let id = format!("{:032x}", fastrand::u128(..));
    let body = request::encode(command, properties, &id, false);
    (id.into(), body)
}

/// The reply with that id. What is no reply, or another's, is passed over.
async fn answer_to(socket: &Dealer, id: &Value) -> Result<Map<String, Value>, TransportError> {
    loop {
        let frames = socket.recv().await?;
        let Some(body) = frames.last() else { continue };
        let Ok(Value::Object(reply)) = serde_json::from_slice(body) else { continue };
        if reply.get("id") == Some(id) {
            return Ok(reply);
        }
    }
}

/// The number and reason of a refusal; `None` when the reply is a good one.
#[must_use]
pub fn reply_error(reply: &Map<String, Value>) -> Option<(i64, &str)> {
    if reply.get("status")? != "error" {
        return None;
    }
    let number = reply.get("errno").and_then(Value::as_i64).unwrap_or_default();
    Some((number, reply.get("reason").and_then(Value::as_str).unwrap_or("unknown")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::transport::Router;

    fn reply(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn only_an_error_reply_is_a_refusal() {
        let refusal = reply(json!({"status": "error", "reason": "no", "errno": 3}));
        assert_eq!(reply_error(&refusal), Some((3, "no")));
        assert_eq!(reply_error(&reply(json!({"status": "active"}))), None);
        assert_eq!(reply_error(&reply(json!({}))), None);
    }

    #[test]
    fn an_address_that_is_none_is_refused_at_once() {
        let error = Client::connect("nowhere", Duration::from_secs(1)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`nowhere` is no endpoint: write tcp://127.0.0.1:5555 or ipc:///run/circus/control"
        );
    }

    #[tokio::test]
    async fn nobody_there_is_a_timeout_that_says_so() {
        let mut client = Client::connect("ipc:///nonexistent/circus", Duration::from_millis(50)).unwrap();
        let error = client.call("list", Map::new()).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout { connected: false }), "{error:?}");
        assert_eq!(error.to_string(), "Timed out.");
    }

    /// Answers nothing: takes one request, then leaves.
    async fn leave_with_a_request(router: Router) -> Vec<u8> {
        let (_, frames) = router.recv().await.unwrap();
        router.close().await;
        frames.last().unwrap().to_vec()
    }

    #[tokio::test]
    async fn a_question_is_asked_again_and_an_order_is_not() {
        for (command, again) in [("list", true), ("restart", false)] {
            let router = Router::new().unwrap();
            let endpoint = router.bind(&"tcp://127.0.0.1:*".parse().unwrap()).await.unwrap();
            let mut client = Client::connect(&endpoint.to_string(), Duration::from_secs(30)).unwrap();
            let daemon = async {
                let first = leave_with_a_request(router).await;
                let router = Router::new().unwrap();
                router.bind(&endpoint).await.unwrap();
                if again {
                    let (peer, frames) = router.recv().await.unwrap();
                    assert_eq!(frames.last().unwrap(), &first);
                    let asked: Value = serde_json::from_slice(&first).unwrap();
                    let answer = json!({"status": "ok", "id": asked["id"]}).to_string();
                    router.try_send(&peer, vec![answer.into()]).unwrap();
                }
                router
            };
            let (ended, _router) = tokio::join!(client.call(command, Map::new()), daemon);
            assert_eq!(ended.is_ok(), again, "{ended:?}");
            assert!(again || matches!(ended, Err(CallError::Lost)), "{ended:?}");
        }
    }
}
