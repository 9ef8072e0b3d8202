//! Reads a TOML document value by value, and collects what is wrong with its place. So a user gets
//! all errors at once.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};
use twine_protocol::text::visible;

/// A place in a text. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Something that is wrong, each text in one line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Where it is.
    pub place: Place,
    /// What it is.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// A document while it is read.
#[derive(Debug)]
pub(crate) struct Document<'t> {
    text: &'t str,
    problems: RefCell<Vec<Found>>,
    /// The offsets of the values that were asked for, by their paths.
    offsets: RefCell<HashMap<String, usize>>,
}

/// A problem at an offset, in bytes.
#[derive(Debug)]
struct Found {
    at: usize,
    cause: String,
    remedy: String,
}

/// A table of a document. It remembers which keys were asked for: others are a problem.
#[derive(Debug)]
pub(crate) struct Table<'d, 't> {
    document: &'d Document<'t>,
    path: String,
    at: usize,
    entries: &'d DeTable<'t>,
    known: Vec<&'static str>,
}

/// A value of a document.
#[derive(Debug)]
pub(crate) struct Value<'d, 't> {
    document: &'d Document<'t>,
    path: String,
    value: &'d Spanned<DeValue<'t>>,
}

/// A problem was recorded in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recorded;

impl<'t> Document<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Document { text, problems: RefCell::default(), offsets: RefCell::default() }
    }

    /// Returns the places of offsets. Goes through the text once: it may have many of them.
    fn places(&self, offsets: impl IntoIterator<Item = usize>) -> HashMap<usize, Place> {
        let mut wanted: Vec<_> = offsets.into_iter().collect();
        wanted.sort_unstable();
        let mut wanted = wanted.into_iter().peekable();
        let mut place = Place { line: 1, column: 1 };
        let mut places = HashMap::new();
        for (at, letter) in self.text.char_indices() {
            while let Some(offset) = wanted.next_if(|offset| *offset <= at) {
                places.insert(offset, place);
            }
            place = match letter {
                '\n' => Place { line: place.line + 1, column: 1 },
                _ => Place { column: place.column + 1, ..place },
            };
        }
        places.extend(wanted.map(|offset| (offset, place)));
        places
    }

    fn problem(&self, at: usize, cause: impl Into<String>, remedy: impl Into<String>) -> Recorded {
        // Parts of both may be the text's, with ends of lines.
        let (cause, remedy) = (visible(&cause.into()), visible(&remedy.into()));
        self.problems.borrow_mut().push(Found { at, cause, remedy });
        Recorded
    }

    /// Parses the text. Where it is not TOML, the problems are recorded.
    pub(crate) fn parse(&self) -> Spanned<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            let message: Vec<_> = error.message().lines().map(str::trim).collect();
            self.problem(at, message.join(" "), "write it as TOML: https://toml.io");
        }
        table
    }

    /// The outermost table.
    pub(crate) fn root<'d>(&'d self, parsed: &'d Spanned<DeTable<'t>>) -> Table<'d, 't> {
        Table {
            document: self,
            path: String::new(),
            at: 0,
            entries: parsed.get_ref(),
            known: Vec::new(),
        }
    }

    /// All problems, in the order of their places.
    pub(crate) fn take_problems(&self) -> Vec<Problem> {
        let found = self.problems.take();
        let places = self.places(found.iter().map(|found| found.at));
        let problem = |Found { at, cause, remedy }| Problem { place: places[&at], cause, remedy };
        let mut problems: Vec<_> = found.into_iter().map(problem).collect();
        problems.sort();
        problems.dedup();
        problems
    }

    /// The places of the values that were asked for, by their paths, such as `mounts[0].guest`.
    pub(crate) fn into_places(self) -> HashMap<String, Place> {
        let places = self.places(self.offsets.borrow().values().copied());
        self.offsets.into_inner().into_iter().map(|(path, at)| (path, places[&at])).collect()
    }
}

impl<'d, 't> Table<'d, 't> {
    /// The value under a key, if the table has it.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Value<'d, 't>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        Some(self.value(key, value))
    }

    fn value(&self, key: &str, value: &'d Spanned<DeValue<'t>>) -> Value<'d, 't> {
        let dot = if self.path.is_empty() { "" } else { "." };
        Value { document: self.document, path: format!("{}{dot}{key}", self.path), value }
            .remembered()
    }

    /// The value under a key that the table must have.
    ///
    /// # Errors
    /// It has none. The problem is recorded, with this remedy.
    pub(crate) fn need(
        &mut self,
        key: &'static str,
        remedy: &str,
    ) -> Result<Value<'d, 't>, Recorded> {
        self.take(key).ok_or_else(|| self.problem(format!("`{key}` is missing"), remedy))
    }

    /// All values with their keys, in the order of the keys. Then all keys are known.
    pub(crate) fn all(self) -> Vec<(&'d str, Value<'d, 't>)> {
        let entries = self.entries.iter();
        entries
            .map(|(key, value)| {
                let key: &Cow<'_, str> = key.get_ref();
                (&**key, self.value(key, value))
            })
            .collect()
    }

    /// Records the keys that nobody has asked for.
    pub(crate) fn finish(&self) {
        for key in self.entries.keys() {
            let name: &Cow<'_, str> = key.get_ref();
            if !self.known.contains(&&**name) {
                self.document.problem(
                    key.span().start,
                    format!("`{}` is no key of {}", name.escape_debug(), self.name()),
                    format!("its keys are {}", self.known.join(", ")),
                );
            }
        }
    }

    /// Whether problems were recorded, in this table or elsewhere in the document.
    pub(crate) fn has_problems(&self) -> bool {
        !self.document.problems.borrow().is_empty()
    }

    fn name(&self) -> String {
        if self.path.is_empty() { "a manifest".into() } else { format!("`{}`", self.path) }
    }

    /// Records a problem of the table.
    pub(crate) fn problem(&self, cause: impl Into<String>, remedy: impl Into<String>) -> Recorded {
        let cause = cause.into();
        let cause = match &*self.path {
            "" => cause,
            path => format!("`{path}`: {cause}"),
        };
        self.document.problem(self.at, cause, remedy)
    }
}

impl<'d, 't> Value<'d, 't> {
    /// Keeps the value's place for [`Document::into_places`].
    fn remembered(self) -> Self {
        let at = self.value.span().start;
        self.document.offsets.borrow_mut().insert(self.path.clone(), at);
        self
    }

    /// Records a problem of the value.
    pub(crate) fn problem(&self, cause: impl fmt::Display, remedy: impl Into<String>) -> Recorded {
        let cause = format!("`{}`: {cause}", self.path);
        self.document.problem(self.value.span().start, cause, remedy)
    }

    fn wanted(&self, what: &str, remedy: &str) -> Recorded {
        let found = self.value.get_ref().type_str();
        self.problem(format!("{what} is wanted, and this is of type {found}"), remedy)
    }

    /// The text.
    ///
    /// # Errors
    /// The value is no string. The problem is recorded.
    pub(crate) fn text(&self) -> Result<&'d str, Recorded> {
        self.value.get_ref().as_str().ok_or_else(|| self.wanted("a text", "write it in quotes"))
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// The value is neither true nor false. The problem is recorded.
    pub(crate) fn boolean(&self) -> Result<bool, Recorded> {
        let value = self.value.get_ref().as_bool();
        value.ok_or_else(|| self.wanted("true or false", "write it without quotes"))
    }

    /// The number, which is not negative.
    ///
    /// # Errors
    /// The value is no such number, or too large for the type. The problem is recorded.
    pub(crate) fn number<T: TryFrom<u64>>(&self) -> Result<T, Recorded> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return Err(self.wanted("a number", "write it without quotes and unit"));
        };
        let number = unsigned(integer).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| {
            self.problem(
                format!("{integer} is negative or too large"),
                format!("give a number from 0 to {}", u64::MAX >> (64 - 8 * size_of::<T>())),
            )
        })
    }

    /// See [`number`](Value::number).
    ///
    /// # Errors
    /// Those of `number`.
    pub(crate) fn into_number<T: TryFrom<u64>>(self) -> Result<T, Recorded> {
        self.number()
    }

    /// Parses a text or a number by `parse`, which takes a text with a unit.
    ///
    /// # Errors
    /// The value is neither, or `parse` refuses it. The problem is recorded.
    pub(crate) fn with_unit<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, String>,
        example: &str,
    ) -> Result<T, Recorded> {
        let text = match self.value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(integer) => {
                unsigned(integer).map_or_else(|| integer.to_string(), |number| number.to_string())
            }
            _ => return Err(self.wanted("a number with a unit", &format!("write \"{example}\""))),
        };
        parse(&text).map_err(|error| {
            self.problem(format!("{error}: {text:?}"), format!("write it as \"{example}\""))
        })
    }

    /// The table.
    ///
    /// # Errors
    /// The value is no table. The problem is recorded.
    pub(crate) fn table(self) -> Result<Table<'d, 't>, Recorded> {
        let remedy = format!("write it as [{}], with one key in each line below", self.path);
        let entries =
            self.value.get_ref().as_table().ok_or_else(|| self.wanted("a table", &remedy))?;
        let (document, at) = (self.document, self.value.span().start);
        Ok(Table { document, path: self.path, at, entries, known: Vec::new() })
    }

    /// The elements of the array.
    ///
    /// # Errors
    /// The value is no array. The problem is recorded.
    pub(crate) fn array(&self) -> Result<Vec<Value<'d, 't>>, Recorded> {
        let array = self.value.get_ref().as_array();
        let array = array.ok_or_else(|| self.wanted("a list", "write it in [ and ]"))?;
        let element = |(at, value)| {
            let path = format!("{}[{at}]", self.path);
            Value { document: self.document, path, value }.remembered()
        };
        Ok(array.iter().enumerate().map(element).collect())
    }

    /// The texts of the array.
    ///
    /// # Errors
    /// The value is no array of strings. The problems are recorded.
    pub(crate) fn texts(&self) -> Result<Vec<Value<'d, 't>>, Recorded> {
        let array = self.array()?;
        let wrong = array.iter().filter(|value| value.text().is_err()).count();
        if wrong > 0 { Err(Recorded) } else { Ok(array) }
    }
}

fn unsigned(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, read: impl FnOnce(Table<'_, '_>)) -> Vec<String> {
        let document = Document::new(text);
        let parsed = document.parse();
        read(document.root(&parsed));
        let shown = |problem: &Problem| format!("{}: {}", problem.place, problem.cause);
        document.take_problems().iter().map(shown).collect()
    }

    #[test]
    fn every_problem_is_found_at_its_line_and_column() {
        let text = "number = \"seven\"\n  odd = true # ä\n[table]\nlist = [1, \"ä\", 2]\n";
        let found = problems(text, |mut root| {
            let _ = root.take("number").unwrap().number::<u16>();
            let _ = root.need("missing", "add it");
            let mut table = root.take("table").unwrap().table().unwrap();
            let _ = table.take("list").unwrap().texts();
            table.finish();
            root.finish();
        });
        assert_eq!(
            found,
            [
                "1:1: `missing` is missing",
                "1:10: `number`: a number is wanted, and this is of type string",
                "2:3: `odd` is no key of a manifest",
                "4:9: `table.list[0]`: a text is wanted, and this is of type integer",
                "4:17: `table.list[2]`: a text is wanted, and this is of type integer",
            ]
        );
    }

    #[test]
    fn text_that_is_no_toml_is_a_problem_in_each_line_that_is_none() {
        let found = problems("a = 1\n= 2\nb = \n", |_| ());
        let lines: Vec<_> = found.iter().map(|problem| &problem[..2]).collect();
        assert_eq!(lines, ["2:", "3:"], "{found:?}");
    }

    #[test]
    fn a_key_that_is_given_twice_is_a_problem() {
        let found = problems("a = 1\na = 2\n", |mut root| {
            root.take("a");
            root.finish();
        });
        assert!(found.len() == 1 && found[0].starts_with("2:1: "), "{found:?}");
    }

    #[test]
    fn places_are_found_in_one_walk_through_the_text() {
        // A walk for each value would take minutes.
        let elements = 400_000;
        for end in ["", "\n"] {
            let text = format!("list = [{}]\nä = 1", format!("1,{end}").repeat(elements));
            let document = Document::new(&text);
            let parsed = document.parse();
            let list = document.root(&parsed).take("list").unwrap();
            assert_eq!(list.array().unwrap().len(), elements);
            let places = document.into_places();
            let wanted = match end {
                "" => Place { line: 1, column: 9 + 2 * (elements - 1) },
                _ => Place { line: elements, column: 1 },
            };
            assert_eq!(places[&format!("list[{}]", elements - 1)], wanted);
        }
    }

    #[test]
    fn numbers_are_read_in_every_notation_and_within_their_type() {
        let text = "a = 0xff\nb = 1_000\nc = 256\nd = -1\ne = 18446744073709551615\n";
        let found = problems(text, |mut root| {
            assert_eq!(root.take("a").unwrap().number::<u8>(), Ok(255));
            assert_eq!(root.take("b").unwrap().number::<u16>(), Ok(1000));
            assert!(root.take("c").unwrap().number::<u8>().is_err());
            assert!(root.take("d").unwrap().number::<u64>().is_err());
            assert_eq!(root.take("e").unwrap().number::<u64>(), Ok(u64::MAX));
        });
        assert_eq!(
            found,
            ["3:5: `c`: 256 is negative or too large", "4:5: `d`: -1 is negative or too large"]
        );
    }
}
