//! What keys and mouse mean: terminal events to commands, by what is open.

use ratatui::{
    crossterm::event::{
        Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
    },
    layout::Position,
};

use crate::state::{
    command::{Action, Command, Keys, Step},
    sort::Column,
};

/// The command an event stands for, if any.
#[must_use]
pub fn command(event: &Event, keys: Keys) -> Option<Command> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => pressed(*key, keys),
        Event::Mouse(mouse) => moused(*mouse),
        Event::Resize(width, height) => Some(Command::Resize(*width, *height)),
        Event::Key(_) | Event::FocusGained | Event::FocusLost | Event::Paste(_) => None,
    }
}

fn pressed(key: KeyEvent, keys: Keys) -> Option<Command> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    // These mean the same everywhere: an operator must always get out.
    match (control, key.code) {
        (true, KeyCode::Char('c' | 'C')) => return Some(Command::Quit),
        (true, KeyCode::Char('z' | 'Z')) => return Some(Command::Suspend),
        (true, KeyCode::Char('l' | 'L')) => return Some(Command::Redraw),
        _ => {}
    }
    let other = key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    match keys {
        Keys::List => in_list(key.code, other),
        Keys::Text => in_text(key.code, control, other),
        Keys::Question => {
            let is_yes = matches!(key.code, KeyCode::Char('y' | 'Y')) && !other;
            Some(if is_yes { Command::Confirm } else { Command::Cancel })
        }
        Keys::Help => Some(Command::Cancel),
    }
}

fn in_list(code: KeyCode, with_modifier: bool) -> Option<Command> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has more keys than we have commands")]
    let command = match code {
        KeyCode::Up => Command::Move(Step::Up),
        KeyCode::Down => Command::Move(Step::Down),
        KeyCode::PageUp => Command::Move(Step::PageUp),
        KeyCode::PageDown => Command::Move(Step::PageDown),
        KeyCode::Home => Command::Move(Step::First),
        KeyCode::End => Command::Move(Step::Last),
        KeyCode::Left => Command::Fold,
        KeyCode::Right => Command::Unfold,
        KeyCode::Enter => Command::Toggle,
        KeyCode::Tab => Command::NextHost,
        KeyCode::BackTab => Command::PreviousHost,
        KeyCode::Esc => Command::Cancel,
        KeyCode::F(1) => Command::Help,
        KeyCode::F(4) => Command::Filter,
        KeyCode::F(5) => Command::Group,
        KeyCode::F(6) => Command::SortRight,
        KeyCode::F(10) => Command::Quit,
        KeyCode::Char(letter) if !with_modifier => return letter_in_list(letter),
        _ => return None,
    };
    Some(command)
}

/// Small letters look, capital ones that change a watcher ask first.
fn letter_in_list(letter: char) -> Option<Command> {
    Some(match letter {
        'q' | 'Q' => Command::Quit,
        '?' | 'h' => Command::Help,
        'j' => Command::Move(Step::Down),
        'k' => Command::Move(Step::Up),
        'g' => Command::Move(Step::First),
        'G' => Command::Move(Step::Last),
        ' ' => Command::Toggle,
        'c' => Command::ToggleAll,
        '/' | '\\' => Command::Filter,
        '<' | ',' => Command::SortLeft,
        '>' | '.' => Command::SortRight,
        'I' => Command::Reverse,
        'P' => Command::SortBy(Column::Cpu),
        'M' => Command::SortBy(Column::Mem),
        'A' | 'T' => Command::SortBy(Column::Age),
        'N' => Command::SortBy(Column::Pid),
        'W' => Command::SortBy(Column::Name),
        't' => Command::Group,
        'p' => Command::Pause,
        'd' => Command::Detail,
        'e' => Command::Events,
        'R' => Command::Act(Action::Restart),
        'L' => Command::Act(Action::Reload),
        'S' => Command::Act(Action::Start),
        'X' => Command::Act(Action::Stop),
        '+' => Command::Act(Action::Incr),
        '-' => Command::Act(Action::Decr),
        _ => return None,
    })
}

fn in_text(code: KeyCode, control: bool, with_modifier: bool) -> Option<Command> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has more keys than we have commands")]
    let command = match code {
        KeyCode::Char('u' | 'U' | 'w' | 'W') if control => Command::EraseAll,
        KeyCode::Char('h' | 'H') if control => Command::Erase,
        KeyCode::Char(letter) if !with_modifier => Command::Type(letter),
        KeyCode::Backspace => Command::Erase,
        KeyCode::Enter => Command::Accept,
        KeyCode::Esc => Command::Cancel,
        KeyCode::Up => Command::Move(Step::Up),
        KeyCode::Down => Command::Move(Step::Down),
        _ => return None,
    };
    Some(command)
}

fn moused(mouse: MouseEvent) -> Option<Command> {
    let place = Position { x: mouse.column, y: mouse.row };
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Command::Click(place)),
        MouseEventKind::ScrollUp => Some(Command::Wheel(place, Step::Up)),
        MouseEventKind::ScrollDown => Some(Command::Wheel(place, Step::Down)),
        MouseEventKind::Down(MouseButton::Right | MouseButton::Middle)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => None,
    }
}

#[cfg(test)]
mod tests;
