//! Where a program is looked for: in the PATH of the process that is to run it, from that process's directory.

use std::path::{Path, PathBuf};

/// The PATH of an environment that has none.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The files that are tried in turn. A name with a slash is taken as it is; an empty entry of `path` is the directory.
#[must_use]
pub fn program_files(program: &str, directory: &Path, path: Option<&str>) -> Vec<PathBuf> {
    if program.contains('/') {
        return vec![directory.join(program)];
    }
    path.unwrap_or(DEFAULT_PATH).split(':').map(|entry| directory.join(entry).join(program)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_up(program: &str, directory: &str, path: Option<&str>) -> Vec<String> {
        let files = program_files(program, Path::new(directory), path);
        files.iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn a_name_is_looked_up_in_the_path() {
        assert_eq!(
            looked_up("nope", "/srv", Some("/a:/b/:bin:")),
            ["/a/nope", "/b/nope", "/srv/bin/nope", "/srv/nope"]
        );
        assert_eq!(looked_up("nope", "/srv", None), ["/bin/nope", "/usr/bin/nope"]);
        assert_eq!(looked_up("./nope", "/srv", Some("/a")), ["/srv/./nope"]);
    }
}
