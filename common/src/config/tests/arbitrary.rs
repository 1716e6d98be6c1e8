//! Whatever the text: no panic.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in any::<Vec<u8>>()) {
        let tree = Tree(BTreeMap::from([(PathBuf::from("/etc/c.ini"), bytes)]));
        let _ = load(Path::new("/etc/c.ini"), &host(), &tree);
    }

    #[test]
    fn no_lines_make_it_panic(lines in proptest::collection::vec(any_line(), 0..30)) {
        let loaded = load_text(&lines.join("\n"));
        for watcher in &loaded.config.watchers {
            let _ = expand::command_line(watcher, 1, &expand::Descriptors::new());
            prop_assert!(watcher.same_as(watcher));
        }
    }
}

/// A line of the kind that files have: sections, known and odd keys, known and odd values.
fn any_line() -> impl Strategy<Value = String> {
    const SECTIONS: [&str; 9] = [
        "[circus]",
        "[watcher:a]",
        "[watcher:",
        "[watcher:]",
        "[env]",
        "[env:*]",
        "[socket:s]",
        "[plugin:p]",
        "[DEFAULT]",
    ];
    const VALUES: [&str; 14] = [
        "",
        "1",
        "-1",
        "yes",
        "é$(circus.env.HOME)",
        "((circus.wid))",
        "'",
        "99999999999999999999",
        "nan",
        "$",
        "\"\"",
        "tcp://*:1",
        "[",
        ";",
    ];
    let keys: Vec<String> = options::TABLE
        .iter()
        .map(|spec| spec.name.to_owned())
        .chain(circus::TABLE.iter().map(|spec| spec.name.to_owned()))
        .chain(
            ["name", "use", "rlimit_core", "hooks.before_start", "stdout_stream.class", "é"]
                .map(str::to_owned),
        )
        .collect();
    prop_oneof![
        1 => proptest::sample::select(&SECTIONS[..]).prop_map(str::to_owned),
        4 => (proptest::sample::select(keys), proptest::sample::select(&VALUES[..])).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => any::<String>(),
        1 => proptest::sample::select(&VALUES[..]).prop_map(|value| format!("  {value}")),
    ]
}
