//! Curves: a value of each rival over a number.

use super::svg::{Anchor, Style, Svg, tick_text, ticks, ticks_of_powers};
use crate::report::{Series, number};

pub(super) const WIDTH: f64 = 540.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 38.0;

/// Returns the names of a series' rivals, with their styles.
pub(super) fn names(series: &Series) -> Vec<(String, Style)> {
    let rivals = series.points.first().map_or(&[][..], |point| &point.rivals);
    let named = rivals.iter().enumerate();
    named.map(|(at, rival)| (rival.name.clone(), Style::of(&rival.name, at))).collect()
}

/// Draws one plot, without a legend.
pub(super) fn plot(series: &Series) -> String {
    let mut svg = Svg::new(WIDTH, TOP + HEIGHT + 40.0);
    let values = series.points.iter().flat_map(|point| &point.rivals);
    let most_y = values.map(|rival| rival.sample.quartiles().1).fold(0.0, f64::max);
    let most_x = series.points.iter().filter_map(|point| point.at).fold(0.0, f64::max);
    let values = series.points.iter().flat_map(|point| &point.rivals);
    let least_y = values.map(|rival| rival.sample.quartiles().0).fold(most_y, f64::min);
    // If one rival takes ten times another's time, equal steps would hide the small values.
    let powers = least_y > 0.0 && most_y > 10.0 * least_y;
    let y_ticks = if powers { ticks_of_powers(least_y, most_y) } else { ticks(most_y, 5) };
    let x_ticks = ticks(most_x, 4);
    let end = |ticks: &[f64]| ticks.last().copied().unwrap_or(1.0);
    let start = y_ticks.first().copied().unwrap_or(0.0);
    let part = |value: f64| match powers {
        true => (value / start).ln() / (end(&y_ticks) / start).ln(),
        false => value / end(&y_ticks),
    };
    let x = |value: f64| LEFT + value / end(&x_ticks) * (WIDTH - LEFT - 24.0);
    let bottom = TOP + HEIGHT;
    let y = |value: f64| bottom - part(value) * HEIGHT;
    for tick in &y_ticks {
        svg.line([LEFT, y(*tick), x(end(&x_ticks)), y(*tick)], "grid");
        svg.text([LEFT - 6.0, y(*tick) + 4.0], Anchor::End, "small", &tick_text(*tick));
    }
    for tick in &x_ticks {
        svg.line([x(*tick), bottom, x(*tick), bottom + 4.0], "axis");
        svg.text([x(*tick), bottom + 17.0], Anchor::Middle, "small", &tick_text(*tick));
    }
    let steps = if powers { ", in steps that double" } else { "" };
    let unit = format!("{} each{steps}", series.unit);
    svg.text([4.0, 14.0], Anchor::Start, "strong", &series.name);
    svg.text([4.0, 29.0], Anchor::Start, "small", &unit);
    let right = x(end(&x_ticks));
    svg.text([right, bottom + 33.0], Anchor::End, "small", &series.axis);
    svg.line([LEFT, bottom, right, bottom], "axis");

    for (name, style) in names(series) {
        let mut curve = Vec::new();
        for point in &series.points {
            let rival = point.rivals.iter().find(|rival| rival.name == name);
            let (Some(rival), Some(at)) = (rival, point.at) else { continue };
            let (low, high) = rival.sample.quartiles();
            if high > low {
                svg.line([x(at), y(low), x(at), y(high)], "spread");
            }
            let title = format!(
                "{name}, {}: {} {} ({}..{}), {} runs",
                point.name,
                number(rival.sample.median),
                series.unit,
                number(low),
                number(high),
                rival.sample.runs.len()
            );
            curve.push(([x(at), y(rival.sample.median)], title));
        }
        svg.curve(&curve.iter().map(|(place, _)| *place).collect::<Vec<_>>(), style);
        curve.iter().for_each(|(place, title)| svg.mark(*place, style, title));
    }
    svg.finish(&series.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Point, Rival};
    use crate::statistics::Sample;

    #[test]
    fn a_curve_has_a_mark_for_each_place_of_each_rival() {
        let rivals = || {
            ["in the enclave", "SQLite, native"]
                .map(|name| Rival { name: name.into(), sample: Sample::exact(2.0) })
                .to_vec()
        };
        let point = |at: f64| Point { name: at.to_string(), at: Some(at), rivals: rivals() };
        let series = Series {
            name: "file".into(),
            axis: "records".into(),
            unit: "us".into(),
            points: vec![point(1000.0), point(2000.0), point(4000.0)],
        };
        let drawn = plot(&series);
        assert_eq!(drawn.matches("<path").count(), 6, "{drawn}");
        assert_eq!(drawn.matches("<polyline").count(), 2);
        assert!(drawn.contains(">4,000</text>"), "{drawn}");
    }

    #[test]
    fn a_very_slow_rival_does_not_hide_the_others() {
        let rival = |name: &str, value| Rival { name: name.into(), sample: Sample::exact(value) };
        let rivals = vec![rival("a", 1.0), rival("b", 100.0)];
        let series = Series {
            name: "file".into(),
            axis: "records".into(),
            unit: "us".into(),
            points: vec![Point { name: "1".into(), at: Some(1.0), rivals }],
        };
        let drawn = plot(&series);
        assert!(drawn.contains("in steps that double"), "{drawn}");
        // The curve goes from 1 at the bottom to 100 at the top.
        assert!(drawn.contains(r#"points="516.0,268.0""#), "{drawn}");
        assert!(drawn.contains(r#"points="516.0,38.0""#), "{drawn}");
    }
}
