//! Stories of an operator.

use serde_json::json;

use super::{
    fixture::{event, farm, host, one, press, process, run, tell, tick, two},
    rows::{OWN, SOCKETS},
    sort::Column,
    *,
};

fn names(state: &State) -> Vec<String> {
    let name = |row: &Row<'_>| match row {
        Row::Watcher { watcher, .. } => watcher.name.clone(),
        Row::Process { process, .. } => process.pid.to_string(),
        Row::Sockets { .. } => "sockets".to_owned(),
        Row::Socket { fd, .. } => format!("fd {fd}"),
    };
    state.rows(state.focus).iter().map(name).collect()
}

/// Puts the cursor on that row.
fn go_to(state: &mut State, name: &str) {
    press(state, Command::Move(Step::First));
    for _ in 0..names(state).iter().position(|it| it == name).expect("a row of that name") {
        press(state, Command::Move(Step::Down));
    }
}

fn type_filter(state: &mut State, text: &str) {
    press(state, Command::Filter);
    text.chars().for_each(|letter| drop(press(state, Command::Type(letter))));
    press(state, Command::Accept);
}

#[test]
fn watchers_stand_by_name_with_their_processes_by_slot() {
    let expected = [
        "Sleep er",
        "9100",
        "crasher",
        "img.resize",
        "9001",
        "spare",
        "web",
        "8704",
        "8705",
        "8706",
        "circus",
        "8600",
        "8601",
        "sockets",
        "fd 64",
    ];
    assert_eq!(names(&one(80, 24)), expected);
}

#[test]
fn sorting_by_cpu_compares_numbers_of_watchers_and_of_processes() {
    let mut state = one(80, 24);
    press(&mut state, Command::SortBy(Column::Cpu));
    let names = names(&state);
    // img.resize has 99.7; web 30.0 + 12.5 + 0.0 in the last second.
    assert_eq!(&names[..6], ["img.resize", "9001", "web", "8704", "8705", "8706"]);
    press(&mut state, Command::Group);
    assert_eq!(state.rows(0).first().map(Row::key), Some(Key::Process("img.resize".to_owned(), 9001)));
}

#[test]
fn a_filter_shows_a_named_watcher_whole_and_of_others_what_matches() {
    let mut state = one(80, 24);
    type_filter(&mut state, "WEB");
    assert_eq!(names(&state), ["web", "8704", "8705", "8706", "sockets", "fd 64"]);
    press(&mut state, Command::Cancel);
    type_filter(&mut state, "8705");
    assert_eq!(names(&state), ["web", "8705"]);
    press(&mut state, Command::Cancel);
    assert_eq!(names(&state).len(), 15);
}

#[test]
fn folding_hides_processes_and_brings_the_cursor_to_their_watcher() {
    let mut state = one(80, 24);
    go_to(&mut state, "8705");
    press(&mut state, Command::Fold);
    assert_eq!(state.cursor(0).unwrap().key, Some(Key::Group("web".to_owned())));
    assert!(!names(&state).contains(&"8704".to_owned()));
    press(&mut state, Command::Toggle);
    assert!(names(&state).contains(&"8704".to_owned()));
    press(&mut state, Command::ToggleAll);
    assert_eq!(names(&state), ["Sleep er", "crasher", "img.resize", "spare", "web", "circus", "sockets"]);
    press(&mut state, Command::ToggleAll);
    assert_eq!(names(&state).len(), 15);
    let cursor = state.cursor(0).unwrap();
    assert!(!cursor.folded.contains(OWN) && !cursor.folded.contains(SOCKETS));
}

#[test]
fn the_cursor_stays_on_its_row_when_the_order_changes() {
    let mut state = one(80, 24);
    go_to(&mut state, "8705");
    press(&mut state, Command::SortBy(Column::Cpu));
    assert_eq!(state.cursor(0).unwrap().key, Some(Key::Process("web".to_owned(), 8705)));
    let reap = json!({"process_pid": 8705, "exit_code": 0});
    tell(&mut state, 0, event("web", "reap", reap));
    let cursor = state.cursor(0).unwrap();
    assert_eq!(
        state.rows(0).get(cursor.index).map(Row::key),
        cursor.key,
        "it goes to the row that took the place"
    );
}

#[test]
fn the_cursor_is_always_on_the_screen() {
    let mut state = one(80, 10);
    for step in [Step::Last, Step::PageUp, Step::First, Step::PageDown, Step::Down, Step::Up] {
        press(&mut state, Command::Move(step));
        let height = usize::from(state.layout().pane(0).unwrap().rows.height);
        let Cursor { index, offset, .. } = state.cursor(0).unwrap();
        assert!((*offset..offset + height).contains(index), "{step:?}");
    }
}

#[test]
fn a_change_is_asked_for_only_after_yes() {
    let mut state = one(80, 24);
    go_to(&mut state, "Sleep er");
    assert_eq!(press(&mut state, Command::Act(Action::Restart)), []);
    assert_eq!(state.keys(), Keys::Question);
    press(&mut state, Command::Cancel);
    assert_eq!(press(&mut state, Command::Confirm), [], "the question is gone");
    press(&mut state, Command::Act(Action::Stop));
    let effects = press(&mut state, Command::Confirm);
    let watcher = "Sleep er".to_owned();
    assert_eq!(effects, [Effect::Act { host: 0, watcher, action: Action::Stop }]);
}

#[test]
fn a_question_is_about_the_watcher_it_named_even_if_the_rows_move() {
    let mut state = one(80, 24);
    go_to(&mut state, "8705");
    press(&mut state, Command::Act(Action::Incr));
    press(&mut state, Command::SortBy(Column::Cpu));
    tell(&mut state, 0, event("web", "reap", json!({"process_pid": 8705, "exit_code": 0})));
    let [Effect::Act { watcher, .. }] = &press(&mut state, Command::Confirm)[..] else { panic!() };
    assert_eq!(watcher, "web");
}

#[test]
fn without_a_control_endpoint_nothing_can_be_asked_for() {
    let mut state = two(160, 40);
    press(&mut state, Command::NextHost);
    press(&mut state, Command::Act(Action::Stop));
    assert_eq!(state.keys(), Keys::List);
    assert_eq!(state.notice.as_ref().unwrap().text, "read-only: nobody answers at tcp://db:5555");
    let mut state = one(80, 24);
    state.read_only = true;
    press(&mut state, Command::Act(Action::Stop));
    assert_eq!(state.keys(), Keys::List);
}

#[test]
fn circus_own_processes_and_sockets_cannot_be_changed() {
    let mut state = one(80, 24);
    for row in ["circus", "8600", "sockets", "fd 64"] {
        go_to(&mut state, row);
        press(&mut state, Command::Act(Action::Stop));
        assert_eq!(state.keys(), Keys::List, "{row}");
    }
}

#[test]
fn a_paused_picture_stays_while_the_world_goes_on() {
    let mut state = one(80, 24);
    press(&mut state, Command::Pause);
    tell(&mut state, 0, event("web", "reap", json!({"process_pid": 8705, "exit_code": 0})));
    tick(&mut state);
    assert!(names(&state).contains(&"8705".to_owned()));
    press(&mut state, Command::Pause);
    assert!(!names(&state).contains(&"8705".to_owned()));
}

#[test]
fn what_is_selected_is_looked_into_once_while_the_detail_is_open() {
    let mut state = one(80, 24);
    go_to(&mut state, "8704");
    let effects = press(&mut state, Command::Detail);
    assert_eq!(effects, [Effect::Inspect { host: 0, watcher: "web".to_owned() }]);
    assert_eq!(press(&mut state, Command::Move(Step::Down)), [], "the same watcher");
    assert_eq!(press(&mut state, Command::Move(Step::First)).len(), 1);
}

#[test]
fn clicks_sort_select_and_fold() {
    let mut state = one(80, 24);
    let pane = *state.layout().pane(0).unwrap();
    let at = |x: u16, y: u16| Command::Click(ratatui::layout::Position { x, y });
    press(&mut state, at(pane.titles.x + 30, pane.titles.y));
    assert_eq!(state.sort.column, Column::Cpu);
    press(&mut state, at(2, pane.rows.y + 2));
    assert_eq!(state.cursor(0).unwrap().index, 2);
    let rows = names(&state).len();
    press(&mut state, at(2, pane.rows.y + 2));
    assert!(names(&state).len() < rows, "a second click on a group folds it");
    press(&mut state, at(2, pane.rows.bottom()));
    press(&mut state, at(500, 500));
}

#[test]
fn a_click_answers_no_question() {
    let mut state = one(80, 24);
    go_to(&mut state, "web");
    press(&mut state, Command::Act(Action::Stop));
    press(&mut state, Command::Click(ratatui::layout::Position { x: 3, y: 5 }));
    assert_eq!(state.keys(), Keys::Question);
}

#[test]
fn what_is_typed_into_the_filter_is_bounded_and_clean() {
    let mut state = one(80, 24);
    press(&mut state, Command::Filter);
    for letter in ['\u{1b}', '\u{202e}', '\u{301}'] {
        press(&mut state, Command::Type(letter));
    }
    (0..1000).for_each(|_| drop(press(&mut state, Command::Type('x'))));
    assert!(state.filter.chars().count() <= LONGEST_FILTER);
    assert!(state.filter.chars().all(|letter| letter == 'x' || letter == '\u{fffd}'));
}

#[test]
fn no_command_breaks_an_empty_or_a_tiny_screen() {
    use Command as C;
    let all = [
        C::Move(Step::Last),
        C::NextHost,
        C::PreviousHost,
        C::Fold,
        C::Unfold,
        C::Toggle,
        C::ToggleAll,
        C::SortRight,
        C::Reverse,
        C::Group,
        C::Pause,
        C::Detail,
        C::Events,
        C::Filter,
        C::Erase,
        C::Accept,
        C::Act(Action::Stop),
        C::Confirm,
        C::Cancel,
        C::Help,
        C::Cancel,
        C::Resize(0, 0),
        C::Resize(1, 1),
        C::Move(Step::Down),
        C::Click(ratatui::layout::Position { x: 0, y: 0 }),
    ];
    for mut state in
        [State::new(Vec::new(), 80, 24), State::new(vec![host("a")], 0, 0), one(3, 2), two(80, 24)]
    {
        for command in all {
            press(&mut state, command);
        }
    }
}

#[test]
fn a_silent_process_is_forgotten_after_the_time_out() {
    let mut state = State::new(vec![host("a")], 80, 24);
    tell(&mut state, 0, process("web", 7, 1.0, 1.0));
    (0..3).for_each(|_| tick(&mut state));
    assert_eq!(names(&state), ["web", "7"]);
    tick(&mut state);
    assert!(names(&state).is_empty());
}

#[test]
fn a_process_the_control_endpoint_tells_of_outlives_the_time_out() {
    let mut state = State::new(vec![host("a")], 80, 24);
    farm(&mut state, 0);
    run(&mut state, 1, 1);
    (0..10).for_each(|_| tick(&mut state));
    assert!(names(&state).contains(&"spare".to_owned()));
    tell(&mut state, 0, event("crasher", "spawn", json!({"process_pid": 77, "time": 1.0})));
    (0..10).for_each(|_| tick(&mut state));
    assert!(names(&state).contains(&"77".to_owned()));
}
