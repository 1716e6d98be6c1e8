//! Where a story's chances come from: a seed, or the bytes of a fuzzer.

/// A source of chances. The same source gives the same story.
#[derive(Debug)]
pub enum Dice<'a> {
    /// Without end.
    Seeded(fastrand::Rng),
    /// As long as there are bytes; then always the first choice.
    Bytes(&'a [u8]),
}

impl Dice<'_> {
    /// Dice that fall as this seed says.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(fastrand::Rng::with_seed(seed))
    }

    /// Whether there is nothing left to draw from.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        match self {
            Self::Seeded(_) => false,
            Self::Bytes(bytes) => bytes.is_empty(),
        }
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        match self {
            Self::Seeded(random) => random.u64(0..limit),
            Self::Bytes(bytes) => {
                let width = if limit > 256 { 2 } else { 1 };
                let (head, rest) = bytes.split_at(width.min(bytes.len()));
                *bytes = rest;
                head.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte)) % limit
            }
        }
    }

    /// The same as a place in a list.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length.max(1) as u64)).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.place(choices.len())]
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Yes or no.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 1
    }
}
