//! The cursor: where it goes, what it folds, what the mouse means.

use ratatui::layout::Position;

use super::{
    Cursor, Mode, State,
    command::Step,
    layout::column_at,
    rows::{Key, OWN, Row, SOCKETS},
};

/// Rows that one turn of the wheel moves.
const WHEEL: usize = 3;

impl Cursor {
    /// Moves among these rows.
    pub(super) fn step(&mut self, step: Step, page: usize, keys: &[Key]) {
        let last = keys.len().saturating_sub(1);
        let to = match step {
            Step::Up => self.index.saturating_sub(1),
            Step::Down => self.index + 1,
            Step::PageUp => self.index.saturating_sub(page),
            Step::PageDown => self.index + page,
            Step::First => 0,
            Step::Last => last,
        };
        self.put(to.min(last), keys);
    }

    /// Moves to that place.
    fn put(&mut self, index: usize, keys: &[Key]) {
        self.index = index.min(keys.len().saturating_sub(1));
        self.key = keys.get(self.index).cloned();
    }

    /// Finds its row again and keeps it on the screen.
    fn settle(&mut self, height: usize, keys: &[Key]) {
        let found = self.key.as_ref().and_then(|key| keys.iter().position(|it| it == key));
        // At the top nobody has chosen a row yet: the cursor stays there while rows come.
        match found {
            Some(index) if self.index > 0 => self.index = index,
            Some(_) | None => self.put(self.index, keys),
        }
        let height = height.max(1);
        self.offset = self.offset.min(keys.len().saturating_sub(height));
        self.offset = self.offset.clamp((self.index + 1).saturating_sub(height), self.index);
    }
}

impl State {
    /// Brings every cursor to where its row is now.
    pub(super) fn settle(&mut self) {
        let layout = self.layout();
        for host in 0..self.cursors.len() {
            let keys: Vec<Key> = self.rows(host).iter().map(Row::key).collect();
            let height = layout.pane(host).map_or(1, |pane| usize::from(pane.rows.height));
            if let Some(cursor) = self.cursors.get_mut(host) {
                cursor.settle(height, &keys);
            }
        }
    }

    /// Hides or shows the members of the group the cursor is in; a cursor on a hidden one goes to its group.
    pub(super) fn fold(&mut self, hide: bool) {
        let Some(cursor) = self.cursors.get_mut(self.focus) else { return };
        let group = match &cursor.key {
            Some(Key::Group(name) | Key::Process(name, _)) => name.clone(),
            Some(Key::Socket(_)) => SOCKETS.to_owned(),
            None => return,
        };
        if hide {
            cursor.folded.insert(group.clone());
            self.go_to(&Key::Group(group));
        } else {
            cursor.folded.remove(&group);
        }
    }

    /// Hides the members of the group under the cursor, or shows them.
    pub(super) fn toggle(&mut self) {
        let hidden = match self.cursors.get(self.focus) {
            Some(Cursor { key: Some(Key::Group(name)), folded, .. }) => folded.contains(name),
            Some(_) | None => false,
        };
        self.fold(!hidden);
    }

    /// Hides the members of every group; shows them if all are hidden.
    pub(super) fn toggle_all(&mut self) {
        let Some(host) = self.hosts().get(self.focus) else { return };
        let mut all: Vec<String> = host.watchers.keys().cloned().collect();
        all.extend([OWN, SOCKETS].map(str::to_owned));
        let Some(cursor) = self.cursors.get_mut(self.focus) else { return };
        if all.iter().all(|name| cursor.folded.contains(name)) {
            cursor.folded.clear();
        } else {
            cursor.folded.extend(all);
        }
        if let Some(Key::Process(name, _)) = cursor.key.clone() {
            self.go_to(&Key::Group(name));
        }
    }

    /// A click: on a title it sorts, on a row it selects, on the selected row it folds; it closes what is open.
    pub(super) fn click(&mut self, place: Position) {
        if !matches!(self.mode, Mode::Table) {
            // A click is no answer to a question.
            if !matches!(self.mode, Mode::Question { .. }) {
                self.mode = Mode::Table;
            }
            return;
        }
        let layout = self.layout();
        if layout.tabs.contains(place) {
            self.focus = (self.focus + 1) % self.hosts.len().max(1);
            return;
        }
        let Some((host, pane)) = layout.host_at(place) else { return };
        self.focus = host;
        if pane.titles.contains(place) {
            if let Some(column) = column_at(pane.titles.width, place.x - pane.titles.x) {
                self.sort.choose(column);
            }
        } else if pane.rows.contains(place) {
            self.select(host, usize::from(place.y - pane.rows.y));
        }
    }

    /// The wheel moves the cursor of the host below the mouse.
    pub(super) fn wheel(&mut self, place: Position, step: Step) {
        if let Some((host, _)) = self.layout().host_at(place) {
            for _ in 0..WHEEL {
                self.step(host, step);
            }
        }
    }

    fn select(&mut self, host: usize, line: usize) {
        let keys: Vec<Key> = self.rows(host).iter().map(Row::key).collect();
        let Some(cursor) = self.cursors.get_mut(host) else { return };
        let index = cursor.offset + line;
        if index >= keys.len() {
            return;
        }
        if cursor.index == index && matches!(cursor.key, Some(Key::Group(_))) {
            return self.toggle();
        }
        cursor.put(index, &keys);
    }

    fn go_to(&mut self, key: &Key) {
        let keys: Vec<Key> = self.rows(self.focus).iter().map(Row::key).collect();
        if let (Some(cursor), Some(index)) =
            (self.cursors.get_mut(self.focus), keys.iter().position(|it| it == key))
        {
            cursor.put(index, &keys);
        }
    }
}
