//! The report as one HTML page: figures, tables and the notes that readers need. The page loads
//! nothing from elsewhere, and has no scripts.

mod bars;
mod figures;
mod lines;
mod svg;
mod tables;

use crate::error::{Result, about};
use crate::machine::Sgx;
use crate::report::{Report, Section};
use std::fs;
use std::path::Path;
use svg::{PATTERNS, escape};

/// Writes the page.
pub(crate) fn write(report: &Report, path: &Path) -> Result<()> {
    about(path.display(), fs::write(path, page(report)))
}

/// The note on software SGX wherever times are shown.
const SOFTWARE: &str = "Software SGX: nothing of EPC paging, of memory encryption or of what a \
                        real EENTER and EEXIT cost is in these times; an exit is a signal there.";
const HARDWARE: &str = "Hardware SGX.";

/// The order of the sections on the page. Sections that are not listed follow.
const ORDER: [&str; 10] = [
    "polybench",
    "speedtest",
    "micro",
    "breakdown",
    "ipfs",
    "volume",
    "cost",
    "start",
    "compile",
    "call",
];

fn page(report: &Report) -> String {
    let place = |section: &&Section| {
        ORDER.iter().position(|name| *name == section.name).unwrap_or(ORDER.len())
    };
    let mut sections: Vec<&Section> = report.measurements.iter().collect();
    sections.sort_by_key(place);

    let mut body = head(report);
    body += &tables::bars(&sections);
    for section in &sections {
        body += &figures::of(report, section);
    }
    body += "<h2>All values</h2>\n";
    body += "<p class=\"note\">Medians; beside them the quartiles, between which the middle half of \
             the runs lies, and the number of runs. Less is better everywhere.</p>\n";
    for section in &sections {
        body += &tables::of(section);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Twine: measurements</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         {PATTERNS}{body}</body>\n</html>\n",
        include_str!("style.css")
    )
}

/// Returns the head of the page: the software and the machine that were measured.
fn head(report: &Report) -> String {
    let machine = &report.machine;
    let versions = &machine.versions;
    let images = versions.images.iter().map(|image| {
        format!("{}, {:.1} MiB, MRENCLAVE {}", image.name, image.mib, image.mrenclave)
    });
    let rows = [
        (
            "Machine",
            format!(
                "{}, {} cores, {} MiB{}",
                machine.cpu,
                machine.cores,
                machine.memory_mib,
                if machine.virtual_machine { ", virtual machine" } else { "" }
            ),
        ),
        ("SGX", machine.sgx.to_string()),
        ("Kernel", format!("{}, huge pages: {}", machine.kernel, machine.huge_pages)),
        (
            "Scheduling",
            format!("{}; load when it began {:.2}", machine.scheduling, machine.load_average),
        ),
        ("Twine", format!("{}, commit {}", versions.twine, versions.commit)),
        ("Images", images.collect::<Vec<_>>().join("; ")),
        ("Engine", format!("wasmtime {}, built by {}", versions.wasmtime, versions.rustc)),
        ("Rivals", format!("{}; {}", versions.gcc, versions.clang)),
    ];
    let mut head = String::from("<h1>Twine: measurements</h1>\n");
    head += "<p class=\"note\">What it costs to run programs and to keep files in an enclave, each \
             case beside its rivals. Rivals run in turns, each run a process of its own. Shown are \
             medians; thin lines are the quartiles. All figures have the same colours and \
             patterns for the same rivals.</p>\n";
    if report.quick {
        head += "<p class=\"warning\">These are results of --quick: few runs of small cases, which \
                 show that the measurements work and not how fast anything is.</p>\n";
    }
    if machine.busy() {
        head += "<p class=\"warning\">The machine was busy with other work when this began.</p>\n";
    }
    head += "<table class=\"machine\">\n";
    for (name, value) in rows {
        head += &format!("<tr><td>{name}</td><td>{}</td></tr>\n", escape(&value));
    }
    head + "</table>\n"
}

/// Returns the caption of a figure: how to read it, and what it shows.
fn caption(report: &Report, section: &Section, text: &str) -> String {
    let machine = &report.machine;
    let versions = &machine.versions;
    let samples = section.cases.iter().flat_map(|case| &case.rivals);
    let points = section.series.iter().flat_map(|series| &series.points);
    let samples = samples.chain(points.flat_map(|point| &point.rivals));
    let runs: Vec<usize> =
        samples.map(|rival| rival.sample.runs.len()).filter(|runs| *runs > 1).collect();
    let runs = match (runs.iter().min(), runs.iter().max()) {
        (Some(least), Some(most)) if least == most => format!("{least} runs"),
        (Some(least), Some(most)) => format!("{least} to {most} runs"),
        _ => "one run".to_owned(),
    };
    let sgx = match machine.sgx {
        Sgx::Software => SOFTWARE,
        Sgx::Hardware => HARDWARE,
    };
    let facts = format!(
        "{}, {} cores; Twine {} ({}), wasmtime {}, {}, {}; {runs} each, medians, thin lines are \
         quartiles. {sgx}",
        machine.cpu,
        machine.cores,
        versions.twine,
        versions.commit,
        versions.wasmtime,
        versions.gcc,
        versions.clang,
    );
    format!(
        "<figcaption>{} <span class=\"facts\">{}</span></figcaption>\n",
        escape(text),
        escape(&facts)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::report::{Bar, Case, Point, Quoted, Rival, Series};
    use crate::statistics::Sample;

    /// A name that would be markup, used wherever a name can occur.
    const BAD: &str = "<i>&\"x'";

    fn report() -> Report {
        let rivals = [BAD, "native, gcc -O3", "SQLite, native", "IPFS-like, as published"];
        let rivals = rivals.map(|name| (name, Sample::of(vec![1.0, 2.0, 3.0]).unwrap()));
        let mut measurements = Vec::new();
        for name in ORDER.into_iter().chain([BAD]) {
            let mut section = Section::new(name, BAD);
            let case = Case::new(BAD, BAD, rivals.clone(), Some(Bar::AtMost(1.0)));
            section.add(BAD, Ok(case.detail(BAD, 1.0)));
            let rivals = rivals
                .iter()
                .map(|(name, sample)| Rival { name: (*name).into(), sample: sample.clone() })
                .collect();
            section.series.push(Series {
                name: BAD.into(),
                axis: BAD.into(),
                unit: BAD.into(),
                points: vec![Point { name: BAD.into(), at: Some(100.0), rivals }],
            });
            section.skip(BAD, BAD);
            section.notes.push(BAD.into());
            section.quoted.push(Quoted {
                name: BAD.into(),
                unit: BAD.into(),
                value: 1.0,
                conditions: BAD.into(),
            });
            measurements.push(section);
        }
        let mut machine = Machine::unknown();
        machine.cpu = BAD.into();
        machine.versions.gcc = BAD.into();
        Report { machine, quick: true, measurements }
    }

    #[test]
    fn names_are_escaped_in_html() {
        let page = page(&report());
        assert!(!page.contains("<i>") && !page.contains("&\"x"), "{page}");
        assert!(page.contains("&lt;i&gt;&amp;&quot;x&#39;"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_runs_nothing() {
        let page = page(&report());
        for foreign in ["<script", "<link", "src=", "href=", "http:", "https:", "@import", "onload"]
        {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn each_figure_says_machine_versions_runs_and_which_sgx() {
        let page = page(&report());
        let figures = page.matches("<figure").count();
        assert!(figures >= 6, "{figures}");
        assert_eq!(page.matches("<figcaption>").count(), figures);
        assert_eq!(page.matches("3 runs each, medians").count(), figures);
        assert_eq!(page.matches(SOFTWARE).count(), figures);
        let mut report = report();
        report.machine.sgx = Sgx::Hardware;
        assert_eq!(super::page(&report).matches(HARDWARE).count(), figures);
    }

    #[test]
    fn elements_are_closed_in_their_order() {
        let page = page(&report());
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1) {
            let name = tag.split(['>', ' ', '\n']).next().unwrap();
            let empty = tag.split('>').next().unwrap().ends_with('/');
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if empty || matches!(name, "!DOCTYPE" | "meta") => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}
