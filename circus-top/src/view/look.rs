//! How things look: with colours or without, with the glyphs of Unicode or in ASCII.
//!
//! Without colours bold, dim and reversed say the same: no meaning hangs on a colour alone.

use ratatui::style::{Color, Modifier, Style};

use crate::state::{
    happening::Tone,
    watcher::{Condition, Phase},
};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Colours.
    pub colour: bool,
    /// More than ASCII.
    pub unicode: bool,
}

/// Shares of a processor above which a figure stands out.
const BUSY: f64 = 50.0;
const VERY_BUSY: f64 = 90.0;

impl Look {
    fn style(self, colour: Color, otherwise: Modifier) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new().add_modifier(otherwise) }
    }

    /// What matters less.
    #[must_use]
    pub fn quiet(self) -> Style {
        self.style(Color::DarkGray, Modifier::DIM)
    }

    /// What names something.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The titles of columns, keys and panes.
    #[must_use]
    pub fn bar(self) -> Style {
        if self.colour { Style::new().fg(Color::Black).bg(Color::Cyan) } else { self.selected() }
    }

    /// The row under the cursor.
    #[must_use]
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// Something is as it should be.
    #[must_use]
    pub fn good(self) -> Style {
        self.style(Color::Green, Modifier::empty())
    }

    /// Someone may want to look.
    #[must_use]
    pub fn warning(self) -> Style {
        self.style(Color::Yellow, Modifier::BOLD)
    }

    /// Something is wrong.
    #[must_use]
    pub fn bad(self) -> Style {
        self.style(Color::Red, Modifier::BOLD).add_modifier(Modifier::BOLD)
    }

    /// Pictures of the last minutes.
    #[must_use]
    pub fn picture(self) -> Style {
        self.style(Color::Cyan, Modifier::empty())
    }

    /// A share of a processor.
    #[must_use]
    pub fn load(self, cpu: Option<f64>) -> Style {
        match cpu {
            Some(cpu) if cpu >= VERY_BUSY => self.bad(),
            Some(cpu) if cpu >= BUSY => self.warning(),
            Some(_) | None => Style::new(),
        }
    }

    /// The state of a watcher.
    #[must_use]
    pub fn condition(self, condition: Condition) -> Style {
        match condition {
            Condition::Flapping => self.bad(),
            Condition::Backoff | Condition::Phase(Phase::Starting | Phase::Stopping) => self.warning(),
            Condition::Phase(Phase::Active) => self.good(),
            Condition::Phase(Phase::Stopped) => self.quiet(),
        }
    }

    /// An event.
    #[must_use]
    pub fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Calm => Style::new(),
            Tone::Good => self.good(),
            Tone::Warning => self.warning(),
            Tone::Bad => self.bad(),
        }
    }

    const fn glyph(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// Before a group whose members are shown.
    #[must_use]
    pub const fn unfolded(self) -> &'static str {
        self.glyph("▾", "-")
    }

    /// Before a group whose members are hidden.
    #[must_use]
    pub const fn folded(self) -> &'static str {
        self.glyph("▸", "+")
    }

    /// At the column that gives the order: upwards or downwards.
    #[must_use]
    pub const fn arrow(self, down: bool) -> &'static str {
        if down { self.glyph("▼", "v") } else { self.glyph("▲", "^") }
    }

    /// Where a text was cut.
    #[must_use]
    pub const fn ellipsis(self) -> char {
        if self.unicode { '…' } else { '~' }
    }

    /// A connection that stands.
    #[must_use]
    pub const fn dot(self) -> &'static str {
        self.glyph("●", "*")
    }

    /// A connection that does not.
    #[must_use]
    pub const fn circle(self) -> &'static str {
        self.glyph("○", "!")
    }

    /// A line from left to right.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        self.glyph("─", "-")
    }

    /// A line from top to bottom.
    #[must_use]
    pub const fn wall(self) -> &'static str {
        self.glyph("│", "|")
    }

    /// Eight heights.
    #[must_use]
    pub const fn bars(self) -> [char; 8] {
        if self.unicode {
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
        } else {
            ['_', '.', ',', '-', '=', '+', '*', '#']
        }
    }

    /// A letter of a stranger's text: a terminal without Unicode gets a question mark.
    #[must_use]
    pub const fn letter(self, letter: char) -> char {
        if self.unicode || letter.is_ascii() { letter } else { '?' }
    }
}
