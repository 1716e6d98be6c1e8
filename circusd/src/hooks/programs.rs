//! Programs as hooks: started for one question, told what it is about, and gone with the answer.

use std::{collections::BTreeMap, io, os::unix::net::UnixStream};

use tokio::io::AsyncWriteExt;

use crate::{
    arbiter::{
        Input,
        effect::SpawnSpec,
        hook::Verdict,
        id::{HookId, ProcessId},
        input::Exit,
    },
    helpers::HELPERS,
    os::Os,
};

/// The `wid` in the names of such processes.
pub(super) const PROGRAMS: u32 = 2;

/// The exit status that means "not now": EX_TEMPFAIL of sysexits.
const NOT_NOW: i32 = 75;

/// One program.
#[derive(Debug)]
struct Program {
    hook: HookId,
    life: Life,
}

#[derive(Debug)]
enum Life {
    /// The spawn is under way; this is what it will be told.
    Spawning { socket: UnixStream, context: Vec<u8> },
    /// It works.
    Running,
    /// Nobody wants its answer.
    Unwanted,
}

/// All programs that work on a question.
#[derive(Debug, Default)]
pub(super) struct Programs {
    all: BTreeMap<ProcessId, Program>,
    count: u64,
}

impl Programs {
    /// Starts a program.
    ///
    /// # Errors
    /// When no socket is to be had.
    pub fn start(
        &mut self,
        os: &mut Os,
        hook: HookId,
        spec: Box<SpawnSpec>,
        context: Vec<u8>,
    ) -> Result<ProcessId, String> {
        let pair = UnixStream::pair().and_then(|(ours, theirs)| {
            ours.set_nonblocking(true)?;
            Ok((ours, theirs))
        });
        let (socket, theirs) = pair.map_err(|error| format!("cannot make a socket: {error}"))?;
        self.count += 1;
        let process = ProcessId { generation: self.count, watcher: HELPERS, wid: PROGRAMS };
        self.all.insert(process, Program { hook, life: Life::Spawning { socket, context } });
        os.spawn_helper(process, spec, theirs.into());
        Ok(process)
    }

    /// Takes in what happened to a program's process; tells what it has answered.
    pub fn take(&mut self, os: &mut Os, input: Input) -> Option<(HookId, Verdict)> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "only these are about helpers")]
        match input {
            Input::Spawned { process, .. } => {
                let program = self.all.get_mut(&process)?;
                match std::mem::replace(&mut program.life, Life::Running) {
                    Life::Spawning { socket, context } => {
                        tokio::spawn(tell(socket, context));
                    }
                    unwanted @ (Life::Running | Life::Unwanted) => {
                        program.life = unwanted;
                        os.kill_group(process);
                    }
                }
                None
            }
            Input::SpawnFailed { process, failure } => {
                let program = self.all.remove(&process)?;
                program.answer(Verdict::Failed(failure.text))
            }
            Input::Exited { process, exit, .. } => {
                os.forget(process);
                let program = self.all.remove(&process)?;
                program.answer(verdict(exit))
            }
            _ => None,
        }
    }

    /// Nobody wants this one's answer any more.
    pub fn end(&mut self, os: &mut Os, process: ProcessId) {
        let Some(program) = self.all.get_mut(&process) else { return };
        // One that is being spawned is killed when it has come.
        if let Life::Running = std::mem::replace(&mut program.life, Life::Unwanted) {
            os.kill_group(process);
        }
    }

    /// The same for all of them.
    pub fn end_all(&mut self, os: &mut Os) {
        let all: Vec<ProcessId> = self.all.keys().copied().collect();
        all.into_iter().for_each(|process| self.end(os, process));
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

impl Program {
    fn answer(self, verdict: Verdict) -> Option<(HookId, Verdict)> {
        match self.life {
            Life::Spawning { .. } | Life::Running => Some((self.hook, verdict)),
            Life::Unwanted => None,
        }
    }
}

fn verdict(exit: Exit) -> Verdict {
    match exit {
        Exit::Code(0) => Verdict::Yes,
        Exit::Code(NOT_NOW) => Verdict::NotNow,
        Exit::Code(_) => Verdict::No,
        Exit::Signal(_) => Verdict::Failed(format!("it {exit}")),
    }
}

/// Writes the context and closes; a program need not read it.
async fn tell(socket: UnixStream, context: Vec<u8>) -> io::Result<()> {
    let mut socket = tokio::net::UnixStream::from_std(socket)?;
    socket.write_all(&context).await?;
    socket.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_is_an_answer_and_a_signal_is_none() {
        assert_eq!(verdict(Exit::Code(0)), Verdict::Yes);
        assert_eq!(verdict(Exit::Code(75)), Verdict::NotNow);
        assert_eq!(verdict(Exit::Code(1)), Verdict::No);
        assert_eq!(verdict(Exit::Signal(9)), Verdict::Failed("it was ended by SIGKILL".to_owned()));
    }
}
