//! The runs: contenders alternate, and each goes through all scenarios of a layout on one daemon.
//!
//! Invariant: what fails in one scenario is noted there; the next one finds a fresh daemon.

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    cli::Options,
    contender::{self, Contender, Layout, Name},
    failure::Failure,
    guard, machine,
    place::Place,
    plot,
    report::{self, Circumstances},
    scenario::{self, Scenario},
    session::Session,
    sheet::Sheet,
    tree,
};

/// How long the daemon is left alone.
const IDLE: Duration = Duration::from_secs(30);
/// The same where it has to be quick.
const QUICK_IDLE: Duration = Duration::from_secs(5);
/// All contenders.
const EVERYBODY: [Name; 4] = [Name::Circusd, Name::Circus, Name::Supervisor, Name::Limit];

/// Measures, and prints what came out.
///
/// # Errors
/// The benchmark itself cannot go on; a contender that fails is no error.
pub fn run(folder: PathBuf, options: &Options) -> Result<(), Failure> {
    guard::follow(folder.clone());
    tree::adopt_orphans()?;
    raise_descriptors(u64::from(options.processes.iter().copied().max().unwrap_or_default()))?;
    let runs = if options.quick { 1 } else { usize::from(options.runs) };
    let idle = if options.quick { QUICK_IDLE } else { IDLE };
    let limit = Duration::from_secs(u64::from(options.limit));
    let place = Place::new(folder, limit, idle)?;
    let scenarios = chosen(&options.scenarios)?;
    if !options.no_build {
        build(&place)?;
    }
    let contenders = contender::available(&names(options), &place);
    let versions =
        contenders.iter().map(|it| Ok((it.name(), it.version()?))).collect::<Result<_, Failure>>()?;
    let (date, load, commit) = (machine::date(), machine::load(), machine::commit());
    let mut sheets = Vec::new();
    for (index, processes) in options.processes.iter().map(|it| usize::from(*it)).enumerate() {
        let place = Place { processes, ..place.clone() };
        let mut sheet = Sheet::default();
        for run in 1..=runs {
            for layout in Layout::ALL {
                // The flood is alone, whatever the number.
                if index > 0 && layout == Layout::Capture {
                    continue;
                }
                let some = scenarios.iter().any(|it| it.layouts().contains(&layout));
                for contender in contenders.iter().filter(|it| some && it.can(layout)) {
                    let (who, layout_title) = (contender.name().title(), layout.title());
                    eprintln!("bench: {processes} processes, run {run} of {runs}: {who}, {layout_title}");
                    go_through(&place, &**contender, layout, &scenarios, &mut sheet)?;
                }
            }
        }
        sheets.push((processes, sheet));
    }
    let command = command_line();
    let machine = machine::line();
    let load = [load, machine::load()];
    let circumstances = Circumstances { date, machine, load, command, commit, versions, runs };
    let picture = options.write.as_ref().map(|file| file.with_extension("svg"));
    let plot = picture.as_ref().and_then(|it| it.file_name()?.to_str());
    let page = report::render(&circumstances, &sheets, &scenarios, plot);
    print!("{page}");
    if let (Some(file), Some(picture)) = (&options.write, &picture) {
        fs::write(file, &page)?;
        fs::write(picture, plot::render(&circumstances, &sheets, &scenarios))?;
    }
    Ok(())
}

/// A descriptor for each process is ours, several are a contender's: the same limit for all, as far as the hard one goes.
fn raise_descriptors(processes: u64) -> Result<(), Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = processes * 8 + 1024;
    let wanted = maximum.map_or(wanted, |it| it.min(wanted));
    if current.is_some_and(|it| it < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })?;
    }
    Ok(())
}

/// All that are wanted, each once and in the order of the columns.
fn names(options: &Options) -> Vec<Name> {
    let wanted: BTreeSet<Name> = match options.contenders.as_slice() {
        [] => EVERYBODY.into(),
        some => some.iter().copied().collect(),
    };
    wanted.into_iter().collect()
}

fn chosen(names: &[String]) -> Result<Vec<&'static dyn Scenario>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !scenario::ALL.iter().any(|it| it.name() == **name)) {
        return Err(Failure::Broken(format!("there is no scenario `{unknown}`; see --help")));
    }
    let wanted = |it: &&dyn Scenario| names.is_empty() || names.iter().any(|name| name == it.name());
    Ok(scenario::ALL.into_iter().filter(wanted).collect())
}

/// All scenarios of one layout, on one daemon as long as all goes well.
fn go_through(
    place: &Place,
    contender: &dyn Contender,
    layout: Layout,
    scenarios: &[&dyn Scenario],
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let name = contender.name();
    // The flood is alone.
    let processes = if layout == Layout::Capture { 1 } else { place.processes };
    let place = &Place { processes, ..place.clone() };
    let mut session: Option<Session<'_>> = None;
    for scenario in scenarios.iter().filter(|it| it.layouts().contains(&layout) && it.applies(name)) {
        let launched = match session.take() {
            Some(session) => Ok(session),
            None => Session::launch(place, contender, layout),
        };
        let outcome = launched.and_then(|launched| scenario.measure(session.insert(launched)));
        if let Err(failure) = &outcome {
            eprintln!("bench: {}, {}, {}: {failure}", name.title(), layout.title(), scenario.name());
            session = None;
        }
        scenario::record(sheet, *scenario, layout, name, &outcome);
    }
    drop(session);
    tree::end_all()
}

/// Builds what is measured in the profile of this program, so that nothing stale is.
#[expect(clippy::disallowed_methods, reason = "a benchmark runs programs")]
fn build(place: &Place) -> Result<(), Failure> {
    // Without cargo around us there is nothing to build with: then everything lies here already.
    let Some(cargo) = env::var_os("CARGO") else { return Ok(()) };
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "circusd", "-p", "circus-stats", "-p", "circus-bench", "--bins"]);
    if place.bench.parent().is_some_and(|folder| folder.ends_with("release")) {
        command.arg("--release");
    }
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(Failure::Broken(format!("cannot build what is measured: {status}"))),
    }
}

/// The command as one would type it.
fn command_line() -> String {
    // The program, the helper's name and the run folder come first.
    let arguments: Vec<String> = env::args().skip(3).collect();
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    let start = format!("cargo run{profile} -p circus-bench");
    if arguments.is_empty() { start } else { format!("{start} -- {}", arguments.join(" ")) }
}
