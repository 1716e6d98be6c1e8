//! A panic, wherever it comes, ends circus-top on a clean terminal with its words to be read.
//!
//! circus-top itself has no known panic, so this test is the program that panics: it runs itself in a terminal, takes
//! that as circus-top does, and panics.

use std::env;

use circus_tests::terminal::Terminal;
use circus_top::term::Screen;

/// Where the program is to panic.
const PLACE: &str = "CIRCUS_TEST_PANIC";

#[test]
#[ignore = "the program that panics, run by the test below"]
fn takes_the_screen_and_panics() {
    let Ok(place) = env::var(PLACE) else { return };
    let mut screen = Screen::open().unwrap();
    screen.draw(|frame| _ = frame.buffer_mut()[(0, 0)].set_symbol("X")).unwrap();
    if place == "painting" {
        screen.draw(|_| panic!("a panic while painting")).unwrap();
    }
    // A thread of a library, or a task: the one that paints would go on.
    let _ended = std::thread::spawn(|| panic!("a panic elsewhere")).join();
    screen.draw(|frame| _ = frame.buffer_mut()[(0, 0)].set_symbol("painted after it")).unwrap();
}

#[test]
fn a_panic_leaves_the_terminal_clean_and_its_words_readable() {
    for (place, words) in [("painting", "a panic while painting"), ("elsewhere", "a panic elsewhere")] {
        let this = env::current_exe().unwrap();
        let test = "panic::takes_the_screen_and_panics";
        let words_of_it = ["--ignored", "--exact", "--nocapture", test].map(Into::into);
        let variable = format!("{PLACE}={place}").into();
        let mut command = vec!["env".into(), "RUST_BACKTRACE=0".into(), variable, this.into_os_string()];
        command.extend(words_of_it);
        let mut terminal = Terminal::run(&command, 24, 80);
        assert_eq!(terminal.wait_end().code(), Some(101));
        terminal.wait_clean();
        terminal.wait_for(words);
        // It had taken the terminal, and did not paint on what it had given back.
        assert_eq!((terminal.said("\x1b[?1049h"), terminal.said("painted after it")), (1, 0));
    }
}
