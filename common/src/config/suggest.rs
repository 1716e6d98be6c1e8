//! Did you mean: which known name a misspelt one was meant to be.

/// How many wrong letters are taken for a slip of the finger.
const MAX_DISTANCE: usize = 2;

/// The known name nearest to `key`, if it is near enough. Names in another case are always near.
///
/// Free-form keys are legal, so short names are compared strictly: `pid` was not meant to be `uid`.
pub(super) fn nearest<'n>(key: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = key.to_lowercase();
    // Each letter too many is a slip of its own; and comparing takes the time of both lengths multiplied.
    let about_as_long = |name: &&str| name.len().abs_diff(key.len()) <= MAX_DISTANCE;
    let near = names.filter(|name| *name != key).filter(about_as_long).filter_map(|name| {
        let distance = strsim::osa_distance(&lower, &name.to_lowercase());
        let allowed = match name.len() {
            0..=2 => 0,
            3 if same_letters(&lower, name) => 1,
            3 => 0,
            4 | 5 => 1,
            _ => MAX_DISTANCE,
        };
        (distance <= allowed).then_some((distance, name))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Whether only the order differs.
fn same_letters(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(one) == sorted(other)
}

/// `; did you mean ...?`, or nothing.
pub(super) fn hint<'n>(key: &str, names: impl Iterator<Item = &'n str>) -> String {
    nearest(key, names).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_left_alone() {
        const NAMES: [&str; 6] = ["cmd", "uid", "args", "shell", "numprocesses", "max_retry"];
        for (key, name) in [
            ("numproceses", Some("numprocesses")),
            ("NumProcesses", Some("numprocesses")),
            ("max-retry", Some("max_retry")),
            ("shel", Some("shell")),
            ("arg", Some("args")),
            ("cdm", Some("cmd")),
            ("Cmd", Some("cmd")),
            ("pid", None),
            ("hello", None),
            ("port", None),
            ("flapping.max_retry", None),
            ("cmd", None),
        ] {
            assert_eq!(nearest(key, NAMES.into_iter()), name, "{key}");
        }
    }
}
