//! Makes a story that breaks a rule as short as it gets.

use super::{Story, step::Step};

/// Times a story is told at most while it is made shorter.
const TELLINGS: usize = 3000;

/// The shortest part of the story that is found for which `breaks` still holds: first halves are left out, then
/// smaller and smaller parts, until no single step can be spared.
pub(super) fn shortest(story: &Story, mut breaks: impl FnMut(&Story) -> bool) -> Story {
    let mut best = story.clone();
    let mut tellings = 0;
    let mut part = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut spared = false;
        let mut from = 0;
        while from < best.steps.len() && tellings < TELLINGS {
            let to = (from + part).min(best.steps.len());
            let steps: Vec<Step> = [&best.steps[..from], &best.steps[to..]].concat();
            let shorter = Story { seed: best.seed, steps };
            tellings += 1;
            if breaks(&shorter) {
                best = shorter;
                spared = true;
            } else {
                from = to;
            }
        }
        if tellings >= TELLINGS || (part == 1 && !spared) {
            return best;
        }
        if !spared {
            part = part.div_ceil(2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_steps_that_matter_are_left() {
        let steps = (0..200).map(|number| Step::Advance(Duration::from_millis(number))).collect();
        let has = |story: &Story, number| story.steps.contains(&Step::Advance(Duration::from_millis(number)));
        let shortest =
            shortest(&Story { seed: 1, steps }, |story| has(story, 17) && has(story, 18) && has(story, 161));
        let text: Vec<String> = shortest.steps.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["advance 17", "advance 18", "advance 161"]);
    }
}
