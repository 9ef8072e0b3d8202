//! All values as a table for other programs: comma-separated, according to RFC 4180.

use crate::error::{Result, about};
use crate::report::{Quoted, Report, Rival, Section};
use std::fs;
use std::path::Path;

const HEAD: &str = "case,at,rival,unit,min,median,max,runs\n";

/// Writes a table for each section into a folder, as `NAME.csv`.
pub(crate) fn write(report: &Report, folder: &Path) -> Result<()> {
    about(folder.display(), fs::create_dir_all(folder))?;
    for section in &report.measurements {
        let path = folder.join(&section.name).with_extension("csv");
        about(path.display(), fs::write(&path, table(section)))?;
    }
    Ok(())
}

/// Returns a row for each rival of each case, and of each point of each series. A quoted value gets
/// a row with zero runs.
fn table(section: &Section) -> String {
    let mut table = String::from(HEAD);
    for case in &section.cases {
        case.rivals.iter().for_each(|rival| row(&mut table, [&case.name, "", &case.unit], rival));
    }
    for series in &section.series {
        for point in &series.points {
            let names = [&*series.name, &point.name, &series.unit];
            point.rivals.iter().for_each(|rival| row(&mut table, names, rival));
        }
    }
    for Quoted { name, unit, value, .. } in &section.quoted {
        let texts = ["quoted", "", name, unit].map(field).join(",");
        table += &format!("{texts},{value},{value},{value},0\n");
    }
    table
}

fn row(table: &mut String, [case, at, unit]: [&str; 3], Rival { name, sample }: &Rival) {
    let texts = [case, at, name, unit].map(field).join(",");
    let numbers = [sample.min, sample.median, sample.max].map(|value| value.to_string()).join(",");
    *table += &format!("{texts},{numbers},{}\n", sample.runs.len());
}

/// Returns a text, in quotation marks if it needs them.
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Case, Point, Series};
    use crate::statistics::Sample;

    #[test]
    fn each_rival_of_a_case_and_of_a_place_has_a_row() {
        let mut section = Section::new("s", "about");
        let sample = Sample::of(vec![1.0, 2.5, 4.0]).unwrap();
        section.add("a, b", Ok(Case::new("a, b", "ms", [("one", sample.clone())], None)));
        section.series.push(Series {
            name: "curve".into(),
            axis: "records".into(),
            unit: "us".into(),
            points: vec![Point {
                name: "the \"first\"".into(),
                at: Some(1.0),
                rivals: vec![Rival { name: "two".into(), sample }],
            }],
        });
        section.quoted.push(Quoted {
            name: "three".into(),
            unit: "a second".into(),
            value: 7.5,
            conditions: "elsewhere".into(),
        });
        let quoted = "quoted,,three,a second,7.5,7.5,7.5,0\n";
        let rows = "\"a, b\",,one,ms,1,2.5,4,3\ncurve,\"the \"\"first\"\"\",two,us,1,2.5,4,3\n";
        assert_eq!(table(&section), format!("{HEAD}{rows}{quoted}"));
    }
}
