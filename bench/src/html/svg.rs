//! Drawings: axes, and the few SVG elements that the figures need.

use std::fmt::Write;

/// Escapes a text for HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            // Documents cannot contain control characters, however they are written.
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The position of a text relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in progress.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Svg { width, height, body: String::new() }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    /// Draws a rectangle in a style.
    pub(super) fn bar(&mut self, [x, y, width, height]: [f64; 4], style: Style, title: &str) {
        let (fill, stroke) = (style.fill(), style.stroke());
        self.add(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}" stroke="{stroke}" stroke-width="0.8"><title>{}</title></rect>"#,
            escape(title)
        ));
    }

    /// Draws a line of one of the page's classes.
    pub(super) fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], class: &str) {
        self.add(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" class="{class}"/>"#
        ));
    }

    pub(super) fn text(&mut self, [x, y]: [f64; 2], anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{}</text>"#,
            escape(text)
        ));
    }

    /// Draws a text that runs upwards and ends at its point.
    pub(super) fn text_upwards(&mut self, [x, y]: [f64; 2], class: &str, text: &str) {
        self.add(format_args!(
            r#"<text transform="translate({x:.1} {y:.1}) rotate(-60)" text-anchor="end" class="{class}">{}</text>"#,
            escape(text)
        ));
    }

    pub(super) fn curve(&mut self, points: &[[f64; 2]], style: Style) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(
            r#"<polyline points="{}" fill="none" stroke="{}" stroke-width="1.8" stroke-dasharray="{}"/>"#,
            points.join(" "),
            style.stroke(),
            style.dashes()
        ));
    }

    /// Draws a mark in the shape of the style, so that curves also differ without colours.
    pub(super) fn mark(&mut self, [x, y]: [f64; 2], style: Style, title: &str) {
        const R: f64 = 3.6;
        let path = match style.0 % 5 {
            0 => format!(
                "M{:.1} {y:.1} a{R} {R} 0 1 0 {d} 0 a{R} {R} 0 1 0 -{d} 0",
                x - R,
                d = 2.0 * R
            ),
            1 => format!("M{:.1} {:.1} h{d} v{d} h-{d} z", x - R, y - R, d = 2.0 * R),
            2 => format!("M{x:.1} {:.1} l{R} {h} h-{d} z", y - R, h = 2.0 * R, d = 2.0 * R),
            3 => format!("M{x:.1} {:.1} l{R} {R} l-{R} {R} l-{R} -{R} z", y - R),
            _ => format!("M{x:.1} {:.1} l{R} -{h} h-{d} z", y + R, h = 2.0 * R, d = 2.0 * R),
        };
        let (fill, stroke) = (style.mark_fill(), style.stroke());
        self.add(format_args!(
            r#"<path d="{path}" fill="{fill}" stroke="{stroke}" stroke-width="1.4"><title>{}</title></path>"#,
            escape(title)
        ));
    }

    /// Returns the element, with a text for readers who do not see it.
    pub(super) fn finish(self, label: &str) -> String {
        let Svg { width, height, body } = self;
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" role=\"img\" \
             aria-label=\"{}\">\n{body}</svg>\n",
            escape(label)
        )
    }
}

/// The look of one of the rivals. Readers who see few colours can tell the colours apart (after
/// Okabe and Ito). They differ in lightness, and have patterns where that is not enough in grey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style(pub(super) usize);

/// Fill, stroke, and dashes of a curve.
const STYLES: [[&str; 3]; 8] = [
    ["#08519c", "#08519c", "none"],
    ["#e69f00", "#b97f00", "7 3"],
    ["#d0d0d0", "#6e6e6e", "2 3"],
    ["url(#diagonal)", "#333333", "9 3 2 3"],
    ["url(#dots)", "#00735a", "5 2"],
    ["#9ecae1", "#4a87a8", "none"],
    ["#7a0177", "#7a0177", "none"],
    ["url(#across)", "#a04000", "none"],
];

impl Style {
    fn field(self, which: usize) -> &'static str {
        STYLES[self.0 % STYLES.len()][which]
    }

    fn fill(self) -> &'static str {
        self.field(0)
    }

    fn stroke(self) -> &'static str {
        self.field(1)
    }

    fn dashes(self) -> &'static str {
        self.field(2)
    }

    fn mark_fill(self) -> &'static str {
        if self.fill().starts_with("url") { "#ffffff" } else { self.fill() }
    }

    /// Returns a rival's style, which is the same in all figures. An unknown rival gets the style
    /// of its place.
    pub(super) fn of(rival: &str, place: usize) -> Self {
        const KNOWN: [(&str, usize); 12] = [
            ("with SIMD", 4),
            ("256 KiB of cache", 5),
            ("IPFS-like, with", 3),
            ("IPFS-like of 2020, changed", 3),
            ("IPFS-like, today", 2),
            ("IPFS-like", 1),
            ("SQLCipher 3", 4),
            ("SQLCipher", 3),
            ("clang", 3),
            ("native", 2),
            ("wasmtime", 1),
            ("in the enclave", 0),
        ];
        let known = KNOWN.iter().find(|(part, _)| rival.contains(part));
        Style(known.map_or(place, |(_, style)| *style))
    }
}

/// The patterns that the styles refer to, once for each page.
pub(super) const PATTERNS: &str = r##"<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>
<pattern id="diagonal" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="5" height="5" fill="#ffffff"/><rect width="2" height="5" fill="#333333"/></pattern>
<pattern id="dots" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" fill="#ffffff"/><circle cx="2.5" cy="2.5" r="1.5" fill="#00735a"/></pattern>
<pattern id="across" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" fill="#ffffff"/><rect width="5" height="2" fill="#a04000"/></pattern>
</defs></svg>
"##;

/// Returns about `count` round numbers from 0 to at least `most`.
pub(super) fn ticks(most: f64, count: usize) -> Vec<f64> {
    if !(most.is_finite() && most > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = most / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|step| step * power >= rough * 0.999);
    let step = step.unwrap_or(10.0) * power;
    let last = (most / step - 1e-9).ceil() as usize;
    (0..=last).map(|tick| tick as f64 * step).collect()
}

/// Returns numbers from below `least` to above `most`, each about twice the one before, for values
/// that one scale of equal steps would not show.
pub(super) fn ticks_of_powers(least: f64, most: f64) -> Vec<f64> {
    let mut ticks = Vec::new();
    let mut power = 10_f64.powf(least.log10().floor());
    while ticks.last().is_none_or(|last| *last < most) && ticks.len() < 40 {
        for step in [1.0, 2.0, 5.0] {
            let tick = step * power;
            let below = ticks.first().is_some_and(|first| *first <= least);
            if tick <= least {
                ticks.clear();
            }
            if tick <= least || (below && ticks.last().is_some_and(|last| *last < most)) {
                ticks.push(tick);
            }
        }
        power *= 10.0;
    }
    ticks
}

/// Returns a tick's number with as few digits as possible.
pub(super) fn tick_text(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text.split_at_checked(text.len().saturating_sub(3)) {
        Some((thousands, rest)) if value >= 1000.0 && !text.contains('.') => {
            format!("{thousands},{rest}")
        }
        _ => text.to_owned(),
    }
}

/// Draws the names of the rivals, with their styles, from a point to the right. Returns the height.
pub(super) fn legend(
    svg: &mut Svg,
    [x, y]: [f64; 2],
    width: f64,
    names: &[(String, Style)],
) -> f64 {
    let (mut at, mut row) = (x, y);
    for (name, style) in names {
        let needs = 26.0 + name.chars().count() as f64 * 6.6 + 14.0;
        if at + needs > x + width && at > x {
            (at, row) = (x, row + 20.0);
        }
        svg.bar([at, row, 18.0, 11.0], *style, name);
        svg.text([at + 24.0, row + 10.0], Anchor::Start, "small", name);
        at += needs;
    }
    row - y + 22.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_in_svg() {
        let text = r#"<script>alert("a" & 'b')</script>"#;
        let expected = "&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;";
        assert_eq!(escape(text), expected);
        assert_eq!(escape("a\u{0}\u{1b}b\nc ä"), "a\u{fffd}\u{fffd}b\nc ä");
    }

    #[test]
    fn all_texts_of_a_drawing_are_escaped() {
        let bad = "<b>&\"";
        let mut svg = Svg::new(10.0, 10.0);
        svg.text([0.0, 0.0], Anchor::Start, "small", bad);
        svg.text_upwards([0.0, 0.0], "small", bad);
        svg.bar([0.0; 4], Style(0), bad);
        svg.mark([0.0; 2], Style(1), bad);
        let drawn = svg.finish(bad);
        assert_eq!(drawn.matches("&lt;b&gt;&amp;&quot;").count(), 5, "{drawn}");
        assert!(!drawn.contains("<b>"));
    }

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        assert_eq!(ticks(4.2, 5), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(ticks(175_000.0, 4), [0.0, 50_000.0, 100_000.0, 150_000.0, 200_000.0]);
        assert_eq!(ticks(5.0, 5).last(), Some(&5.0));
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(ticks(none, 5), [0.0, 1.0]);
        }
        assert_eq!([0.25, 1.0, 50_000.0, 1500.0].map(tick_text), ["0.25", "1", "50,000", "1,500"]);
    }

    #[test]
    fn ticks_of_powers_begin_below_and_end_above() {
        assert_eq!(ticks_of_powers(3.0, 120.0), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
        assert_eq!(ticks_of_powers(1.0, 10.0), [1.0, 2.0, 5.0, 10.0]);
        assert_eq!(ticks_of_powers(0.6, 0.9), [0.5, 1.0]);
    }

    #[test]
    fn a_rival_looks_the_same_wherever_it_stands() {
        assert_eq!(Style::of("native, gcc -O3", 0), Style::of("SQLite, native", 3));
        assert_eq!(Style::of("outside, wasmtime", 0), Style(1));
        assert_ne!(Style::of("in the enclave, with SIMD", 0), Style::of("in the enclave", 0));
    }
}
