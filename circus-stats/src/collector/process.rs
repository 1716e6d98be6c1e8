//! One process as it is followed from round to round.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    time::Duration,
};

use circus_common::{
    figures::{rounded, size_text, time_text},
    os::procfs::Stat,
};
use rustix::io::Errno;

use super::{
    machine::{Machine, monotonic, wall},
    rare::Rare,
};
use crate::streamer::Member;

/// Two looks closer than this say nothing: the kernel counts in ticks of 10 ms.
const SHORTEST: Duration = Duration::from_millis(50);

/// After a longer pause, such as one without listeners, the next look counts as the first.
const LONGEST: Duration = Duration::from_secs(5);

/// Rounds from one look at what costs more to the next.
const RARELY: u64 = 10;

/// No line of `/proc/PID/stat` is longer.
const LINE: usize = 1024;

/// What one round finds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// It runs.
    Alive(Box<Figures>),
    /// It may be running, but we are not allowed to read its figures.
    Denied,
    /// It has ended, or was not there yet; a zombie counts as gone, as in Circus.
    Gone {
        /// Rounds in a row.
        rounds: u32,
    },
}

/// The figures of a process that runs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    /// Resident memory in bytes.
    pub rss: u64,
    /// Virtual memory in bytes.
    pub vms: u64,
    /// Percent of one processor since the last round.
    pub cpu: f64,
    /// Percent of the machine's memory.
    pub memory: f64,
    /// Processor time as Circus writes it.
    pub time: String,
    /// Its nice value.
    pub nice: i64,
    /// When it was started, in seconds since the epoch.
    pub created: f64,
    /// Seconds since.
    pub age: f64,
    /// How many threads it has.
    pub threads: u64,
    /// What is read rarely.
    pub rare: Rare,
}

impl Figures {
    /// Resident and virtual memory as Circus writes them.
    pub(super) fn sizes(&self) -> [String; 2] {
        [size_text(self.rss), size_text(self.vms)]
    }
}

/// A process under observation.
#[derive(Debug)]
pub(super) struct Process {
    member: Member,
    source: Source,
    /// Processor time at the last round.
    before: Option<(u64, Duration)>,
    rare: Option<Rare>,
    /// By how many pages the kernel's quick count of resident memory was off then. It hardly changes while a process
    /// is at rest, and matters little while it grows.
    correction: i64,
    /// What it ran at the last look at what is read rarely.
    image: Image,
    read_in: u64,
    gone: u32,
}

/// Where its figures are read.
#[derive(Debug)]
enum Source {
    /// Nowhere yet.
    New,
    /// From a descriptor that only it can stand behind.
    Kept(File),
    /// From the file system each time, since too many descriptors are kept: then its start tells it from others.
    Path { start: u64 },
    /// It is no more.
    Ended,
}

impl Process {
    /// A process that was not looked at so far.
    pub(super) const fn new(member: Member) -> Self {
        Self {
            member,
            source: Source::New,
            before: None,
            rare: None,
            correction: 0,
            image: Image { command: [0; 16], stack: 0 },
            read_in: 0,
            gone: 0,
        }
    }

    /// Whether it is that one, and not an earlier process of its number.
    pub(super) fn is(&self, member: &Member) -> bool {
        self.member.birth == member.birth
    }

    /// Whether a descriptor is kept for it.
    pub(super) const fn is_kept(&self) -> bool {
        matches!(self.source, Source::Kept(_))
    }

    /// Whether it was asked for in that round.
    pub(super) const fn was_read_in(&self, round: u64) -> bool {
        self.read_in == round
    }

    /// Looks at it.
    pub(super) fn read(&mut self, round: u64, machine: &mut Machine) -> Reading {
        self.read_in = round;
        let mut line = [0; LINE];
        match self.line(&mut line, machine) {
            Ok(length) => {
                let line = &line[..length];
                match Stat::parse(self.member.pid, line) {
                    Some(stat) if stat.lives() && self.is_same(&stat) => {
                        self.gone = 0;
                        Reading::Alive(Box::new(self.figures(&stat, Image::of(&stat, line), machine)))
                    }
                    Some(_) | None => self.ended(),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Reading::Denied,
            Err(_) => {
                machine.give_back(self);
                self.source = Source::Ended;
                self.ended()
            }
        }
    }

    fn ended(&mut self) -> Reading {
        self.gone = self.gone.saturating_add(1);
        Reading::Gone { rounds: self.gone }
    }

    /// Reads the line of `/proc/PID/stat`: one system call from the second time on.
    fn line(&mut self, line: &mut [u8], machine: &mut Machine) -> io::Result<usize> {
        let open = |pid| File::open(format!("/proc/{pid}/stat"));
        match &self.source {
            Source::Kept(file) => file.read_at(line, 0),
            Source::Path { .. } => open(self.member.pid)?.read(line),
            Source::Ended => Err(Errno::SRCH.into()),
            Source::New => {
                let mut file = open(self.member.pid)?;
                let length = file.read(line)?;
                self.source = match Stat::parse(self.member.pid, &line[..length]) {
                    Some(_) if machine.take_place() => Source::Kept(file),
                    Some(stat) => Source::Path { start: stat.start },
                    None => Source::Ended,
                };
                Ok(length)
            }
        }
    }

    const fn is_same(&self, stat: &Stat) -> bool {
        match self.source {
            Source::Path { start } => start == stat.start,
            Source::New | Source::Kept(_) | Source::Ended => true,
        }
    }

    fn figures(&mut self, stat: &Stat, image: Image, machine: &mut Machine) -> Figures {
        let rare = self.rare(stat, image, machine);
        let rss = machine.bytes(stat.rss.saturating_add_signed(self.correction));
        let created = machine.created(stat.start);
        Figures {
            rss,
            vms: stat.vsize,
            cpu: self.cpu(stat.cpu, monotonic(), machine),
            memory: machine.memory_percent(rss),
            time: time_text(stat.cpu, machine.ticks()),
            nice: stat.nice,
            created,
            age: rounded((wall() - created).max(0.0), 1000.0),
            threads: stat.threads,
            rare,
        }
    }

    /// What is read rarely, from now or from before.
    fn rare(&mut self, stat: &Stat, image: Image, machine: &mut Machine) -> Rare {
        let pid = self.member.pid;
        // Spread over the rounds, so that each of them costs the same.
        let due = self.read_in.wrapping_add(u64::from(pid.unsigned_abs())).is_multiple_of(RARELY);
        if let Some(rare) = &self.rare
            && image == self.image
            && !due
            // In the middle of an exec there is no command line yet.
            && rare.program.is_some()
        {
            return rare.clone();
        }
        let rare = Rare::read(pid, machine);
        self.correction =
            rare.resident.map_or(0, |exact| exact.cast_signed().saturating_sub(stat.rss.cast_signed()));
        self.image = image;
        self.rare = Some(rare.clone());
        rare
    }

    /// Percent of one processor since the last round; 0 in the first.
    fn cpu(&mut self, ticks: u64, now: Duration, machine: &Machine) -> f64 {
        let before = self.before.replace((ticks, now));
        let Some((earlier, at)) = before else { return 0.0 };
        let passed = now.saturating_sub(at);
        if passed < SHORTEST {
            self.before = before;
        }
        if (SHORTEST..LONGEST).contains(&passed) {
            machine.cpu_percent(ticks.saturating_sub(earlier), passed)
        } else {
            0.0
        }
    }
}

/// What tells that a process runs another program than before: an exec changes the name or, to a program of the same
/// name, the place of the stack. A line that is written in the middle of an exec may have the new name beside the old
/// memory, so the name alone is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Image {
    command: [u8; 16],
    stack: u64,
}

impl Image {
    fn of(stat: &Stat, line: &[u8]) -> Self {
        Self { command: command(line), stack: stat.stack }
    }
}

/// The name between the parentheses, which the kernel cuts at 15 bytes.
fn command(line: &[u8]) -> [u8; 16] {
    let mut command = [0; 16];
    let open = line.iter().position(|byte| *byte == b'(');
    let close = line.iter().rposition(|byte| *byte == b')');
    if let (Some(open), Some(close)) = (open, close)
        && let Some(name) = line.get(open + 1..close)
    {
        command.iter_mut().zip(name).for_each(|(to, from)| *to = *from);
    }
    command
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        #[expect(clippy::disallowed_methods, reason = "a test runs programs")]
        fn start() -> Self {
            Self(Command::new("sleep").arg("1000").spawn().unwrap())
        }

        fn member(&self) -> Member {
            Member { pid: i32::try_from(self.0.id()).unwrap(), birth: 1, name: None }
        }

        #[expect(clippy::disallowed_methods, reason = "a test ends what it started")]
        fn end(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Drop for Sleeper {
        #[expect(clippy::disallowed_methods, reason = "a test ends what it started")]
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn alive(reading: Reading) -> Figures {
        match reading {
            Reading::Alive(figures) => *figures,
            other @ (Reading::Denied | Reading::Gone { .. }) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_real_process_is_read_until_it_has_ended() {
        for mut machine in [Machine::look(), Machine::without_places()] {
            let mut sleeper = Sleeper::start();
            let mut process = Process::new(sleeper.member());
            // Its exec may be under way at the first looks; `spawn` waits for its success, not for its end.
            let figures = (1..1_000_000)
                .map(|round| alive(process.read(round, &mut machine)))
                .find(|figures| figures.rss > 0 && figures.vms >= figures.rss)
                .expect("the memory of a program that runs");
            assert_eq!(figures.threads, 1, "{figures:?}");
            assert!(figures.age < 60.0, "{figures:?}");
            alive(process.read(2, &mut machine));
            sleeper.end();
            assert_eq!(process.read(3, &mut machine), Reading::Gone { rounds: 1 });
            assert_eq!(process.read(4, &mut machine), Reading::Gone { rounds: 2 });
            assert!(!process.is_kept());
        }
    }

    #[test]
    fn a_zombie_is_gone() {
        let mut sleeper = Sleeper::start();
        let (mut machine, mut process) = (Machine::look(), Process::new(sleeper.member()));
        sleeper.0.kill().unwrap();
        // The kill has been sent, not yet carried out.
        while matches!(process.read(1, &mut machine), Reading::Alive(_)) {
            std::thread::yield_now();
        }
        assert!(matches!(process.read(2, &mut machine), Reading::Gone { .. }));
    }

    #[test]
    fn without_places_another_process_of_that_number_is_not_taken_for_it() {
        let sleeper = Sleeper::start();
        let (mut machine, mut process) = (Machine::without_places(), Process::new(sleeper.member()));
        alive(process.read(1, &mut machine));
        process.source = Source::Path { start: 1 };
        assert_eq!(process.read(2, &mut machine), Reading::Gone { rounds: 1 });
    }

    #[test]
    fn processor_time_is_percent_since_the_last_look_and_zero_at_the_first() {
        let machine = Machine::look();
        let mut process = Process::new(Member { pid: 1, birth: 0, name: None });
        let second = machine.ticks();
        let mut cpu = |ticks, millis| process.cpu(ticks, Duration::from_millis(millis), &machine);
        let looks = [
            (cpu(second, 1_000), 0.0),
            (cpu(second * 3 / 2, 2_000), 50.0),
            // Too close to say anything: the next one counts from before.
            (cpu(second * 3 / 2, 2_010), 0.0),
            (cpu(second * 5 / 2, 3_000), 100.0),
            // Nobody listened for a while.
            (cpu(second * 60, 100_000), 0.0),
            (cpu(second * 64, 101_000), 400.0),
        ];
        for (found, wanted) in looks {
            assert!((found - wanted).abs() < f64::EPSILON, "{found} {wanted}");
        }
    }

    #[test]
    fn the_name_may_hold_anything() {
        assert_eq!(&command(b"7 (a) b) S 1")[..4], b"a) b");
        for strange in [&b""[..], b"(", b")(", b"7 () S"] {
            assert_eq!(command(strange), [0; 16]);
        }
    }
}
