//! Stories that once broke a rule, told again for ever: `tests/stories`. What each is about stands in its first lines.

use std::{fs, path::Path};

use circus_tests::sim::{rules::Rule, story::Story};

#[test]
fn no_story_that_was_kept_breaks_a_rule_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("stories");
    let mut stories: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    stories.sort();
    assert!(!stories.is_empty());
    for path in stories {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} does not say what it is about", path.display());
        let story: Story = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Some(broken) = story.broken() {
            panic!("{} breaks a {broken}", path.display());
        }
    }
}

#[test]
fn the_documentation_lists_every_rule() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/testing.md");
    let page = fs::read_to_string(page).unwrap();
    for rule in Rule::ALL {
        let row = format!("| `{}` | {} |", rule.name(), rule.text());
        assert!(page.contains(&row), "docs/testing.md lacks\n{row}");
    }
}
