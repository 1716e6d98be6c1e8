//! Where the programs under test are: beside the test itself, as cargo lays them down.
//!
//! `cargo test --workspace` builds them before any test runs, for each of their packages has tests of its own
//! program: cargo builds no program without. `cargo test -p circus-tests` does not, so a program that is missing
//! or older than its sources is built here, once, with the profile the tests have.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// The programs, their packages and where these lie.
const PROGRAMS: [(&str, &str, &str); 6] = [
    ("circusd", "circusd", "circusd"),
    ("circusctl", "circusctl", "circusctl"),
    ("circus-plugin", "circus-plugin", "circus-plugin"),
    ("circusd-stats", "circus-stats", "circus-stats"),
    ("circus-top", "circus-top", "circus-top"),
    ("own-plugin", "own-plugin", "examples/own-plugin"),
];

/// The path of circusd, circusctl, circus-plugin, circusd-stats, circus-top or the example of a plugin.
///
/// # Panics
/// When it is not there and cannot be built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(folder).join(name)
}

fn folder() -> PathBuf {
    if let Some(folder) = env::var_os("CIRCUS_BIN_DIR") {
        return folder.into();
    }
    let test = env::current_exe().expect("a test knows where it is");
    // target/PROFILE/deps/TEST
    let folder = test.ancestors().nth(2).expect("cargo puts tests two folders deep").to_owned();
    let sources = |of: &str| newest(&workspace().join(of).join("src"));
    let common = sources("common");
    // Each beside its own sources: cargo leaves alone what a change does not concern.
    let is_old =
        |(program, _, of): (&str, &str, &str)| modified(&folder.join(program)) < sources(of).max(common);
    if PROGRAMS.into_iter().any(is_old) {
        build(&folder);
    }
    folder
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace")
}

fn build(folder: &Path) {
    eprintln!("building the programs: they are missing in {} or out of date", folder.display());
    let profile = if folder.ends_with("release") { "release" } else { "test" };
    let target = folder.parent().expect("cargo puts profiles into the target folder");
    let done = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--bins", "--profile", profile])
        .args(PROGRAMS.iter().flat_map(|(_, package, _)| ["--package", package]))
        .arg("--target-dir")
        .arg(target)
        .current_dir(workspace())
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "the programs cannot be built: run `cargo build --workspace`, or set CIRCUS_BIN_DIR to where it is"
    );
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries
        .filter_map(|entry| {
            let path = entry.path();
            if path.is_dir() { newest(&path) } else { modified(&path) }
        })
        .max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|found| found.modified()).ok()
}
