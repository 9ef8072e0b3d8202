//! Bars in groups: the time of each rival, as a multiple of one rival's.

use super::svg::{Anchor, Style, Svg, legend, tick_text, ticks};
use crate::report::{Rival, number};

/// A group of bars.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) name: String,
    pub(super) rivals: &'a [Rival],
    /// The value that is shown as 1.
    pub(super) base: f64,
    /// Whether this is the mean of the other groups, which is drawn apart from them.
    pub(super) mean: bool,
}

/// The settings common to all bars.
#[derive(Debug)]
pub(super) struct Axis<'a> {
    pub(super) label: &'a str,
    pub(super) unit: &'a str,
    /// The length at which longer bars are cut. They show their number.
    pub(super) most: f64,
}

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 52.0;
const HEIGHT: f64 = 270.0;

/// Draws vertical bars, for many groups.
pub(super) fn standing(groups: &[Group<'_>], axis: &Axis<'_>, label: &str) -> String {
    let names = names(groups);
    let longest = groups.iter().map(|group| group.name.chars().count()).max().unwrap_or(0);
    let below = longest.min(34) as f64 * 5.2 + 22.0;
    let mut svg = Svg::new(WIDTH, 56.0 + HEIGHT + below);
    let top = 26.0 + legend(&mut svg, [LEFT, 6.0], WIDTH - LEFT, &names);
    let bottom = top + HEIGHT;

    let longest = groups
        .iter()
        .flat_map(|group| group.rivals.iter().map(|rival| rival.sample.median / group.base));
    let most = longest.fold(1.0, f64::max).min(axis.most);
    let ticks = ticks(most, 5);
    let most = ticks.last().copied().unwrap_or(1.0);
    let y = |value: f64| bottom - value.min(most) / most * HEIGHT;
    for tick in &ticks {
        svg.line([LEFT, y(*tick), WIDTH, y(*tick)], "grid");
        svg.text([LEFT - 6.0, y(*tick) + 4.0], Anchor::End, "small", &tick_text(*tick));
    }
    svg.text([4.0, top - 12.0], Anchor::Start, "small", axis.label);

    let shares: f64 = groups.iter().map(share).sum();
    let mut start = LEFT;
    for group in groups {
        let step = (WIDTH - LEFT) / shares.max(1.0) * share(group);
        let (left, width) = (start + step * 0.1, step * 0.8 / names.len().max(1) as f64);
        if group.mean {
            svg.line([start, top, start, bottom], "axis");
        }
        for rival in group.rivals {
            let Some(place) = names.iter().position(|(name, _)| *name == rival.name) else {
                continue;
            };
            let x = left + place as f64 * width;
            standing_bar(&mut svg, group, rival, axis, names[place].1, [x, width, most], &y);
        }
        let shown: String = group.name.chars().take(34).collect();
        let class = if group.mean { "small strong" } else { "small" };
        svg.text_upwards([start + step * 0.5, bottom + 12.0], class, &shown);
        start += step;
    }
    svg.line([LEFT, y(1.0), WIDTH, y(1.0)], "one");
    svg.line([LEFT, bottom, WIDTH, bottom], "axis");
    svg.finish(label)
}

/// Returns the relative width of a group: a mean needs some for its numbers.
fn share(group: &Group<'_>) -> f64 {
    if group.mean { 4.5 } else { 1.0 }
}

fn standing_bar(
    svg: &mut Svg,
    group: &Group<'_>,
    rival: &Rival,
    axis: &Axis<'_>,
    style: Style,
    [x, width, most]: [f64; 3],
    y: &dyn Fn(f64) -> f64,
) {
    let value = rival.sample.median / group.base;
    let title = title(group, rival, axis.unit);
    svg.bar([x, y(value), width, y(0.0) - y(value)], style, &title);
    let (low, high) = rival.sample.quartiles();
    let middle = x + width / 2.0;
    let shown = high / group.base <= most && high > low;
    if shown {
        svg.line([middle, y(low / group.base), middle, y(high / group.base)], "spread");
    }
    if value > most || group.mean {
        let above = y(if shown { high / group.base } else { value });
        svg.text([middle, above - 3.0], Anchor::Middle, "tiny", &number(value));
    }
}

/// Returns all names that occur, in their order, with their styles.
fn names(groups: &[Group<'_>]) -> Vec<(String, Style)> {
    let mut names: Vec<(String, Style)> = Vec::new();
    for rival in groups.iter().flat_map(|group| group.rivals) {
        if !names.iter().any(|(name, _)| *name == rival.name) {
            names.push((rival.name.clone(), Style::of(&rival.name, names.len())));
        }
    }
    names
}

/// Returns the description of a bar: its time, its spread and its runs.
fn title(group: &Group<'_>, rival: &Rival, unit: &str) -> String {
    let (low, high) = rival.sample.quartiles();
    format!(
        "{}, {}: {} {unit} ({}..{}), {}x, {} runs",
        group.name,
        rival.name,
        number(rival.sample.median),
        number(low),
        number(high),
        number(rival.sample.median / group.base),
        rival.sample.runs.len()
    )
}

/// Draws horizontal bars with their numbers beside them, for few groups.
pub(super) fn lying(groups: &[Group<'_>], axis: &Axis<'_>, label: &str) -> String {
    const NAMES: f64 = 190.0;
    const BAR: f64 = 17.0;
    let names = names(groups);
    let bars: usize = groups.iter().map(|group| group.rivals.len()).sum();
    let height = bars as f64 * BAR + groups.len() as f64 * 14.0 + 70.0;
    let mut svg = Svg::new(WIDTH, height);
    let top = 8.0 + legend(&mut svg, [NAMES, 6.0], WIDTH - NAMES, &names);
    let longest = groups
        .iter()
        .flat_map(|group| group.rivals.iter().map(|rival| rival.sample.median / group.base));
    let most = longest.fold(1.0, f64::max).min(axis.most);
    // The numbers are to the right of the longest bar.
    let scale = (WIDTH - NAMES - 150.0) / most;
    let ticks = ticks(most, 5);
    let mut y = top + 4.0;
    let bottom = y + bars as f64 * BAR + groups.len() as f64 * 14.0;
    for tick in ticks.iter().filter(|tick| **tick <= most * 1.001) {
        let x = NAMES + tick * scale;
        svg.line([x, y, x, bottom], "grid");
        svg.text([x, bottom + 14.0], Anchor::Middle, "small", &tick_text(*tick));
    }
    svg.text([WIDTH - 4.0, bottom + 14.0], Anchor::End, "small", axis.label);
    for group in groups {
        let middle = y + group.rivals.len() as f64 * BAR / 2.0 + 4.0;
        svg.text([NAMES - 10.0, middle], Anchor::End, "", &group.name);
        for rival in group.rivals {
            let place = names.iter().position(|(name, _)| *name == rival.name).unwrap_or(0);
            let value = rival.sample.median / group.base;
            let width = value.min(most) * scale;
            svg.bar([NAMES, y, width, BAR - 3.0], names[place].1, &title(group, rival, axis.unit));
            let (low, high) = rival.sample.quartiles();
            let [low, high] =
                [low, high].map(|value| NAMES + (value / group.base).min(most) * scale);
            if high > low {
                svg.line([low, y + BAR / 2.0 - 1.5, high, y + BAR / 2.0 - 1.5], "spread");
            }
            let text =
                format!("{} {}  ({})", number(rival.sample.median), axis.unit, number(value));
            svg.text([high.max(NAMES + width) + 6.0, y + 11.0], Anchor::Start, "small", &text);
            y += BAR;
        }
        y += 14.0;
    }
    svg.line([NAMES, top, NAMES, bottom], "axis");
    svg.finish(label)
}

/// Draws bars whose parts add up to a whole.
pub(super) fn stacked(groups: &[Group<'_>], unit: &str, label: &str) -> String {
    const NAMES: f64 = 120.0;
    const BAR: f64 = 34.0;
    let names: Vec<(String, Style)> =
        names(groups).into_iter().enumerate().map(|(at, (name, _))| (name, Style(at))).collect();
    let mut svg = Svg::new(WIDTH, groups.len() as f64 * (BAR + 22.0) + 110.0);
    let top = 8.0 + legend(&mut svg, [NAMES, 6.0], WIDTH - NAMES, &names);
    let whole = |group: &Group<'_>| group.rivals.iter().map(|part| part.sample.median).sum::<f64>();
    let most = groups.iter().map(whole).fold(0.0, f64::max);
    let ticks = ticks(most, 6);
    let scale = (WIDTH - NAMES - 70.0) / ticks.last().copied().unwrap_or(1.0);
    let bottom = top + groups.len() as f64 * (BAR + 22.0);
    for tick in &ticks {
        let x = NAMES + tick * scale;
        svg.line([x, top, x, bottom], "grid");
        svg.text([x, bottom + 15.0], Anchor::Middle, "small", &tick_text(*tick));
    }
    svg.text([WIDTH - 4.0, bottom + 31.0], Anchor::End, "small", unit);
    for (at, group) in groups.iter().enumerate() {
        let y = top + 10.0 + at as f64 * (BAR + 22.0);
        svg.text([NAMES - 10.0, y + BAR / 2.0 + 4.0], Anchor::End, "", &group.name);
        let mut x = NAMES;
        for (place, part) in group.rivals.iter().enumerate() {
            let width = part.sample.median * scale;
            let said = format!("{}: {} {unit}", part.name, number(part.sample.median));
            svg.bar([x, y, width, BAR], Style(place), &said);
            if width > 34.0 {
                let value = number(part.sample.median);
                svg.text([x + width / 2.0, y + BAR + 13.0], Anchor::Middle, "tiny", &value);
            }
            x += width;
        }
        svg.text(
            [x + 6.0, y + BAR / 2.0 + 4.0],
            Anchor::Start,
            "small strong",
            &number(whole(group)),
        );
    }
    svg.line([NAMES, top, NAMES, bottom], "axis");
    svg.finish(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Sample;

    fn rivals(values: &[f64]) -> Vec<Rival> {
        let named = values.iter().enumerate();
        named
            .map(|(at, value)| Rival {
                name: format!("rival {at}"),
                sample: Sample::of(vec![value * 0.9, *value, value * 1.1]).unwrap(),
            })
            .collect()
    }

    fn group<'a>(name: &str, rivals: &'a [Rival], base: f64) -> Group<'a> {
        Group { name: name.into(), rivals, base, mean: false }
    }

    const AXIS: Axis<'_> = Axis { label: "times", unit: "ms", most: 4.0 };

    #[test]
    fn each_rival_has_a_bar_of_its_length_and_a_longer_one_is_cut_and_says_its_number() {
        let rivals = rivals(&[2.0, 1.0, 20.0]);
        let drawn = standing(&[group("k", &rivals, 1.0)], &AXIS, "all");
        // Each name has one rectangle in the legend and one in the figure.
        assert_eq!(drawn.matches("<rect").count(), 6, "{drawn}");
        assert!(
            drawn.contains(r#"height="135.0""#) && drawn.contains(r#"height="67.5""#),
            "{drawn}"
        );
        assert!(drawn.contains(r#"height="270.0""#) && drawn.contains(">20.0</text>"), "{drawn}");
        assert!(drawn.contains("k, rival 0: 2.00 ms (1.90..2.10), 2.00x, 3 runs"), "{drawn}");
    }

    #[test]
    fn horizontal_bars_show_their_time_and_its_multiple() {
        let rivals = rivals(&[8.0, 4.0]);
        let drawn = lying(&[group("w", &rivals, 8.0)], &AXIS, "all");
        assert!(drawn.contains(">4.00 ms  (0.500)</text>"), "{drawn}");
    }

    #[test]
    fn the_parts_of_a_bar_follow_each_other() {
        let rivals = rivals(&[1.0, 3.0]);
        let drawn = stacked(&[group("w", &rivals, 1.0)], "us", "all");
        assert!(drawn.contains(">4.00</text>"), "{drawn}");
        let starts: Vec<&str> = drawn
            .lines()
            .filter(|line| line.contains(r#"height="34.0""#))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert_eq!(starts, ["120.0", "347.5"], "{drawn}");
    }
}
