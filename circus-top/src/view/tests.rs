//! Whole frames, compared with those that are stored. `CIRCUS_BLESS=1` stores what is painted now.

use std::{env, fmt::Write as _, fs, path::PathBuf};

use ratatui::{Terminal, backend::TestBackend, style::Color};
use serde_json::json;

use super::*;
use crate::state::{
    command::{Action, Command, Step},
    fixture::{event, farm, host, members, one, own, press, process, run, tell, two},
    report::{Control, Link, Report},
    sort::Column,
};

const COLOURED: Look = Look { colour: true, unicode: true };
const MONO: Look = Look { colour: false, unicode: true };
const ASCII: Look = Look { colour: false, unicode: false };

fn frame(state: &State, width: u16, height: u16, look: Look) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, look)).unwrap();
    terminal.backend().buffer().clone()
}

/// The letters of a frame, line by line.
fn letters(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Where a line has another style than the terminal's own, run by run.
fn styles(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut runs: Vec<(u16, u16, String)> = Vec::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let mut words = Vec::new();
            if cell.fg != Color::Reset {
                words.push(format!("{}", cell.fg));
            }
            if cell.bg != Color::Reset {
                words.push(format!("on {}", cell.bg));
            }
            if !cell.modifier.is_empty() {
                words.push(format!("{:?}", cell.modifier).to_lowercase());
            }
            let words = words.join(" ");
            match runs.last_mut() {
                Some((_, end, style)) if *style == words => *end = x,
                Some(_) | None => runs.push((x, x, words)),
            }
        }
        let told = runs.iter().filter(|(.., style)| !style.is_empty());
        let told: Vec<_> = told.map(|(from, to, style)| format!("{from}-{to} {style}")).collect();
        if !told.is_empty() {
            let _ = writeln!(text, "{y}: {}", told.join(", "));
        }
    }
    text
}

fn stored(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/view/snapshots").join(name)
}

fn assert_stored(name: &str, text: &str) {
    let path = stored(name);
    if env::var_os("CIRCUS_BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == expected,
        "{} differs; CIRCUS_BLESS=1 stores what is painted now:\n{text}",
        path.display()
    );
}

#[test]
fn a_farm_on_the_smallest_usual_screen() {
    let state = one(80, 24);
    assert_stored("farm-80x24.txt", &letters(&frame(&state, 80, 24, MONO)));
}

#[test]
fn a_farm_in_ascii_without_colours() {
    let state = one(80, 24);
    let frame = frame(&state, 80, 24, ASCII);
    assert!(letters(&frame).is_ascii());
    assert_stored("farm-80x24-ascii.txt", &(letters(&frame) + &styles(&frame)));
}

#[test]
fn a_farm_in_colours_with_the_detail_of_a_crashing_watcher() {
    let mut state = one(110, 36);
    press(&mut state, Command::Move(Step::Down));
    press(&mut state, Command::Move(Step::Down));
    let frame = frame(&state, 110, 36, COLOURED);
    assert_stored("farm-110x36-coloured.txt", &(letters(&frame) + &styles(&frame)));
}

#[test]
fn without_colours_there_is_no_colour() {
    for state in [one(110, 36), two(160, 40)] {
        let frame = frame(&state, 160, 40, MONO);
        let coloured = frame.content.iter().find(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(coloured, None);
    }
}

#[test]
fn a_narrow_screen_keeps_what_matters() {
    let state = one(50, 14);
    assert_stored("farm-50x14.txt", &letters(&frame(&state, 50, 14, MONO)));
}

#[test]
fn hosts_side_by_side() {
    let state = two(150, 28);
    assert_stored("two-150x28.txt", &letters(&frame(&state, 150, 28, MONO)));
}

#[test]
fn hosts_one_at_a_time_where_there_is_no_room() {
    let mut state = two(80, 24);
    press(&mut state, Command::NextHost);
    assert_stored("two-80x24.txt", &letters(&frame(&state, 80, 24, MONO)));
}

#[test]
fn a_question_stands_at_the_bottom() {
    let mut state = one(80, 24);
    press(&mut state, Command::Act(Action::Restart));
    let text = letters(&frame(&state, 80, 24, MONO));
    let last = " restart Sleep er: end all its processes and start new ones?  y = yes, n = no";
    assert_eq!(text.lines().last(), Some(last));
}

#[test]
fn the_help_names_every_key() {
    let mut state = one(80, 24);
    press(&mut state, Command::Help);
    assert_stored("help-80x24.txt", &letters(&frame(&state, 80, 24, MONO)));
}

#[test]
fn all_processes_in_one_list_by_cpu() {
    let mut state = one(80, 24);
    press(&mut state, Command::Group);
    press(&mut state, Command::SortBy(Column::Cpu));
    assert_stored("list-80x24.txt", &letters(&frame(&state, 80, 24, MONO)));
}

#[test]
fn before_data_and_after_a_lost_connection_it_says_so() {
    let mut state = State::new(vec![host("web1")], 80, 24);
    let mut text = letters(&frame(&state, 80, 24, MONO));
    tell(&mut state, 0, Report::Stats(Link::Up));
    text += &letters(&frame(&state, 80, 24, MONO));
    farm(&mut state, 0);
    run(&mut state, 1, 2);
    tell(&mut state, 0, Report::Stats(Link::Lost));
    tell(&mut state, 0, Report::Control(Control::Lost));
    (0..5).for_each(|_| crate::state::fixture::tick(&mut state));
    text += &letters(&frame(&state, 80, 24, MONO));
    assert_stored("links-80x24.txt", &text);
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let mut state = State::new(vec![host("web1\u{1b}]0;x\u{7}")], 80, 24);
    tell(&mut state, 0, Report::Stats(Link::Up));
    let names =
        ["\u{1b}[2J\u{1b}[31mred", "日本語のワーカーワーカー", "a\u{202e}b\u{200b}\u{301}", "x\ny\tz"];
    for (pid, name) in (10..).zip(names) {
        tell(&mut state, 0, process(name, pid, 1.0, 1.0));
        tell(&mut state, 0, event(&name.replace(' ', "_"), "spawn", json!({"process_pid": pid})));
    }
    tell(&mut state, 0, process(&"long".repeat(20_000), 99, 1.0, 1.0));
    let nothing = json!({"pid": 98, "cpu": "N/A", "mem": "N/A", "age": "N/A", "mem_info1": "N/A", "nice": "Zombie",
                         "cmdline": "\u{9b}2J"});
    let topic = "stat.na.98".to_owned();
    tell(&mut state, 0, Report::Message { topic, payload: nothing.to_string() });
    run_ticks(&mut state);
    let frame = frame(&state, 80, 24, MONO);
    let text = letters(&frame);
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'));
    for line in text.lines() {
        assert!(width(line) <= 80, "{line}");
    }
    assert_stored("hostile-80x24.txt", &text);
}

fn run_ticks(state: &mut State) {
    crate::state::fixture::tick(state);
}

#[test]
fn every_screen_size_can_be_painted() {
    let mut states = [one(80, 24), two(80, 24)];
    for state in &mut states {
        press(state, Command::Detail);
        for (width, height) in [(1, 1), (2, 3), (10, 5), (31, 9), (80, 24), (133, 50), (300, 100)] {
            press(state, Command::Resize(width, height));
            for command in [Command::Help, Command::Cancel, Command::Act(Action::Stop), Command::Cancel] {
                press(state, command);
                frame(state, width, height, COLOURED);
            }
        }
    }
}

#[test]
fn a_frame_of_another_size_than_the_screen_is_no_harm() {
    // The terminal may have shrunk, and its word of it be on the way.
    let state = one(200, 60);
    frame(&state, 20, 6, COLOURED);
}

#[test]
fn one_frame_as_text_and_as_json() {
    let mut state = two(80, 24);
    assert_stored("two-once.txt", &plain::text(&state, MONO));
    let text = serde_json::to_string_pretty(&json::value(&state)).unwrap();
    assert!(!text.contains("secret"));
    assert_stored("two-once.json", &(text + "\n"));
    tell(&mut state, 0, own("circusd", 1, 1.0));
    let reply = members(json!({"time": 1.0, "restarts": 7}));
    tell(&mut state, 0, Report::Why { name: "web".to_owned(), reply });
    assert!(plain::text(&state, MONO).lines().any(|line| line.starts_with("web") && line.contains(" 7 ")));
}

/// The page shows a real frame and the keys of the help.
#[test]
fn the_documentation_shows_what_is_painted() {
    let mut state = one(100, 30);
    press(&mut state, Command::Move(Step::Down));
    press(&mut state, Command::Move(Step::Down));
    let picture = letters(&frame(&state, 100, 30, MONO));
    let mut keys = String::from("| key | what it does |\n|---|---|\n");
    for (key, text) in help_keys().iter().filter(|(key, _)| !key.is_empty()) {
        let _ = writeln!(keys, "| `{key}` | {text} |");
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/circus-top.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("```text\n").expect("a picture");
    let (_, after) = rest.split_once("```").expect("its end");
    let (middle, _) = after.split_once("## Keys\n\n").expect("the keys");
    let expected = format!("{before}```text\n{picture}```{middle}## Keys\n\n{keys}");
    if env::var_os("CIRCUS_BLESS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap();
    assert!(
        page == expected,
        "docs/circus-top.md shows something else; CIRCUS_BLESS=1 puts this there:\n{expected}"
    );
}
