//! circusd: arguments to exit code, nothing else.

use std::{
    env,
    error::Error,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use circus_common::{
    Disk, ErrorChain, complain,
    config::{self, Config, Degree, Host, Loaded},
};
use circusd::{
    arbiter::Departure,
    check,
    cli::{self, Action, RunOptions},
    daemon::{Birth, Daemon, Live, log_settings, set_umask},
    log,
    os::{
        daemonize::{Readiness, daemonize},
        limits, memory,
        pidfile::PidfileError,
        slots::StateDir,
        sockets::Inherited,
        title,
    },
    readiness::ServiceManager,
    starter,
};
use tracing::{info, warn};

fn main() -> ExitCode {
    title::set();
    memory::share_heaps();
    if let Err(error) = limits::survive_large_files() {
        complain("circusd", &format_args!("cannot ignore SIGXFSZ: {error}"));
        return ExitCode::FAILURE;
    }
    let done = match cli::parse(env::args_os()) {
        Ok(Action::Print(text)) => print(&text),
        Ok(Action::Init(path)) => init(path.as_deref()),
        Ok(Action::Check(path)) => return check(&path),
        Ok(Action::Run(options)) => return run(options),
        Err(usage) => usage.exit(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain("circusd", &ErrorChain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> Result<(), Box<dyn Error>> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn init(path: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let text = starter::text(&StateDir::standard());
    match path {
        Some(path) => starter::write(path, &text)?,
        None => print(&text)?,
    }
    Ok(())
}

fn check(path: &Path) -> ExitCode {
    if let Err(error) = cli::config_exists(path) {
        complain("circusd", &error);
        return ExitCode::FAILURE;
    }
    let host = match host() {
        Ok(host) => host,
        Err(code) => return code,
    };
    let (text, good) = check::report(&load(path, &host), &host);
    // A reader that has gone away does not make the file any worse.
    let _ = io::stdout().write_all(text.as_bytes());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(options: RunOptions) -> ExitCode {
    if let Err(error) = cli::config_exists(&options.config) {
        complain("circusd", &error);
        return ExitCode::FAILURE;
    }
    // Both before any thread: what is taken out of the environment must not be seen, and a fork loses threads.
    let manager = ServiceManager::take();
    let inherited = Inherited::take();
    let host = match host() {
        Ok(host) => host,
        Err(code) => return code,
    };
    let loaded = load(&options.config, &host);
    if loaded.has(Degree::Fatal) {
        _ = io::stderr().write_all(check::mistakes(&loaded).as_bytes());
        return ExitCode::FAILURE;
    }
    let mut readiness = Readiness::foreground();
    if options.daemon {
        let keep: Vec<_> = inherited.iter().map(Inherited::number).collect();
        readiness = match daemonize(&keep) {
            Ok(readiness) => readiness,
            Err(error) => {
                complain("circusd", &ErrorChain(&error));
                return ExitCode::FAILURE;
            }
        };
    }
    let daemon = options.daemon;
    match serve(options, (manager, inherited), host, loaded, &mut readiness) {
        Ok(()) => ExitCode::SUCCESS,
        // Circus says this on stdout, without its name, and scripts look there.
        Err(error) if !daemon && error.is::<PidfileError>() => {
            _ = writeln!(io::stdout(), "{}", ErrorChain(error.as_ref()));
            ExitCode::FAILURE
        }
        Err(error) => {
            readiness.failed(&ErrorChain(error.as_ref()).to_string(), 1);
            ExitCode::FAILURE
        }
    }
}

/// The runtime of the decision thread. Its loop always has something to do in a storm, and the default of tokio is to
/// look at sockets only after 61 such turns: here a client's request is seen after the turn it came in.
fn decision_thread() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build()
}

/// Lives through as many lives of the daemon as there are restarts in place.
fn serve(
    options: RunOptions,
    (manager, inherited): (ServiceManager, Vec<Inherited>),
    host: Host,
    loaded: Loaded,
    readiness: &mut Readiness,
) -> Result<(), Box<dyn Error>> {
    let circus = &loaded.config.circus;
    // Before the log is opened: its file is to have this mask too.
    set_umask(circus.umask);
    let log_options = options.log.or(&log_settings(circus));
    let log = log::start(&log_options)?;
    report(&loaded);
    let live = Live::new(options.log, log.clone(), options.pidfile, manager, circus, inherited);
    let live = live.map_err(|error: PidfileError| Box::new(error) as Box<dyn Error>);
    let runtime = decision_thread()?;
    let mut live = match live {
        Ok(live) => live,
        Err(error) => {
            log.flush();
            return Err(error);
        }
    };
    info!("Starting master on pid {}", std::process::id());
    let mut config = loaded.config;
    loop {
        let birth = Birth { config, file: options.config.clone(), host: host.clone() };
        let life = runtime.block_on(async {
            let daemon = Daemon::start(birth, live).await?;
            readiness.ready()?;
            Ok::<_, Box<dyn Error>>(daemon.run().await)
        });
        let (departure, kept) = match life {
            Ok(life) => life,
            Err(error) => {
                // Whoever sees stderr is told once, by `main`.
                if log_options.is_file() {
                    tracing::error!("{}", ErrorChain(error.as_ref()));
                }
                log.flush();
                return Err(error);
            }
        };
        live = kept;
        match departure {
            Departure::Quit => break,
            Departure::Restart(next) => {
                config = restarted(&mut live, *next);
            }
        }
    }
    live.end();
    // A file system that hangs under the configuration holds up its reader, not the end.
    runtime.shutdown_background();
    Ok(())
}

/// The settings of the process follow the configuration of its next life.
fn restarted(live: &mut Live, config: Config) -> Config {
    live.apply(&config.circus);
    info!("Restarting in place");
    config
}

/// What is wrong with the file and does not keep the daemon from starting.
fn report(loaded: &Loaded) {
    for mistake in &loaded.mistakes {
        match mistake.degree {
            Degree::Warning => warn!("{mistake}"),
            Degree::BrokenSection | Degree::Fatal => tracing::error!("{mistake}; the section is left out"),
        }
    }
}

fn load(path: &Path, host: &Host) -> Loaded {
    config::load(path, host, &Disk)
}

/// The environment and directory as the configuration may use them. Without a directory nothing could be run that
/// names none of its own, and like Circus circusd does not begin.
fn host() -> Result<Host, ExitCode> {
    let cwd = env::current_dir().map_err(|error| {
        complain(
            "circusd",
            &format_args!("the directory it is started in is gone: start it in one that exists ({error})"),
        );
        ExitCode::FAILURE
    })?;
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let programs = env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned()));
    Ok(Host { env: env::vars_os().filter_map(utf8).collect(), cwd, programs: programs.unwrap_or_default() })
}
