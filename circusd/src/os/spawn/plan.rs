//! From a [`SpawnSpec`] to what the child can use without thinking: C strings, vectors, numbers.

use std::{
    cell::UnsafeCell,
    collections::BTreeMap,
    ffi::{CString, c_char},
    os::{fd::RawFd, unix::ffi::OsStringExt},
    path::Path,
    ptr,
    sync::atomic::AtomicI32,
};

use circus_common::config::expand::program_files;

use super::child::{Limit, Orders};
use crate::{
    arbiter::effect::{Output, SpawnSpec, Stdin},
    os::{
        account::{Identities, Identity},
        limits::{self, Descriptors},
        sockets::Handover,
    },
};

/// A spawn prepared: owns what [`Orders`] points at.
#[derive(Debug)]
pub struct Plan {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    working_dir: CString,
    limits: Vec<Limit>,
    identity: Identity,
    null: [bool; 3],
    listen_pid: Option<ListenPid>,
    gaps: Vec<(u32, u32)>,
}

/// The variable `LISTEN_PID`: only the child knows its number, and it has nowhere else to write it.
#[derive(Debug)]
struct ListenPid(Box<UnsafeCell<[u8; LISTEN_PID.len() + PID_DIGITS + 1]>>);

const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Digits of the largest pid, and more.
const PID_DIGITS: usize = 10;

impl ListenPid {
    fn new() -> Self {
        let mut text = [0; LISTEN_PID.len() + PID_DIGITS + 1];
        text[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
        Self(Box::new(UnsafeCell::new(text)))
    }

    const fn as_ptr(&self) -> *const c_char {
        self.0.get().cast_const().cast()
    }

    /// Where the digits go; behind them it is all zeros.
    const fn digits(&self) -> *mut u8 {
        self.0.get().cast::<u8>().wrapping_add(LISTEN_PID.len())
    }
}

impl Plan {
    /// Prepares a spawn.
    ///
    /// # Errors
    /// A readable text for what the system cannot take or does not know.
    pub fn new(
        spec: &SpawnSpec,
        handover: &Handover,
        identities: &Identities,
        granted: Descriptors,
    ) -> Result<Self, String> {
        let program = program(spec).ok_or("the command is empty")?;
        Ok(Self {
            candidates: candidates(program, &spec.env)?,
            argv: spec.argv.iter().map(|word| c_string(word.as_str())).collect::<Result<_, _>>()?,
            env: environment(spec, handover)?,
            working_dir: c_string(spec.working_dir.as_str())?,
            limits: limits_of(spec, granted)?,
            identity: unchanged_away(identities.find(spec.uid.as_ref(), spec.gid.as_ref())?),
            null: [spec.stdin == Stdin::Null, spec.stdout == Output::Null, spec.stderr == Output::Null],
            listen_pid: (!handover.names.is_empty()).then(ListenPid::new),
            gaps: gaps(handover),
        })
    }

    /// Lends everything to the child through `with`. What is handed over, and the ends of pipes, go before `null`.
    pub fn orders<T>(
        &self,
        (null, shares_table): (RawFd, bool),
        handover: &Handover,
        [stdout, stderr]: [Option<RawFd>; 2],
        with: impl FnOnce(&Orders<'_>) -> T,
    ) -> T {
        let candidates: Vec<_> = self.candidates.iter().map(|file| file.as_ptr()).collect();
        let (argv, mut envp) = (vector(&self.argv), vector(&self.env));
        if let Some(listen_pid) = &self.listen_pid {
            envp.insert(0, listen_pid.as_ptr());
        }
        let mut descriptors = [handover.stdin, stdout, stderr];
        for (descriptor, is_null) in descriptors.iter_mut().zip(self.null) {
            *descriptor = descriptor.or(is_null.then_some(null));
        }
        let sources = descriptors.iter().flatten().chain(handover.moves.iter().map(|(source, _)| source));
        let unneeded = sources.copied().max().map_or(3, |last| last.unsigned_abs().max(2) + 1);
        with(&Orders {
            candidates: &candidates,
            argv: argv.as_ptr(),
            envp: envp.as_ptr(),
            working_dir: self.working_dir.as_ptr(),
            descriptors,
            moves: &handover.moves,
            gaps: &self.gaps,
            unneeded,
            shares_table,
            listen_pid: self.listen_pid.as_ref().map_or(ptr::null_mut(), ListenPid::digits),
            limits: &self.limits,
            uid: self.identity.uid,
            gid: self.identity.gid,
            groups: self.identity.groups.as_deref(),
            step: AtomicI32::new(0),
            errno: AtomicI32::new(0),
            detail: AtomicI32::new(0),
        })
    }
}

/// The variables. Those of `LISTEN_FDS` are made here and nowhere else: one that was inherited would lie.
fn environment(spec: &SpawnSpec, handover: &Handover) -> Result<Vec<CString>, String> {
    let count = handover.names.len();
    let ours = |name: &str| count > 0 && matches!(name, "LISTEN_PID" | "LISTEN_FDS" | "LISTEN_FDNAMES");
    let own = spec.env.iter().filter(|(name, _)| !ours(name)).map(|(name, value)| variable(name, value));
    let mut env: Vec<CString> = own.collect::<Result<_, _>>()?;
    if count > 0 {
        env.push(variable("LISTEN_FDS", &count.to_string())?);
        env.push(variable("LISTEN_FDNAMES", &handover.names.join(":"))?);
    }
    Ok(env)
}

/// The descriptors from 3 up that are closed: all but those handed over.
fn gaps(handover: &Handover) -> Vec<(u32, u32)> {
    let mut kept: Vec<u32> = handover.moves.iter().map(|(_, target)| target.unsigned_abs()).collect();
    kept.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = 3;
    for fd in kept {
        if fd > next {
            gaps.push((next, fd - 1));
        }
        next = next.max(fd + 1);
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// The name of the program as messages show it: the executable if one is set, else the first word.
pub fn program(spec: &SpawnSpec) -> Option<&str> {
    spec.argv.first().map(|first| spec.executable.as_deref().unwrap_or(first))
}

/// A name is looked up in the PATH of the CHILD, which will be in its working directory by then.
fn candidates(program: &str, env: &BTreeMap<String, String>) -> Result<Vec<CString>, String> {
    let files = program_files(program, Path::new(""), env.get("PATH").map(String::as_str));
    files.into_iter().map(|file| c_string(file.into_os_string().into_vec())).collect()
}

/// A name with `=` in it would be read back as another variable.
fn variable(name: &str, value: &str) -> Result<CString, String> {
    if name.contains('=') {
        return Err(format!("illegal environment variable name {name:?}"));
    }
    c_string(format!("{name}={value}"))
}

fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, String> {
    // The value is not shown: it may be a secret of the environment.
    CString::new(text).map_err(|_| "embedded null byte".to_owned())
}

fn vector(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// circusd's own soft limit on descriptors was raised; its processes get the original one unless told otherwise.
fn limits_of(spec: &SpawnSpec, granted: Descriptors) -> Result<Vec<Limit>, String> {
    let mut limits = Vec::with_capacity(spec.rlimits.len() + 1);
    for (name, value) in &spec.rlimits {
        let resource = limits::resource(name).ok_or_else(|| format!("unknown rlimit '{name}'"))?;
        let value = value.unwrap_or(libc::RLIM_INFINITY);
        limits.push(Limit { resource, soft: value, hard: value });
    }
    if granted.soft != granted.hard && !limits.iter().any(|limit| limit.resource == libc::RLIMIT_NOFILE) {
        limits.push(Limit { resource: libc::RLIMIT_NOFILE, soft: granted.soft, hard: granted.hard });
    }
    Ok(limits)
}

/// Who is not root may name itself as user and group: then nothing changes, and nothing that needs rights is called.
fn unchanged_away(identity: Identity) -> Identity {
    let own_uid = nix::unistd::geteuid();
    let same_user = identity.uid.is_none_or(|uid| uid == own_uid.as_raw());
    let same_group = identity.gid.is_none_or(|gid| gid == nix::unistd::getegid().as_raw());
    if !own_uid.is_root() && same_user && same_group { Identity::default() } else { identity }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_up(program: &str, path: Option<&str>) -> Vec<String> {
        let env = path.map(|path| ("PATH".to_owned(), path.to_owned())).into_iter().collect();
        let files = candidates(program, &env).expect("no null byte");
        files.into_iter().map(|file| file.into_string().expect("text")).collect()
    }

    #[test]
    fn a_name_is_looked_up_in_the_childs_path() {
        assert_eq!(looked_up("nope", Some("/a:/b/:")), ["/a/nope", "/b/nope", "nope"]);
        assert_eq!(looked_up("nope", None), ["/bin/nope", "/usr/bin/nope"]);
        assert_eq!(looked_up("./nope", Some("/a")), ["./nope"]);
    }

    #[test]
    fn null_bytes_are_refused() {
        assert_eq!(c_string("a\0b"), Err("embedded null byte".to_owned()));
        assert_eq!(variable("A=", "1"), Err("illegal environment variable name \"A=\"".to_owned()));
    }
}
