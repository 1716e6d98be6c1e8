use std::path::{Path, PathBuf};

use circus_common::config::{self, Account, Files, HookAction, Host, Loaded};

use super::{Machine, mistakes, report_on};
use crate::arbiter::{hook::HookCandidate, stream::Outlet};

/// A machine that has everything but these names and paths.
struct Without(&'static [&'static str]);

impl Without {
    fn account(&self, account: &Account) -> Result<(), String> {
        match account {
            Account::Name(name) if self.0.contains(&name.as_str()) => Err(format!("nobody is '{name}'")),
            Account::Name(_) | Account::Id(_) => Ok(()),
        }
    }

    fn lacks(&self, path: &Path) -> bool {
        self.0.iter().any(|lacking| path == Path::new(lacking))
    }
}

impl Machine for Without {
    fn user(&self, user: &Account) -> Result<(), String> {
        self.account(user)
    }

    fn group(&self, group: &Account) -> Result<(), String> {
        self.account(group)
    }

    fn lacks_dir(&self, path: &Path) -> bool {
        self.lacks(path)
    }

    fn lacks_program(&self, path: &Path) -> bool {
        self.lacks(path)
    }

    fn stream(&self, outlet: &Outlet) -> Result<(), String> {
        let filename =
            outlet.config.written.get("filename").and_then(|name| name.as_str()).unwrap_or_default();
        if self.lacks(Path::new(filename)) { Err(format!("cannot write `{filename}`")) } else { Ok(()) }
    }

    fn hook(&self, candidate: &HookCandidate) -> Result<(), String> {
        match &candidate.place.action {
            HookAction::Python(callable) if callable == "no.such" => {
                Err("no.such cannot be called".to_owned())
            }
            HookAction::Python(_) | HookAction::Program(_) | HookAction::File(_) => Ok(()),
            HookAction::Tcp { .. } | HookAction::Http { .. } => Ok(()),
        }
    }
}

/// The report on a machine that has everything.
fn report(loaded: &Loaded) -> (String, bool) {
    report_on(loaded, &Host::default(), &Without(&[]))
}

/// One file and nothing else.
struct OneFile(String);

impl Files for OneFile {
    fn read(&self, _: &Path) -> Result<Vec<u8>, String> {
        Ok(self.0.clone().into_bytes())
    }

    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }

    fn list(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    fn is_dir(&self, _: &Path) -> bool {
        true
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }
}

pub(crate) fn loaded(text: &str) -> Loaded {
    let host = Host { cwd: PathBuf::from("/"), ..Host::default() };
    config::load(Path::new("circus.ini"), &host, &OneFile(text.to_owned()))
}

#[test]
fn the_plan_names_all_that_starts_in_its_order() {
    let (text, good) = report(&loaded(
        "[circus]\nendpoint = ipc:///run/c\nmulticast_endpoint =\n\
         [watcher:web]\ncmd = serve\nargs = --port 80\nnumprocesses = 3\n\
         [watcher:aside]\ncmd = aside\nautostart = False\n\
         [watcher:db]\ncmd = db\npriority = 10\n\
         [watcher:app]\ncmd = app\n\
         [socket:www]\nhost = localhost\nport = 8000\n",
    ));
    // What stands before it are remarks on single lines.
    let plan = text.find("endpoints:").map(|start| &text[start..]);
    assert_eq!(
        plan.unwrap(),
        "endpoints:\n\
        \x20 commands    ipc:///run/c\n\
        \x20 events      tcp://127.0.0.1:5556\n\
         watchers, in the order they start:\n\
        \x20 db   1 x db\n\
        \x20 app  1 x app\n\
        \x20 web  3 x serve --port 80\n\
         watchers that wait for `start` (autostart is off):\n\
        \x20 aside  1 x aside\n"
    );
    assert!(good);
}

#[test]
fn what_does_not_exist_yet_is_told_and_not_in_the_plan() {
    let (text, _) = report(&loaded(
        "[circus]\nhttpd = True\n[watcher:a]\ncmd = a\n\
         [socket:www]\nport = 8000\n",
    ));
    let (remarks, plan) = text.split_once("endpoints:\n").unwrap();
    assert_eq!(remarks.matches("not supported yet").count(), 1, "{remarks}");
    assert!(!plan.contains("circushttpd"), "{plan}");
}

#[test]
fn statistics_are_in_the_plan_where_they_are_on() {
    let (text, good) = report(&loaded("[circus]\nstatsd = True\n[watcher:web]\ncmd = web\n"));
    assert!(good && text.contains("\n  statistics  tcp://127.0.0.1:5557\n"), "{text}");
    let started =
        "\n  web            1 x web\n  circusd-stats  1 x circusd-stats --endpoint tcp://127.0.0.1:5555 ";
    assert!(text.contains(started), "{text}");
    assert!(!report(&loaded("[watcher:web]\ncmd = web\n")).0.contains("statistics"));
}

#[test]
fn what_the_machine_lacks_is_a_warning() {
    let file = "[watcher:a]\ncmd = serve\nuid = alice\ngid = staff\nworking_dir = /srv/a\n\
                [watcher:b]\ncmd = ./run\nworking_dir = /srv/b\n\
                [watcher:c]\ncmd = c\nexecutable = /opt/c\n\
                [watcher:d]\ncmd = serve\nshell = 1\n[env:d]\nPATH = /opt\n\
                [watcher:e]\ncmd = serve\n[env:e]\nPATH = /opt\n";
    const LACKING: [&str; 7] =
        ["alice", "staff", "/srv/a", "/bin/serve", "/usr/bin/serve", "/srv/b/run", "/opt/c"];
    let (text, good) = report_on(&loaded(file), &Host::default(), &Without(&LACKING));
    let remarks = text.split("endpoints:").next().unwrap();
    assert_eq!(
        remarks,
        "circus.ini:3: [watcher:a] uid: nobody is 'alice' (warning)\n\
         circus.ini:4: [watcher:a] gid: nobody is 'staff' (warning)\n\
         circus.ini:5: [watcher:a] working_dir: there is no directory `/srv/a` (warning)\n\
         circus.ini:2: [watcher:a] cmd: there is no executable file `serve` in the PATH of the watcher's environment (warning)\n\
         circus.ini:7: [watcher:b] cmd: there is no executable file `./run` (warning)\n\
         circus.ini:11: [watcher:c] executable: there is no executable file `/opt/c` (warning)\n"
    );
    assert!(good && text.ends_with("  e  1 x serve\n"), "{text}");
}

#[test]
fn this_machine_is_looked_at() {
    let loaded = loaded(
        "[watcher:good]\ncmd = sh\nuid = root\nworking_dir = /\n\
         [watcher:bad]\ncmd = no-such-program\nuid = no-such-user\nworking_dir = /no/such/dir\n",
    );
    let (text, good) = super::report(&loaded, &Host::default());
    assert!(good && !text.contains("[watcher:good]"), "{text}");
    assert_eq!(text.matches("[watcher:bad] ").count(), 3, "{text}");
}

#[test]
fn a_file_without_a_watcher_is_good_but_told() {
    for file in ["", "[circus]\n", "[watchers:a]\ncmd = a\n"] {
        let (text, good) = report(&loaded(file));
        assert!(good && text.contains("no watcher is in the file; "), "{text}");
    }
}

#[test]
fn two_names_that_differ_only_in_case_make_it_bad() {
    let (text, good) = report(&loaded("[watcher:web]\ncmd = a\n[watcher:Web]\ncmd = b\n"));
    assert!(!good && text.contains("`Web` and `web` differ only in case"), "{text}");
}

#[test]
fn mistakes_alone_are_the_beginning_of_the_report() {
    let loaded = loaded("[watcher:a]\ncmd = a\nnumprocesses = many\nnumproceses = 2\n");
    let text = mistakes(&loaded);
    assert_eq!(report(&loaded).0, format!("{text}nothing would start\n"));
    let degrees: Vec<_> = text.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(degrees, ["(error)", "(warning)"]);
}

#[test]
fn a_warning_does_not_make_a_file_bad() {
    let (text, good) = report(&loaded("[watcher:a]\ncmd = a\nnumproceses = 2\n"));
    assert!(good && text.starts_with("circus.ini:3: ") && text.contains("(warning)\n"), "{text}");
}

#[test]
fn a_broken_section_makes_it_bad_and_the_others_are_shown() {
    let (text, good) =
        report(&loaded("[watcher:a]\ncmd = a\nsingleton = 1\nnumprocesses = 2\n[watcher:b]\ncmd = b\n"));
    assert!(!good && text.contains("(section left out)\n") && text.contains("  b  1 x b\n"), "{text}");
}

#[test]
fn every_mistake_is_named_and_a_fatal_one_ends_the_plan() {
    let (text, good) = report(&loaded("[watcher:a]\ncmd = a\nnumprocesses = many\nstop_signal = LOUD\n"));
    assert!(!good && text.ends_with("nothing would start\n"), "{text}");
    assert!(text.contains("circus.ini:3: ") && text.contains("circus.ini:4: "), "{text}");
}

#[test]
fn no_value_moves_the_cursor() {
    let (text, _) = report(&loaded("[watcher:a]\ncmd = a \x1b[2J\n  b\n"));
    assert!(!text.contains('\x1b') && text.contains("  a  1 x a \\u{1b}[2J b\n"), "{text}");
}

#[test]
fn a_name_may_be_of_any_length() {
    let name = "n".repeat(70_000);
    let (text, good) = report(&loaded(&format!("[watcher:{name}]\ncmd = a\n[watcher:b]\ncmd = b\n")));
    assert!(good && text.contains(&format!("  {name}  1 x a\n")) && text.contains("1 x b\n"));
}

#[test]
fn a_hook_that_cannot_be_had_leaves_its_watcher_out() {
    let file = "[watcher:good]\ncmd = good\nhooks.before_start = is.there\n\
                [watcher:bad]\ncmd = bad\nhooks.before_start = no.such\n";
    let (text, good) = report(&loaded(file));
    let line =
        "circus.ini:6: [watcher:bad] hooks.before_start: no.such cannot be called (section left out)\n";
    assert!(!good && text.contains(line) && !text.contains("1 x bad"), "{text}");
}

#[test]
fn a_stream_that_cannot_be_had_leaves_its_watcher_out() {
    let file = "[watcher:good]\ncmd = good\nstdout_stream.filename = /log\n\
                [watcher:bad]\ncmd = bad\nstdout_stream.filename = /nowhere\n";
    let (text, good) = report_on(&loaded(file), &Host::default(), &Without(&["/nowhere"]));
    assert!(!good);
    assert!(
        text.contains(
            "circus.ini:6: [watcher:bad] stdout_stream: cannot write `/nowhere` (section left out)\n"
        ),
        "{text}"
    );
    assert!(text.contains("  good  1 x good\n") && !text.contains("1 x bad"), "{text}");
}
