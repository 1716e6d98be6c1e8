use super::*;

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn plain(letter: char, keys: Keys) -> Option<Command> {
    command(&key(KeyCode::Char(letter), KeyModifiers::NONE), keys)
}

#[test]
fn every_key_of_the_help_does_something() {
    for (names, text) in crate::view::help_keys() {
        for name in names.split_whitespace() {
            let letter = match name.chars().collect::<Vec<_>>()[..] {
                [letter] => letter,
                _ => continue,
            };
            let keys = if letter == 'y' { Keys::Question } else { Keys::List };
            assert!(plain(letter, keys).is_some(), "{name}: {text}");
        }
    }
}

#[test]
fn keys_mean_what_they_mean_in_top_and_htop() {
    for (code, expected) in [
        (KeyCode::F(1), Command::Help),
        (KeyCode::F(4), Command::Filter),
        (KeyCode::F(10), Command::Quit),
        (KeyCode::Char('P'), Command::SortBy(Column::Cpu)),
        (KeyCode::Char('M'), Command::SortBy(Column::Mem)),
        (KeyCode::Char('q'), Command::Quit),
        (KeyCode::Up, Command::Move(Step::Up)),
        (KeyCode::Enter, Command::Toggle),
    ] {
        assert_eq!(command(&key(code, KeyModifiers::NONE), Keys::List), Some(expected));
    }
}

#[test]
fn an_operator_always_gets_out() {
    for keys in [Keys::List, Keys::Text, Keys::Question, Keys::Help] {
        let control_c = key(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(command(&control_c, keys), Some(Command::Quit));
    }
}

#[test]
fn only_y_is_yes() {
    for letter in (' '..='~').chain(['\n', 'ÿ']) {
        let confirms = plain(letter, Keys::Question) == Some(Command::Confirm);
        assert_eq!(confirms, matches!(letter, 'y' | 'Y'), "{letter}");
    }
    let enter = key(KeyCode::Enter, KeyModifiers::NONE);
    assert_eq!(command(&enter, Keys::Question), Some(Command::Cancel));
    let alt_y = key(KeyCode::Char('y'), KeyModifiers::ALT);
    assert_eq!(command(&alt_y, Keys::Question), Some(Command::Cancel));
}

#[test]
fn letters_that_change_a_watcher_are_letters_in_a_filter() {
    for letter in ['R', 'X', '+', 'q'] {
        assert_eq!(plain(letter, Keys::Text), Some(Command::Type(letter)));
    }
}

#[test]
fn a_released_key_is_nothing() {
    let mut released = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    released.kind = KeyEventKind::Release;
    assert_eq!(command(&Event::Key(released), Keys::List), None);
}

#[test]
fn mouse_and_size_are_told() {
    let mouse = |kind| Event::Mouse(MouseEvent { kind, column: 3, row: 4, modifiers: KeyModifiers::NONE });
    let place = Position { x: 3, y: 4 };
    let down = mouse(MouseEventKind::Down(MouseButton::Left));
    assert_eq!(command(&down, Keys::List), Some(Command::Click(place)));
    assert_eq!(command(&mouse(MouseEventKind::ScrollUp), Keys::List), Some(Command::Wheel(place, Step::Up)));
    assert_eq!(command(&mouse(MouseEventKind::Moved), Keys::List), None);
    assert_eq!(command(&Event::Resize(1, 2), Keys::List), Some(Command::Resize(1, 2)));
}
