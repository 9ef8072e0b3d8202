//! The figures, one kind for each measurement.

use super::bars::{Axis, Group, lying, stacked, standing};
use super::svg::{Svg, escape, legend};
use super::{caption, lines};
use crate::report::{Point, Report, Rival, Section, Series};
use crate::speedtest::PAPER;

/// Returns the heading and the figures of a section; nothing if tables show it better.
pub(super) fn of(report: &Report, section: &Section) -> String {
    let figures = match &*section.name {
        "polybench" => polybench(report, section),
        "speedtest" => speedtest(report, section),
        "micro" => micro(report, section),
        "breakdown" => breakdown(report, section),
        "ipfs" => ipfs(report, section),
        "cost" => starts(report, section),
        _ => return String::new(),
    };
    let heading = match &*section.name {
        "polybench" => "PolyBench: computing",
        "speedtest" => "Speedtest1: SQLite's own benchmark",
        "micro" => "SQLite, record by record",
        "breakdown" => "Where the time of a protected file goes",
        "ipfs" => "The research system's change, repeated, and beyond",
        _ => "Starts",
    };
    let about = escape(&section.about);
    let beside = super::tables::beside(section);
    format!("<h2>{heading}</h2>\n<p class=\"note\">{about}</p>\n{figures}{beside}")
}

fn figure(drawing: &str, caption: &str) -> String {
    format!("<figure>\n{drawing}{caption}</figure>\n")
}

/// Returns the median of the rival with that name.
fn base(rivals: &[Rival], name: &str) -> Option<f64> {
    let rival = rivals.iter().find(|rival| rival.name == name);
    rival.map(|rival| rival.sample.median).filter(|median| *median > 0.0)
}

fn polybench(report: &Report, section: &Section) -> String {
    const BASE: &str = "native, gcc -O3";
    let groups: Vec<Group<'_>> = section
        .cases
        .iter()
        .filter_map(|case| {
            // The mean is already one of multiples.
            let mean = case.name == "geometric mean";
            let base = if mean { Some(1.0) } else { base(&case.rivals, BASE) };
            Some(Group { name: case.name.clone(), rivals: &case.rivals, base: base?, mean })
        })
        .collect();
    let axis = Axis { label: "time, as a multiple of native gcc -O3", unit: "ms", most: 5.0 };
    let text = "Time of each kernel as a multiple of native gcc -O3's; at the right, the geometric \
                mean. Bars beyond 5 are cut and say their number.";
    figure(&standing(&groups, &axis, "PolyBench"), &caption(report, section, text))
}

fn speedtest(report: &Report, section: &Section) -> String {
    const BASE: &str = "SQLite, native";
    let mut figures = String::new();
    for series in &section.series {
        let in_paper = |point: &&Point| {
            point.at.is_some_and(|at| PAPER.iter().any(|test| f64::from(*test) == at))
        };
        let mut groups: Vec<Group<'_>> = series
            .points
            .iter()
            .filter(in_paper)
            .filter_map(|point| {
                let name = point.name.split(' ').next().unwrap_or_default().to_owned();
                let base = base(&point.rivals, BASE)?;
                Some(Group { name, rivals: &point.rivals, base, mean: false })
            })
            .collect();
        let left_out = series.points.iter().filter(in_paper).count() - groups.len();
        let total = section.cases.iter().find(|case| case.name == series.name);
        if let Some((case, base)) = total.and_then(|case| Some((case, base(&case.rivals, BASE)?))) {
            let name = "whole run".to_owned();
            groups.push(Group { name, rivals: &case.rivals, base, mean: true });
        }
        let axis = Axis { label: "time, as a multiple of native SQLite", unit: "s", most: 6.0 };
        let text = format!(
            "{}: time of each test as a multiple of native, unencrypted SQLite's; at the right, the \
             whole run. The numbers are SQLite's; their names are in the table below. Bars beyond \
             6 are cut and say their number. Tests of a few milliseconds scatter, and those that \
             native SQLite does in less than the millisecond that is shown are left out: {}.",
            series.name,
            if left_out == 0 { "none".to_owned() } else { left_out.to_string() }
        );
        figures += &format!("<h3>{}</h3>\n", escape(&series.name));
        figures +=
            &figure(&standing(&groups, &axis, &series.name), &caption(report, section, &text));
    }
    figures
}

fn micro(report: &Report, section: &Section) -> String {
    let mut names = Vec::new();
    for name in section.series.iter().flat_map(lines::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut key = Svg::new(1100.0, 34.0);
    legend(&mut key, [4.0, 8.0], 1090.0, &names);
    let mut plots = key.finish("rivals");
    // Files are on the left, memory is on the right.
    let kind = |series: &&Series| series.name.split_once(", ").map(|(_, work)| work.to_owned());
    let mut works: Vec<_> = section.series.iter().map(|series| kind(&series)).collect();
    works.dedup();
    let mut ordered: Vec<&Series> = section.series.iter().collect();
    ordered.sort_by_key(|series| works.iter().position(|work| *work == kind(series)));
    plots += "<div class=\"plots\">\n";
    plots += &ordered.into_iter().map(lines::plot).collect::<String>();
    plots += "</div>\n";
    let text = "Time for one record of 1,000 bytes over the number of records in the table. SQLite has \
                8 MiB of cache, so what lies beyond comes from the file.";
    figure(&plots, &caption(report, section, text))
}

fn breakdown(report: &Report, section: &Section) -> String {
    let Some(parts) = section.series.first() else { return String::new() };
    let groups: Vec<Group<'_>> = parts
        .points
        .iter()
        .map(|point| Group {
            name: point.name.clone(),
            rivals: &point.rivals,
            base: 1.0,
            mean: false,
        })
        .collect();
    let text = "Microseconds of one record in SQLite on a volume in the enclave. SQLite itself is what \
                the same takes with the database in the enclave's memory. The other parts are counts of \
                the run times what one costs, and the rest is what is left. Where a database in memory \
                takes longer than one on the volume (its memory grows), SQLite and the rest are not \
                told apart.";
    let drawing = stacked(&groups, "us a record", "parts of the time");
    figure(&drawing, &caption(report, section, text))
}

fn ipfs(report: &Report, section: &Section) -> String {
    // The first of them is as of 2020; older results use another name for it.
    let like = |rival: &&Rival| rival.name.starts_with("IPFS-like");
    let mut figures = String::new();
    for with_exits in [false, true] {
        let groups: Vec<Group<'_>> = section
            .cases
            .iter()
            .filter(|case| case.name.ends_with(", with exits") == with_exits)
            .filter_map(|case| {
                let name = case.name.trim_end_matches(", with exits").to_owned();
                let base = base(&case.rivals, &case.rivals.iter().find(like)?.name)?;
                Some(Group { name, rivals: &case.rivals, base, mean: false })
            })
            .collect();
        let exit = section.cases.iter().flat_map(|case| &case.details);
        let exit =
            exit.rev().find(|detail| detail.name == "an exit, us").map(|detail| detail.value);
        let (heading, text) = match (with_exits, exit) {
            (false, _) => (
                "Natively".to_owned(),
                "All run natively, so a call of the host costs a system call here and nothing more. \
                 The bars are times as multiples of the model of the library as of 2020. The two \
                 changes (nodes are not cleared, and are opened straight from the host's buffer) \
                 are unsafe in an enclave: memory that the host can change is read twice. That mode \
                 is in this measurement only, in no product."
                    .to_owned(),
            ),
            (true, Some(exit)) => (
                "With the exits that an enclave would make".to_owned(),
                format!(
                    "The same runs, and {exit:.2} us added for each call of the host, which is what \
                     an exit and an entry were measured to cost here. Our volume reads from a \
                     mapping of the host's file, without an exit. Calculated, not run in an enclave."
                ),
            ),
            (true, None) => continue,
        };
        let axis = Axis { label: "of the time as of 2020", unit: "us", most: 1.5 };
        figures += &format!("<h3>{heading}</h3>\n");
        figures += &figure(&lying(&groups, &axis, &heading), &caption(report, section, &text));
    }
    figures
}

fn starts(report: &Report, section: &Section) -> String {
    const BASE: &str = "wasmtime outside, compiling";
    let groups: Vec<Group<'_>> = section
        .cases
        .iter()
        .filter_map(|case| {
            let name = case.name.strip_suffix(", start")?.to_owned();
            let base = base(&case.rivals, BASE)?;
            Some(Group { name, rivals: &case.rivals, base, mean: false })
        })
        .collect();
    let axis = Axis { label: "of wasmtime's time", unit: "ms", most: 5.0 };
    let text = "The whole process of a program that ends at once, as a multiple of wasmtime's outside, \
                which compiles with its own settings each time. A first start compiles in the enclave; \
                a later one opens the sealed code.";
    figure(&lying(&groups, &axis, "starts"), &caption(report, section, text))
}
