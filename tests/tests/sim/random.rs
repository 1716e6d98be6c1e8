//! Random stories. `CIRCUS_TESTS=long` tells 100,000 of them, `CIRCUS_STORIES=n` so many, from seed `CIRCUS_FIRST=n` on,
//! `CIRCUS_SEED=n` that one, with every input and effect, and `CIRCUS_STORY=path` the one in that file;
//! `CIRCUS_ENOUGH=n` broken ones are enough.

use circus_tests::sim::story::{Story, tell_all};

/// Broken stories that are looked for before the rest is left untold.
const ENOUGH: usize = 3;

#[test]
fn no_random_story_breaks_a_rule() {
    let long = std::env::var("CIRCUS_TESTS").is_ok_and(|mode| mode == "long");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    if let Some(seed) = number("CIRCUS_SEED") {
        return Story::drawn(seed).tell(true);
    }
    if let Some(path) = std::env::var_os("CIRCUS_STORY") {
        let text = std::fs::read_to_string(path).expect("the story can be read");
        return text.parse::<Story>().expect("it is a story").tell(true);
    }
    let count = number("CIRCUS_STORIES").unwrap_or(if long { 100_000 } else { 2_000 });
    let enough = number("CIRCUS_ENOUGH").and_then(|enough| usize::try_from(enough).ok());
    let broken = tell_all(number("CIRCUS_FIRST").unwrap_or(0), count, enough.unwrap_or(ENOUGH));
    let told: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{}", told.join("\n"));
}
