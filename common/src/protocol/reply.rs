//! Replies: the members of a good one, or the number and reason of a refusal.

use serde_json::{Map, Value};

use super::{echo::Echo, json};

/// What a request is answered with. `time` and `id` are added where it leaves.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// The command's own members, in order. A member named `status` takes the place of `"ok"`.
    Ok(Map<String, Value>),
    /// A refusal.
    Error {
        /// The number clients compare.
        code: ErrorCode,
        /// The text people read.
        reason: String,
    },
}

/// Why a command was refused. The numbers are the protocol's: clients compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorCode {
    /// Never sent by Circus.
    NotSpecified = 0,
    /// The body is not JSON.
    InvalidJson = 1,
    /// No such command.
    UnknownCommand = 2,
    /// A property is missing or wrong, or there is no such watcher.
    Message = 3,
    /// The system refused.
    Os = 4,
    /// The command cannot be carried out now or as asked.
    Command = 5,
    /// Work that was waited for has failed.
    BadMessageData = 6,
}

impl Reply {
    /// A bare ok.
    #[must_use]
    pub fn ok() -> Self {
        Self::Ok(Map::new())
    }

    /// An ok with members in the given order.
    #[must_use]
    pub fn with<K: Into<String>>(members: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Ok(members.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A refusal.
    #[must_use]
    pub fn error(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self::Error { code, reason: reason.into() }
    }

    /// The refusal for a watcher that does not exist; the name as the client gave it.
    #[must_use]
    pub fn not_found(name: &str) -> Self {
        Self::error(ErrorCode::Message, format!("program {name} not found"))
    }

    /// The answer as it goes over the wire. `id` is what the request had, `time` is seconds since the epoch.
    #[must_use]
    pub fn encode(&self, id: &Echo, time: f64) -> Vec<u8> {
        let mut whole = Map::new();
        match self {
            Self::Ok(members) => {
                whole.insert("status".to_owned(), "ok".into());
                whole.insert("time".to_owned(), json::number(time));
                whole.extend(members.iter().map(|(key, value)| (key.clone(), value.clone())));
            }
            Self::Error { code, reason } => {
                whole.insert("status".to_owned(), "error".into());
                whole.insert("reason".to_owned(), reason.as_str().into());
                whole.insert("tb".to_owned(), Value::Null);
                whole.insert("time".to_owned(), json::number(time));
                whole.insert("errno".to_owned(), code.number().into());
            }
        }
        let mut text = json::to_bytes(&whole.into());
        // In place of the closing brace: the id is not ours to read or to write anew.
        text.pop();
        text.extend_from_slice(b", \"id\": ");
        text.extend_from_slice(id.as_json().as_bytes());
        text.push(b'}');
        text
    }
}

impl ErrorCode {
    /// The wire's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(reply: &Reply, id: &Value) -> String {
        String::from_utf8(reply.encode(&Echo::from(id), 1_795_244_605.05)).unwrap()
    }

    #[test]
    fn an_ok_has_status_and_time_first_and_the_id_last() {
        let reply = Reply::with([("numprocesses", json!(2))]);
        let text = r#"{"status": "ok", "time": 1795244605.05, "numprocesses": 2, "id": "a"}"#;
        assert_eq!(encoded(&reply, &json!("a")), text);
    }

    #[test]
    fn a_member_named_status_replaces_ok_in_its_place() {
        let text = r#"{"status": "active", "time": 1795244605.05, "id": [1, 2]}"#;
        assert_eq!(encoded(&Reply::with([("status", json!("active"))]), &json!([1, 2])), text);
    }

    #[test]
    fn an_error_has_the_members_of_circus_in_their_order() {
        let text = r#"{"status": "error", "reason": "program zz not found", "tb": null, "time": 1795244605.05, "errno": 3, "id": "2ead02dd"}"#;
        assert_eq!(encoded(&Reply::not_found("zz"), &json!("2ead02dd")), text);
    }
}
