//! Several files, `[circus]`, sockets, plugins and virtual environments.

use super::*;
use crate::config::plugin::builtin::{Builtin, Uses};

#[test]
fn a_file_that_cannot_be_read_is_fatal() {
    let loaded = load_tree(&[]);
    assert_eq!(loaded.text(Degree::Fatal), "/etc/c.ini: cannot read the configuration: no such file");
}

#[test]
fn included_files_come_after_the_main_one_in_order() {
    let loaded = load_tree(&[
        (
            "/etc/c.ini",
            "[circus]\ninclude = z/*.ini\n  /abs/a.ini nothing*.ini\ninclude_dir = d\n[watcher:main]\ncmd = main\n",
        ),
        (
            "/etc/z/2.ini",
            "[watcher:w]\ncmd = two\nargs = two\n[circus]\nendpoint = tcp://127.0.0.1:9\ninclude = more.ini\n",
        ),
        ("/etc/z/1.ini", "[watcher:w]\ncmd = one\n[watcher:main]\ncmd = no\n"),
        ("/etc/z/3.ini", "unreadable"),
        ("/abs/a.ini", "[watcher:w]\nargs = abs\nnumprocesses = 4\n"),
        ("/etc/d/x.ini", "[watcher:w]\nnumprocesses = 5\npriority = 6\n"),
        ("/etc/d/x.cfg", "[watcher:no]\ncmd = no\n"),
        ("/etc/more.ini", "[watcher:more]\ncmd = more\n"),
    ]);
    assert_eq!(names(&loaded.config), ["main", "w"]);
    let w = &loaded.config.watchers[1];
    assert_eq!(
        (w.cmd.as_str(), &w.args, w.numprocesses, w.priority),
        ("one", &Args::Text("two".to_owned()), 4, 6)
    );
    assert_eq!(
        (loaded.config.watchers[0].cmd.as_str(), loaded.config.circus.endpoint.as_str()),
        ("main", "tcp://127.0.0.1:9")
    );
    let text = loaded.text(Degree::Warning);
    assert!(text.contains("/etc/c.ini:2: [circus] include: `nothing*.ini` names no file"), "{text}");
    assert!(text.contains("/etc/z/3.ini: cannot read the included file"), "{text}");
}

#[test]
fn includes_see_circusds_environment_only() {
    let loaded = load_tree(&[
        ("/etc/c.ini", "[env]\nHOME = /other\n[circus]\ninclude = $(circus.env.HOME)/a.ini\n"),
        ("/h/a.ini", "[watcher:w]\ncmd = x\n"),
    ]);
    assert_eq!(names(&loaded.config), ["w"]);
}

#[test]
fn the_circus_section_is_read() {
    let circus = good(
        "[circus]\ncheck_delay = -1\nendpoint = ipc://c.sock\nendpoint_owner = me\numask = 027\nwarmup_delay = 2\n\
         debug = on\npidfile = $(circus.env.HOME)/pid\nmulticast_endpoint =\nhttpd_port = 81\nallow_remote = yes\n",
    )
    .circus;
    assert_eq!(
        (circus.check_delay, circus.umask, circus.warmup_delay, circus.debug),
        (-1.0, Some(0o27), 2, true)
    );
    assert_eq!(
        (circus.pidfile.as_deref(), circus.multicast_endpoint.as_str(), circus.httpd_port),
        (Some("/h/pid"), "", 81)
    );
}

#[test]
fn endpoints_must_be_good_different_and_local() {
    for (lines, message) in [
        ("endpoint = 5555", "`5555` is no endpoint"),
        ("endpoint = tcp://0.0.0.0:5555", "write `allow_remote = True`"),
        ("pubsub_endpoint = tcp://*:5556", "write `allow_remote = True`"),
        ("pubsub_endpoint = tcp://localhost:5555", "is already used by `endpoint`"),
        ("events_endpoint = tcp://127.0.0.1:5556", "is already used by `pubsub_endpoint`"),
        ("statsd = 1\nendpoint = tcp://127.0.0.1:5557", "is already used by `endpoint`"),
        ("endpoint = tcp://127.0.0.1:1 ipc://x tcp://127.0.0.1:1", "is already used by `endpoint`"),
        ("multicast_endpoint = udp://10.0.0.1:5", "must be 224 to 239"),
        ("umask = 9", "'9' is not an octal mask"),
        ("httpd_port = 70000", "70000 is no port"),
    ] {
        let loaded = load_text(&format!("[circus]\n{lines}\n"));
        assert!(loaded.text(Degree::Fatal).contains(message), "{lines}: {}", loaded.text(Degree::Warning));
    }
    good("[circus]\nendpoint = tcp://0.0.0.0:5555\nallow_remote = True\n");
    good("[circus]\nendpoint = tcp://127.0.0.1:5557\n");
    good("[circus]\nendpoint = tcp://127.0.0.1:1 ipc:///x\n");
}

#[test]
fn sockets_are_checked_by_degree_and_kept_whole() {
    let loaded = load_text(
        "[socket:x:socket:Web]\nport = $(circus.env.N)\nother = 1\n[socket:b]\nfamily = AF_X\n[socket:c]\ntype = sock_dgram\npath = /p\n",
    );
    let names: Vec<_> = loaded.config.sockets.iter().map(|socket| socket.name.as_str()).collect();
    assert_eq!(names, ["c", "web"]);
    assert_eq!(loaded.config.sockets[1].written["port"], "1");
    assert!(loaded.has(Degree::BrokenSection) && !loaded.has(Degree::Fatal));
    let twins = load_text("[socket:a]\nport = 1\n[socket:b]\nport = 1\n");
    assert!(
        twins.text(Degree::Fatal).contains("the socket `a` has the same address"),
        "{:?}",
        twins.mistakes
    );
    let twins = load_text("[socket:a]\nport = 1\n[socket:A]\nport = 2\n");
    assert!(twins.has(Degree::BrokenSection) && !twins.has(Degree::Fatal));
    assert_eq!(twins.config.sockets.len(), 1);
    for line in ["port = x", "port = 65536", "backlog = y", "umask = 8", "replace = z", "so_reuseport = z"] {
        assert!(load_text(&format!("[socket:a]\n{line}\n")).has(Degree::Fatal), "{line}");
    }
}

#[test]
fn plugins_need_a_class_and_keep_their_options() {
    let loaded = load_text(
        "[plugin:Flap]\nuse = circus.plugins.flapping.Flapping\nwindow = $(circus.env.N)\nname = x\n",
    );
    let plugin = &loaded.config.plugins[0];
    assert_eq!((plugin.name.as_str(), &plugin.uses), ("plugin:Flap", &Uses::Builtin(Builtin::Flapping)));
    assert_eq!((plugin.keys["window"].as_str(), plugin.keys["name"].as_str()), ("1", "plugin:Flap"));
    assert!(load_text("[plugin:a]\nwindow = 1\n").has(Degree::Fatal));
    assert!(load_text("[plugin:a]\nuse = x.Y\npriority = high\n").has(Degree::Fatal));
    let unknown = load_text("[plugin:a]\nuse = Flaping\n[plugin:b]\nuse = Flapping\nattempts = two\n");
    assert!(unknown.config.plugins.is_empty() && !unknown.has(Degree::Fatal));
}

#[test]
fn a_plugin_is_run_by_a_watcher_as_circus_runs_it() {
    let config = load_text(
        "[circus]\nloglevel = info\nlogoutput = /l/all.log\n\
         [plugin:flapping]\nuse = circus.plugins.flapping.Flapping\nmax_retry = 2\nretry_in = 2\nwindow = 3\n",
    )
    .config;
    let watcher = &config.watchers[0];
    assert_eq!(
        watcher.cmd,
        "circus-plugin --endpoint tcp://127.0.0.1:5555 --pubsub tcp://127.0.0.1:5556 \
         --config max_retry:2:::name:plugin:flapping:::retry_in:2:::window:3 --check-delay 5.0 \
         --log-level info --log-output /l/all.log circus.plugins.flapping.Flapping"
    );
    assert_eq!((watcher.name.as_str(), watcher.priority, watcher.max_retry), ("plugin:flapping", 1, Some(2)));
    assert!(watcher.singleton && watcher.copy_env && watcher.copy_path && watcher.autostart);
    assert!(watcher.close_child_stdout && watcher.close_child_stderr);
    assert!(watcher.env.as_ref().is_some_and(|env| env.contains_key("N")));
}

#[test]
fn the_watcher_of_a_plugin_follows_its_section() {
    let watcher = |text: &str| load_text(text).config.watchers.remove(0);
    let statsd = "[plugin:s]\nuse = circus.plugins.statsd.StatsdEmitter\n";
    let quoted = watcher(&format!("{statsd}application_name = my app\n"));
    assert!(quoted.cmd.contains("--config 'application_name:my app:::name:plugin:s'"), "{}", quoted.cmd);
    let json = watcher(&format!("{statsd}application_name = a:::b:c\n"));
    assert!(
        json.cmd.contains(r#"--config-json '{"application_name":"a:::b:c","name":"plugin:s"}'"#),
        "{}",
        json.cmd
    );
    assert!(!watcher(&format!("{statsd}active = off\n")).autostart);
    assert!(!watcher(&format!("{statsd}singleton = false\n")).singleton);
    let streams =
        watcher(&format!("{statsd}stdout_stream.class = FileStream\nstdout_stream.filename = /l\n"));
    assert!(!streams.close_child_stdout && streams.close_child_stderr && streams.stdout_stream.is_some());
    let debug = watcher(&format!("[circus]\ndebug = 1\nloglevel = info\n{statsd}"));
    assert!(debug.cmd.contains("--log-level DEBUG ") && !debug.close_child_stderr);
    assert_eq!(debug.stderr_stream.map(|stream| stream["class"].clone()), Some("StdoutStream".into()));
    let python = watcher(
        "[circus]\npython = /v/python\nendpoint = tcp://*:1 ipc:///c\nallow_remote = 1\n[plugin:p]\nuse = my.Class\n",
    );
    assert!(
        python.cmd.starts_with("circus-plugin --endpoint ipc:///c ")
            && python.cmd.ends_with("--python /v/python my.Class"),
        "{}",
        python.cmd
    );
}

#[test]
fn a_virtualenv_is_put_in_front_and_its_packages_behind() {
    let loaded = load_tree(&[
        ("/etc/c.ini", "[env:a]\nPYTHONPATH = /old\n[watcher:a]\ncmd = x\ncopy_env = 1\nvirtualenv = /v\n"),
        ("/v/bin/python", ""),
        ("/v/lib/python3.9/site-packages/x.py", ""),
        ("/v/lib/python3.11/site-packages/egg/x.py", ""),
        ("/v/lib/python3.11/site-packages/a.pth", "# no\nimport no\n./egg\nmissing\n../../python3.9\n"),
    ]);
    assert_eq!(loaded.text(Degree::Warning), "");
    let env = loaded.config.watchers[0].env.as_ref().expect("an environment");
    assert_eq!(env["PATH"], "/v/bin:/usr/bin");
    let site = "/v/lib/python3.11/site-packages";
    assert_eq!(env["PYTHONPATH"], format!("{site}/egg:/v/lib/python3.9:/old:{site}"));
}

#[test]
fn two_loads_are_the_same_and_differences_are_told() {
    let text = "[watcher:a]\ncmd = x\ngraceful_timeout = 2.5\nport = 1\ncopy_env = 1\n[env]\nA = 1\n";
    let (one, mut other) = (watcher(text), watcher(text));
    other.env.get_or_insert_default().insert("PS1".to_owned(), "$".to_owned());
    assert!(one.same_as(&other) && !one.differs_only_in_numprocesses(&other));
    other.numprocesses = 2;
    assert!(!one.same_as(&other) && one.differs_only_in_numprocesses(&other));
    other.cmd = "y".to_owned();
    assert!(!one.differs_only_in_numprocesses(&other));
}
