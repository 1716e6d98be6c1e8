//! Watchers that circusd brings along.

use serde_json::json;

use super::*;

/// The last watcher of a text without any mistake.
fn last(text: &str) -> WatcherConfig {
    good(text).watchers.pop().expect("there is one")
}

#[test]
fn statsd_appends_one_process_with_all_sockets_and_circusds_environment() {
    let config = good("[circus]\nstatsd = True\n[watcher:web]\ncmd = web\n[env]\nA = 1\n");
    assert_eq!(names(&config), ["web", "circusd-stats"]);
    let stats = &config.watchers[1];
    assert_eq!(
        stats.cmd,
        "circusd-stats --endpoint tcp://127.0.0.1:5555 --pubsub tcp://127.0.0.1:5556 --statspoint tcp://127.0.0.1:5557"
    );
    assert_eq!((stats.numprocesses, stats.priority, stats.working_dir.as_str()), (1, 0, "/run/here"));
    assert!(stats.singleton && stats.use_sockets && stats.copy_env && stats.copy_path && stats.autostart);
    assert!(!stats.close_child_stdout && !stats.close_child_stderr && stats.stdout_stream.is_none());
    // Sections named `env` are for the watchers of the file.
    assert_eq!(stats.env.as_ref(), Some(&host().env));
    assert_eq!(names(&good("[watcher:web]\ncmd = web\n")), ["web"]);
}

#[test]
fn the_program_beside_circusd_comes_before_path() {
    let text = "[circus]\nstatsd = True\n";
    let loaded = load_tree(&[("/etc/c.ini", text), ("/opt/my circus/circusd-stats", "")]);
    let cmd = &loaded.config.watchers[0].cmd;
    assert!(cmd.starts_with("'/opt/my circus/circusd-stats' --endpoint "), "{cmd}");
}

#[test]
fn the_files_words_on_log_and_outputs_reach_it() {
    let plain = "[circus]\nstatsd = 1\nloglevel = warning\nlogoutput = a log\nstatsd_close_outputs = 1\n";
    let stats = last(plain);
    assert!(stats.cmd.ends_with(" --log-level warning --log-output 'a log'"), "{}", stats.cmd);
    assert!(stats.close_child_stdout && stats.close_child_stderr);
    let stats = last("[circus]\nstatsd = 1\nloglevel = warning\ndebug = 1\n");
    assert!(stats.cmd.ends_with(" --log-level DEBUG"), "{}", stats.cmd);
    let stream = Some(IndexMap::from([("class".to_owned(), json!("StdoutStream"))]));
    assert_eq!((&stats.stdout_stream, &stats.stderr_stream), (&stream, &stream));
}

#[test]
fn a_watcher_of_that_name_in_the_file_is_run_instead() {
    let text = "[circus]\nstatsd = 1\n[watcher:Circusd-Stats]\ncmd = mine\n";
    let loaded = load_text(text);
    assert_eq!(names(&loaded.config), ["Circusd-Stats"]);
    assert_eq!(
        mistake(text).1,
        "/etc/c.ini:2: [circus] statsd: a watcher of the file is called `circusd-stats`; it is run instead"
    );
}

#[test]
fn an_endpoint_it_could_not_find_is_warned_about() {
    let text = "[circus]\nstatsd = 1\npubsub_endpoint = tcp://127.0.0.1:*\n";
    assert_eq!(
        mistake(text),
        (
            Degree::Warning,
            "/etc/c.ini:2: [circus] statsd: circusd-stats cannot find an endpoint whose port the kernel chooses"
                .to_owned()
        )
    );
}

#[test]
fn what_nobody_said_of_them_is_reported_as_nothing() {
    let config = good(
        "[circus]\nstatsd = 1\n[plugin:p]\nuse = circus.plugins.flapping.Flapping\n\
         [plugin:q]\nuse = my.Class\nargs = -v\n",
    );
    let told: Vec<_> = config.watchers.iter().map(WatcherConfig::report).collect();
    let args: Vec<_> = told.iter().map(|it| it["args"].clone()).collect();
    assert_eq!(names(&config), ["circusd-stats", "plugin:p", "plugin:q"]);
    assert_eq!(args, [json!(null), json!(null), json!("-v")]);
    assert!(told.iter().all(|it| it["warmup_delay"].is_f64()));
    assert!(told.iter().all(|it| it["stdout_stream_conf"].is_null() && it["stderr_stream_conf"].is_null()));
    assert_eq!(last("[circus]\nstatsd = 1\ndebug = 1\n").report()["stdout_stream_conf"], json!({}));
}
