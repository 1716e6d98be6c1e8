//! Files of the kind people run: what is supported runs, what is not is named, and nothing panics.

use std::fs;

use crate::daemon::{active_of, circusd};

/// A file, what `--check` must name, its exit status, and what is active after a start.
struct Case {
    file: &'static str,
    text: &'static str,
    named: &'static [&'static str],
    good: bool,
    active: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        file: "gunicorn.ini",
        text: "[watcher:gunicorn]\ncmd = sleep 1000\nsend_hup = true\ncopy_env = True\nstop_signal = QUIT\n\
               stdout_stream.class = FileStream\nstdout_stream.filename = gunicorn.log\n\
               stdout_stream.max_bytes = 10485760\nstderr_stream.class = StdoutStream\n\
               [env:gunicorn]\nDJANGO_SETTINGS_MODULE = project.settings\nPATH = $PATH:/opt/venv/bin\n",
        named: &[],
        good: true,
        active: &["gunicorn"],
    },
    Case {
        file: "chaussette.ini",
        text: "[watcher:web]\ncmd = chaussette --fd $(circus.sockets.web) app.application\nuse_sockets = True\n\
               numprocesses = 3\n[watcher:beat]\ncmd = sleep\nargs = 1000\n\
               [socket:web]\nhost = 127.0.0.1\nport = 0\n",
        named: &["[watcher:web] cmd: there is no executable file `chaussette`"],
        good: true,
        active: &["beat"],
    },
    Case {
        file: "celery.ini",
        text: "[watcher:celery]\ncmd = sleep\nargs = $(circus.env.SECONDS)\nnumprocesses = 2\n\
               warmup_delay = 0\ngraceful_timeout = 300\nmax_age = 86400\nrlimit_nofile = 64\n\
               [watcher:celerybeat]\ncmd = sleep 1000\nsingleton = True\npriority = 2\n\
               [watcher:flower]\ncmd = sleep 1000\nautostart = False\n[env]\nSECONDS = 1000\n",
        named: &[],
        good: true,
        active: &["celery", "celerybeat"],
    },
    Case {
        file: "stats.ini",
        text: "[circus]\nstatsd = 1\nhttpd = 1\nstats_endpoint = ipc://stats\n[watcher:job]\ncmd = sleep 1000\n",
        named: &["[circus] httpd: "],
        good: true,
        active: &["circusd-stats", "job"],
    },
    Case {
        file: "flapping.ini",
        text: "[plugin:flapping]\nuse = circus.plugins.flapping.Flapping\nwindow = 10\nretry_in = 7\n\
               [watcher:job]\ncmd = sleep 1000\nflapping.max_retry = 5\nflapping.window = 3\n",
        named: &[],
        good: true,
        active: &["job", "plugin:flapping"],
    },
    Case {
        file: "hooks.ini",
        text: "[watcher:db]\ncmd = sleep 1000\nhooks.before_start = project.hooks.check, True\n\
               [watcher:cache]\ncmd = sleep 1000\nshell = True\n",
        named: &["[watcher:db] hooks.before_start: "],
        good: false,
        active: &["cache"],
    },
];

#[test]
fn files_of_the_kind_people_run_are_checked_and_started() {
    for case in CASES {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(case.file), case.text).unwrap();
        let output = circusd(directory.path()).args(["--check", case.file]).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        for name in case.named {
            assert!(said.contains(name), "{}: `{name}` is missing in\n{said}", case.file);
        }
        assert_eq!(output.status.success(), case.good, "{}:\n{said}", case.file);
        let active = active_of(case.text, case.active.len());
        assert_eq!(active, case.active, "{}", case.file);
    }
}
