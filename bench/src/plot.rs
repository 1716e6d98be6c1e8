//! The medians as a picture: how many times circusd's own time or cost the others take, on a logarithmic scale.
//!
//! A line without a figure of circusd, or with a zero, has no ratio and is left out; the table has it.

use crate::{
    contender::{Layout, Name},
    report::{self, Circumstances},
    scenario::Scenario,
    sheet::{Figure, Metric, Sheet, Unit},
};

/// Height of a bar, and of the gap below the bars of one line.
const BAR: f64 = 9.0;
const GAP: f64 = 10.0;
/// Width of the text on the left, and of the scale.
const TEXT: f64 = 500.0;
const SCALE: f64 = 420.0;
/// The scale's ends, as powers of ten.
const DECADES: std::ops::RangeInclusive<i32> = -1..=4;
const TOP: f64 = 46.0;

/// One line of the picture.
struct Line {
    title: String,
    /// For each of the others: how many times circusd's figure, and whether that is only a lower bound.
    ratios: Vec<(Name, f64, bool)>,
}

/// The picture, as SVG.
#[must_use]
pub fn render(it: &Circumstances, sheets: &[(usize, Sheet)], scenarios: &[&dyn Scenario]) -> String {
    let others: Vec<Name> =
        it.versions.iter().map(|(name, _)| *name).filter(|name| *name != Name::Circusd).collect();
    let lines: Vec<Line> = sheets
        .iter()
        .flat_map(|(processes, sheet)| {
            let of_table = scenarios.iter().flat_map(|it| report::lines(*it));
            of_table.filter_map(|(layout, metric)| line(*processes, sheet, layout, metric, &others))
        })
        .collect();
    draw(&lines, &others)
}

fn line(processes: usize, sheet: &Sheet, layout: Layout, metric: &Metric, others: &[Name]) -> Option<Line> {
    let median = |name| sheet.median(metric, layout, name);
    let Some(Figure::Value(ours)) = median(Name::Circusd) else { return None };
    let ratio = |name: &Name| {
        let (theirs, bound) = match median(*name)? {
            Figure::Value(value) => (value, false),
            Figure::Over(limit) => (limit.as_secs_f64(), true),
            Figure::Failed => return None,
        };
        // Of what is better the more there is, the inverse: longer bars are worse everywhere.
        let ratio = if metric.unit == Unit::Rate { ours / theirs } else { theirs / ours };
        (ratio.is_finite() && ratio > 0.0).then_some((*name, ratio, bound))
    };
    let ratios: Vec<_> = others.iter().filter_map(ratio).collect();
    (!ratios.is_empty()).then(|| Line { title: report::title(metric, layout, processes), ratios })
}

fn draw(lines: &[Line], others: &[Name]) -> String {
    let height_of = |line: &Line| BAR * line.ratios.len() as f64 + GAP;
    let height = TOP + lines.iter().map(height_of).sum::<f64>();
    let width = TEXT + SCALE + 60.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"10\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let mut put = |text: String| svg.push_str(&text);
    for (index, name) in others.iter().enumerate() {
        let x = 8.0 + 90.0 * index as f64;
        put(format!("<rect x=\"{x}\" y=\"8\" width=\"10\" height=\"10\" fill=\"{}\"/>\n", colour(*name)));
        put(format!("<text x=\"{}\" y=\"17\">{}</text>\n", x + 14.0, name.title()));
    }
    for decade in DECADES {
        let x = TEXT + place(10_f64.powi(decade));
        let stroke = if decade == 0 { "black" } else { "#ddd" };
        put(format!("<line x1=\"{x}\" y1=\"30\" x2=\"{x}\" y2=\"{height}\" stroke=\"{stroke}\"/>\n"));
        put(format!("<text x=\"{x}\" y=\"27\" text-anchor=\"middle\">{}</text>\n", 10_f64.powi(decade)));
    }
    let mut y = TOP;
    for line in lines {
        let middle = y + BAR * line.ratios.len() as f64 / 2.0 + 3.5;
        let title = line.title.replace('&', "&amp;").replace('<', "&lt;").replace('`', "");
        put(format!("<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{title}</text>\n", TEXT - 90.0));
        for (name, ratio, bound) in &line.ratios {
            let (one, end) = (TEXT + place(1.0), TEXT + place(*ratio));
            let (x, length) = (one.min(end), (end - one).abs().max(1.0));
            let (fill, at) = (colour(*name), one.max(end) + 3.0);
            let digits = if *ratio < 10.0 { 2 } else { 0 };
            let more = if *bound { "&gt; " } else { "" };
            put(format!(
                "<rect x=\"{x}\" y=\"{y}\" width=\"{length}\" height=\"{}\" fill=\"{fill}\"/>\n",
                BAR - 1.0
            ));
            put(format!(
                "<text x=\"{at}\" y=\"{}\" font-size=\"8\">{more}{ratio:.digits$}</text>\n",
                y + 7.5
            ));
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where on the scale; what lies beyond its ends is drawn there.
fn place(ratio: f64) -> f64 {
    let (low, high) = (f64::from(*DECADES.start()), f64::from(*DECADES.end()));
    SCALE * (ratio.log10().clamp(low, high) - low) / (high - low)
}

const fn colour(name: Name) -> &'static str {
    match name {
        Name::Circusd => "#2a7",
        Name::Circus => "#c63",
        Name::Supervisor => "#68b",
        Name::Limit => "#999",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_has_its_place_on_a_logarithmic_scale() {
        let fifth = SCALE / 5.0;
        for (ratio, wanted) in [(0.01, 0.0), (0.1, 0.0), (1.0, fifth), (100.0, 3.0 * fifth), (1e9, SCALE)] {
            assert!((place(ratio) - wanted).abs() < 1e-9, "{ratio}");
        }
    }

    #[test]
    fn what_is_better_the_more_there_is_is_drawn_the_other_way_round() {
        let metric = Metric { what: "it", unit: Unit::Rate, target: None };
        let mut sheet = Sheet::default();
        sheet.put(&metric, Layout::One, Name::Circusd, Figure::Value(50.0));
        sheet.put(&metric, Layout::One, Name::Circus, Figure::Value(10.0));
        let line = line(1, &sheet, Layout::One, &metric, &[Name::Circus]).expect("it has figures");
        assert_eq!(line.ratios, [(Name::Circus, 5.0, false)]);
    }
}
