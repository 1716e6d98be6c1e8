//! The page shows what is compiled.

const PAGE: &str = include_str!("../../../docs/plugins.md");
const SOURCE: &str = include_str!("../src/main.rs");

#[test]
fn the_reference_shows_this_program_as_it_is() {
    let shown = PAGE.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(
        shown,
        Some(SOURCE),
        "copy src/main.rs into common/src/config/plugin/page.md, and bless the page"
    );
}
