//! The tables: the bars that are met, and all values.

use super::svg::escape;
use crate::report::{Case, Quoted, Rival, Section, Series, number};

/// Returns a table of the bars, and whether they are met.
pub(super) fn bars(sections: &[&Section]) -> String {
    let mut rows = String::new();
    for section in sections {
        for case in &section.cases {
            for judged in &case.bars {
                let median = |name: &str| {
                    let rival = case.rivals.iter().find(|rival| rival.name == name);
                    rival.map(|rival| rival.sample.median)
                };
                let first = case.rivals.first();
                let ours = first.map_or(0.0, |rival| rival.sample.median);
                let against = judged.against.as_deref();
                let theirs = against.and_then(median);
                let cells = [
                    format!("{}: {}", section.name, case.name),
                    format!("{} {}", number(ours), case.unit),
                    against.unwrap_or("-").to_owned(),
                    theirs.map_or("-".into(), |theirs| format!("{} {}", number(theirs), case.unit)),
                    theirs.map_or("-".into(), |theirs| format!("{}x", number(ours / theirs))),
                    judged.bar.to_string(),
                ];
                let cells = cells.map(|cell| format!("<td>{}</td>", escape(&cell)));
                let (class, met) = if judged.met { ("", "met") } else { ("no", "not met") };
                rows += &format!("<tr>{}<td class=\"{class}\">{met}</td></tr>\n", cells.concat());
            }
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<h2>In short</h2>\n<table class=\"long\">\n<tr><th>measure</th><th>Twine</th><th>rival</th>\
         <th>its time</th><th>ratio</th><th>bar</th><th></th></tr>\n{rows}</table>\n"
    )
}

/// Returns all values of a section.
pub(super) fn of(section: &Section) -> String {
    let mut text = format!("<h3>{}</h3>\n", escape(&section.name));
    text += &format!("<p class=\"note\">{}</p>\n", escape(&section.about));
    let mut rest = &section.cases[..];
    while let Some(first) = rest.first() {
        // Cases with the same rivals share a table.
        let same = |case: &&Case| names(&case.rivals) == names(&first.rivals);
        let (together, others) = rest.split_at(rest.iter().take_while(same).count());
        let rows =
            together.iter().map(|case| (format!("{}, {}", case.name, case.unit), &*case.rivals));
        text += &table("", &names(&first.rivals), rows);
        rest = others;
    }
    for series in &section.series {
        text += &of_series(series);
    }
    text += &details(&section.cases);
    for skipped in &section.skipped {
        let (name, reason) = (escape(&skipped.name), escape(&skipped.reason));
        text += &format!("<p class=\"note\">{name}: skipped: {reason}</p>\n");
    }
    text
}

/// Returns the values that others have measured, and the notes on ours.
pub(super) fn beside(section: &Section) -> String {
    let mut text = String::new();
    if !section.quoted.is_empty() {
        text += "<table class=\"wide long\">\n<tr><th>quoted, not measured here</th><th></th>\
                 <th>conditions</th></tr>\n";
    }
    for Quoted { name, unit, value, conditions } in &section.quoted {
        let value = format!("{} {unit}", number(*value));
        let cells = [name, &value, conditions].map(|cell| escape(cell));
        let [name, value, conditions] = cells;
        text += &format!(
            "<tr><td>{name}</td><td>{value}</td><td class=\"left\">{conditions}</td></tr>\n"
        );
    }
    if !section.quoted.is_empty() {
        text += "</table>\n";
    }
    for note in &section.notes {
        text += &format!("<p class=\"note\">{}</p>\n", escape(note));
    }
    text
}

fn names(rivals: &[Rival]) -> Vec<&str> {
    rivals.iter().map(|rival| &*rival.name).collect()
}

fn of_series(series: &Series) -> String {
    let Some(first) = series.points.first() else { return String::new() };
    let head = format!("{}, {} by {}", series.name, series.unit, series.axis);
    let rows = series.points.iter().map(|point| (point.name.clone(), &*point.rivals));
    table(&head, &names(&first.rivals), rows)
}

/// Returns a table with a row for each name and a column for each rival.
fn table<'a>(
    head: &str,
    names: &[&str],
    rows: impl Iterator<Item = (String, &'a [Rival])>,
) -> String {
    let heads: String = names.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let mut text =
        format!("<table class=\"wide long\">\n<tr><th>{}</th>{heads}</tr>\n", escape(head));
    for (name, rivals) in rows {
        text += &format!("<tr><td>{}</td>", escape(&name));
        text.extend(rivals.iter().map(|rival| cell(&rival.sample)));
        text += "</tr>\n";
    }
    text + "</table>\n"
}

fn cell(sample: &crate::statistics::Sample) -> String {
    if sample.runs.len() < 2 {
        return format!("<td>{}</td>", number(sample.median));
    }
    let (low, high) = sample.quartiles();
    format!(
        "<td>{} <span class=\"spread\">[{}..{}] {}</span></td>",
        number(sample.median),
        number(low),
        number(high),
        sample.runs.len()
    )
}

/// Returns the additional numbers of the comparisons.
fn details(cases: &[Case]) -> String {
    let mut rows = String::new();
    for case in cases.iter().filter(|case| !case.details.is_empty()) {
        let details = case.details.iter();
        let details: Vec<String> =
            details.map(|detail| format!("{} {}", detail.name, number(detail.value))).collect();
        let (name, details) = (escape(&case.name), escape(&details.join("; ")));
        rows += &format!("<tr><td>{name}</td><td class=\"left\">{details}</td></tr>\n");
    }
    match rows.is_empty() {
        true => rows,
        false => format!("<table class=\"wide long\">\n{rows}</table>\n"),
    }
}
