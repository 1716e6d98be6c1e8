//! What each body becomes: commands with their types, and every refusal with its number and reason.

use serde_json::{Value, json};

use super::*;
use crate::{Channel, Signal, config::Args};

fn command(command: &str, properties: Value) -> Result<Command, Reply> {
    let body = json!({"id": 1, "command": command, "properties": properties});
    Request::parse(body.to_string().as_bytes()).command
}

/// The number and reason of a refusal.
fn refusal(result: Result<Command, Reply>) -> (u8, String) {
    match result {
        Err(Reply::Error { code, reason }) => (code.number(), reason),
        other => panic!("no refusal but {other:?}"),
    }
}

fn name() -> String {
    "w".to_owned()
}

#[test]
fn malformed_bodies_are_refused_as_the_contract_says() {
    for (body, errno, reason) in [
        (&b""[..], 3, "error: empty command"),
        (b" \t\r\n\x0b\x0c", 3, "error: empty command"),
        (b"[]", 1, "json invalid"),
        (b"\"x\"", 1, "json invalid"),
        (b"null", 1, "json invalid"),
        (b"5", 1, "json invalid"),
        (b"{bad", 1, "json invalid"),
        (b"{\"command\": \"li\xffst\"}", 1, "json invalid"),
        (b"{} {}", 1, "json invalid"),
        (b"{}", 2, "unknown command: None"),
        (b"{\"command\": 5}", 2, "unknown command: 5"),
        (b"{\"command\": null}", 2, "unknown command: None"),
        (b"{\"command\": [\"list\"]}", 2, "unknown command: ['list']"),
        (b"{\"command\": \"nope\"}", 2, "unknown command: 'nope'"),
        (b"{\"command\": \"NoPe's\"}", 2, "unknown command: \"NoPe's\""),
        (b"{\"command\": \"\"}", 2, "unknown command: ''"),
        (b"{\"command\": \"list\", \"properties\": 5}", 3, "'properties' isn't an object"),
        (b"{\"command\": \"list\", \"properties\": [1]}", 3, "'properties' isn't an object"),
        (b"{\"command\": \"listen\"}", 3, "invalid message. use a pub/sub socket"),
        (b"{\"command\": \"options\"}", 3, "message invalid 'name' is missing"),
    ] {
        let request = Request::parse(body);
        assert_eq!(refusal(request.command), (errno, reason.to_owned()), "{}", String::from_utf8_lossy(body));
        assert_eq!((request.id, request.cast), (Echo::null(), false));
    }
}

#[test]
fn depth_and_length_of_json_cost_no_stack() {
    for body in ["[".repeat(200_000), "{\"a\":".repeat(200_000), format!("{{\"id\":{}", "[".repeat(200_000))]
    {
        assert_eq!(refusal(Request::parse(body.as_bytes()).command), (1, "json invalid".to_owned()));
    }
}

#[test]
fn any_id_is_kept_and_only_cast_is_a_cast() {
    for id in [json!("a"), json!(5), json!([1, 2]), json!({"k": null}), json!(1.5), json!(null), json!(true)]
    {
        let body = json!({"command": "nope", "id": id}).to_string();
        assert_eq!(Request::parse(body.as_bytes()).id.as_json(), id.to_string());
    }
    // Also what has no type here: the number of a whole uuid, half a character, much nesting.
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    for id in ["340282366920938463463374607431768211455", r#""\ud83d""#, "-0", "1E400", deep.as_str()] {
        let body = format!(r#"{{"command": "nope", "id": {id}}}"#);
        assert_eq!(Request::parse(body.as_bytes()).id.as_json(), id);
    }
    for (kind, cast) in
        [(json!("cast"), true), (json!("CAST"), false), (json!(1), false), (json!("x"), false)]
    {
        let body = json!({"command": "list", "msg_type": kind}).to_string();
        assert_eq!(Request::parse(body.as_bytes()).cast, cast);
    }
}

#[test]
fn names_of_commands_are_read_in_any_case() {
    assert_eq!(command("LIST", json!({})), Ok(Command::List { name: None }));
    assert_eq!(command("NumWatchers", json!({})), Ok(Command::NumWatchers));
}

#[test]
fn misprinted_and_empty_properties_are_borne() {
    let wanted = Ok(Command::List { name: Some(name()) });
    for body in [
        r#"{"command": "list", "properties": {"name": "w"}}"#,
        r#"{"command": "list", "property": {"name": "w"}}"#,
        r#"{"command": "list", "propeties": {"name": "w"}}"#,
        r#"{"command": "list", "properties": {"name": "w"}, "property": {"name": "other"}}"#,
    ] {
        assert_eq!(Request::parse(body.as_bytes()).command, wanted, "{body}");
    }
    for empty in ["null", "[]", "{}"] {
        let body = format!(r#"{{"command": "list", "properties": {empty}}}"#);
        assert_eq!(Request::parse(body.as_bytes()).command, Ok(Command::List { name: None }), "{body}");
    }
}

#[test]
fn waiting_may_stand_at_the_top_and_is_true_as_in_python() {
    let quit = |body: &str| Request::parse(body.as_bytes()).command;
    assert_eq!(quit(r#"{"command": "quit", "waiting": true}"#), Ok(Command::Quit { waiting: true }));
    let inner_first = r#"{"command": "quit", "waiting": true, "properties": {"waiting": false}}"#;
    assert_eq!(quit(inner_first), Ok(Command::Quit { waiting: false }));
    for (value, waiting) in [
        ("\"no\"", true),
        ("1", true),
        ("-0.5", true),
        ("[0]", true),
        ("{\"a\": 0}", true),
        ("\"\"", false),
        ("0", false),
        ("0.0", false),
        ("[]", false),
        ("{}", false),
        ("null", false),
        ("false", false),
    ] {
        let body = format!(r#"{{"command": "quit", "properties": {{"waiting": {value}}}}}"#);
        assert_eq!(quit(&body), Ok(Command::Quit { waiting }), "{value}");
    }
}

#[test]
fn every_command_of_the_table_is_understood() {
    let everything = json!({"name": "w", "cmd": "c", "keys": [], "options": {}, "signum": 1});
    for spec in commands::TABLE.iter().filter(|spec| spec.name != "listen") {
        assert!(command(spec.name, everything.clone()).is_ok(), "{}", spec.name);
    }
}

#[test]
fn required_properties_are_missed_by_name() {
    for (name, given, missing) in [
        ("add", json!({}), "name"),
        ("add", json!({"name": "w"}), "cmd"),
        ("decr", json!({}), "name"),
        ("incr", json!({}), "name"),
        ("get", json!({"name": "w"}), "keys"),
        ("kill", json!({}), "name"),
        ("logs", json!({}), "name"),
        ("rm", json!({}), "name"),
        ("set", json!({"name": "w"}), "options"),
        ("signal", json!({"name": "w"}), "signum"),
        ("why", json!({}), "name"),
    ] {
        assert_eq!(refusal(command(name, given)), (3, format!("message invalid '{missing}' is missing")));
    }
}

#[test]
fn wrong_types_are_refused_by_name_and_never_guessed() {
    for (name, given, reason) in [
        ("options", json!({"name": 5}), "'name' isn't a string"),
        ("options", json!({"name": null}), "'name' isn't a string"),
        // A script that passes no name must not stop everything.
        ("stop", json!({"name": null}), "'name' isn't a string"),
        ("restart", json!({"name": ["a"]}), "'name' isn't a string"),
        ("incr", json!({"name": "w", "nb": "2"}), "'nb' isn't an integer"),
        ("incr", json!({"name": "w", "nb": 1.5}), "'nb' isn't an integer"),
        ("decr", json!({"name": "w", "nb": 18_446_744_073_709_551_615_u64}), "'nb' isn't an integer"),
        ("kill", json!({"name": "w", "pid": "x"}), "'pid' isn't an integer"),
        ("kill", json!({"name": "w", "pid": null}), "'pid' isn't an integer"),
        ("kill", json!({"name": "w", "graceful_timeout": "soon"}), "'graceful_timeout' isn't a number"),
        ("kill", json!({"name": "w", "graceful_timeout": "inf"}), "'graceful_timeout' isn't a number"),
        ("kill", json!({"name": "w", "signum": "NOPE"}), "signal invalid"),
        ("kill", json!({"name": "w", "signum": "??"}), "signal invalid"),
        ("kill", json!({"name": "w", "signum": 999}), "signal invalid"),
        ("signal", json!({"name": "w", "signum": "??"}), "signal invalid"),
        ("signal", json!({"name": "w", "signum": 1.5}), "signal invalid"),
        ("signal", json!({"name": "w", "signum": null}), "signal invalid"),
        ("get", json!({"name": "w", "keys": "cmd"}), "'keys' isn't a list"),
        ("get", json!({"name": "w", "keys": [1]}), "'keys' isn't a list of strings"),
        ("set", json!({"name": "w", "options": "x"}), "'options' property should be an object"),
        ("add", json!({"name": "w", "cmd": "c", "options": []}), "'options' property should be an object"),
        ("set", json!({"name": "w", "options": null}), "'options' property should be an object"),
        ("add", json!({"name": "w", "cmd": ["c"]}), "'cmd' isn't a string"),
        ("add", json!({"name": "w", "cmd": "c", "args": 5}), "'args' isn't a list or string"),
        ("add", json!({"name": "w", "cmd": "c", "args": [null]}), "'args' isn't a list of strings"),
        ("add", json!({"name": "", "cmd": "c"}), "command name shouldn't be empty"),
        ("start", json!({"name": "w", "match": "nope"}), "unknown match method nope"),
        ("start", json!({"name": "w", "match": 5}), "'match' isn't a string"),
        ("globaloptions", json!({"option": 5}), "'option' isn't a string"),
        ("stats", json!({"name": "w", "process": "x"}), "'process' isn't an integer"),
        ("logs", json!({"name": "w", "stream": "stdin"}), "'stream' isn't `stdout` or `stderr`"),
        ("logs", json!({"name": "w", "after": -1}), "'after' isn't a number of 0 or more"),
        ("logs", json!({"name": "w", "max": "5"}), "'max' isn't a number of 0 or more"),
        ("logs", json!({"name": "w", "wait": "inf"}), "'wait' isn't a number"),
    ] {
        assert_eq!(refusal(command(name, given.clone())), (3, reason.to_owned()), "{name} {given}");
    }
}

#[test]
fn numbers_of_processes_may_be_negative_and_are_one_if_not_said() {
    assert_eq!(
        command("incr", json!({"name": "w"})),
        Ok(Command::Incr { name: name(), nb: 1, waiting: false })
    );
    assert_eq!(
        command("decr", json!({"name": "w", "nb": -3, "waiting": 1})),
        Ok(Command::Decr { name: name(), nb: -3, waiting: true })
    );
}

#[test]
fn kill_takes_text_where_circusctl_sends_text() {
    let given = json!({"name": "w", "pid": "12", "signum": "sigusr1", "graceful_timeout": "0.5"});
    let wanted = Command::Kill {
        name: name(),
        pid: Some(12),
        signum: Some(Signal::from_number(10).unwrap()),
        graceful_timeout: Some(0.5),
        waiting: false,
    };
    assert_eq!(command("kill", given), Ok(wanted));
}

#[test]
fn signal_takes_numbers_digits_and_names_and_leaves_the_range_to_the_system() {
    for (given, signum) in
        [(json!(9), 9), (json!("9"), 9), (json!("SIGRTMIN+1"), 35), (json!(0), 0), (json!(999), 999)]
    {
        let properties = json!({"name": "w", "signum": given, "recursive": true});
        let wanted = Command::Signal {
            name: name(),
            signum,
            pid: None,
            childpid: None,
            children: false,
            recursive: true,
        };
        assert_eq!(command("signal", properties), Ok(wanted));
    }
}

#[test]
fn a_child_is_named_either_way_and_needs_its_parent() {
    for key in ["childpid", "child_pid"] {
        let alone = json!({"name": "w", "signum": 1, key: 5});
        let wanted = (5, "cannot specify childpid without pid".to_owned());
        assert_eq!(refusal(command("signal", alone)), wanted);
        let Ok(Command::Signal { pid, childpid, .. }) =
            command("signal", json!({"name": "w", "signum": 1, "pid": 4, key: "5"}))
        else {
            panic!("no signal");
        };
        assert_eq!((pid, childpid), (Some(4), Some(5)));
    }
}

#[test]
fn targets_are_globs_unless_said_otherwise() {
    let target = |method| Some(Target { pattern: "W*".to_owned(), method });
    for (given, method) in [
        (json!({"name": "W*"}), Match::Glob),
        (json!({"name": "W*", "match": "glob"}), Match::Glob),
        (json!({"name": "W*", "match": "simple"}), Match::Simple),
        (json!({"name": "W*", "match": "regex"}), Match::Regex),
    ] {
        let wanted = Command::Start { target: target(method), waiting: false };
        assert_eq!(command("start", given), Ok(wanted));
    }
    let everything = Ok(Command::Stop { target: None, waiting: false });
    assert_eq!(command("stop", json!({"match": "regex"})), everything);
}

#[test]
fn add_keeps_words_apart_and_options_as_they_are() {
    let given = json!({"name": "W", "cmd": "c", "args": ["a b", 5], "options": {"shell": "yes"}, "start": 1});
    let Ok(Command::Add { name, args, options, start, waiting, .. }) = command("add", given) else {
        panic!("no add");
    };
    assert_eq!(name, "W");
    assert_eq!(args, Args::List(vec!["a b".to_owned(), "5".to_owned()]));
    assert_eq!(Value::from(options), json!({"shell": "yes"}));
    assert_eq!((start, waiting), (true, false));
}

#[test]
fn an_option_that_says_nothing_asks_for_all() {
    for given in [json!({}), json!({"option": null}), json!({"option": ""})] {
        assert_eq!(command("globaloptions", given), Ok(Command::GlobalOptions { option: None }));
    }
}

#[test]
fn what_a_client_encodes_is_what_the_daemon_reads() {
    let properties = json!({"name": "w", "nb": 2}).as_object().cloned().unwrap();
    let body = encode("incr", properties, "id-1", true);
    assert_eq!(
        String::from_utf8(body.clone()).unwrap(),
        r#"{"command": "incr", "properties": {"name": "w", "nb": 2}, "id": "id-1", "msg_type": "cast"}"#
    );
    let request = Request::parse(&body);
    assert_eq!((request.id, request.cast), (Echo::from(&json!("id-1")), true));
    assert_eq!(request.command, Ok(Command::Incr { name: name(), nb: 2, waiting: false }));
}

#[test]
fn logs_are_asked_for_within_bounds() {
    let logs = |channel, after, max, wait| Ok(Command::Logs { name: name(), channel, after, max, wait });
    assert_eq!(command("logs", json!({"name": "w"})), logs(None, None, 100, 0.0));
    let much = json!({"name": "w", "stream": "stderr", "after": 7, "max": u64::MAX, "wait": 1e9});
    assert_eq!(command("logs", much), logs(Some(Channel::Stderr), Some(7), 10_000, 60.0));
    let little = json!({"name": "w", "after": null, "max": 0, "wait": -1});
    assert_eq!(command("logs", little), logs(None, None, 0, 0.0));
}
