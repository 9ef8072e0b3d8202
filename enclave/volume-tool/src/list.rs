//! `ls` and `tree`.

use crate::console::Output;
use crate::error::{At, Error, Result};
use crate::job::{Job, Tree};
use crate::time;
use crate::walk::{Item, Step, Walk};
use serde_json::json;
use twine_vfs::{Attributes, FileKind, FileSystem, Inode};

/// Limit on the problems that are printed. Further ones are only counted.
const MAX_PROBLEMS: usize = 1000;

/// Limit on the levels that are drawn above a name. Further ones are only counted.
const MAX_LEVELS: usize = 200;

/// The form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Names,
    Long,
    Json,
}

/// Lists a directory, sorted by name, or prints the name of a file.
pub(crate) fn list(job: &mut Job<'_>, tree: &mut Tree<'_>, path: &str, form: Form) -> Result<()> {
    let inode = tree.find(path, form == Form::Names)?;
    let kind = tree.files.attributes(inode).at(|| tree.place(path))?.kind;
    let out = Output::new(&mut *job.console);
    let mut listing = Listing { out, form, count: 0, problems: Problems::default() };
    if form == Form::Json {
        listing.out.text("[")?;
    }
    let result = if kind == FileKind::Directory {
        listing.directory(tree, path, inode)
    } else {
        listing.line(tree, path.trim_start_matches('/'), inode)
    };
    if kind != FileKind::Directory {
        tree.files.release(inode);
    }
    result?;
    if form == Form::Json {
        listing.out.text(if listing.count == 0 { "]\n" } else { "\n]\n" })?;
    }
    listing.out.flush()?;
    listing.problems.tell(job);
    Ok(())
}

/// Items that could not be listed. They are reported after the list.
#[derive(Default)]
struct Problems {
    first: Vec<Error>,
    more: u64,
}

impl Problems {
    /// Records a problem with a file. Returns whether there was none.
    fn attempt(&mut self, result: Result<()>) -> Result<bool> {
        match result {
            // Nothing more can be printed.
            Err(error @ Error::Stream(_)) => return Err(error),
            Err(error) if self.first.len() < MAX_PROBLEMS => self.first.push(error),
            Err(_) => self.more = self.more.saturating_add(1),
            Ok(()) => return Ok(true),
        }
        Ok(false)
    }

    fn tell(self, job: &mut Job<'_>) {
        for problem in &self.first {
            job.problem(problem);
        }
        if self.more > 0 {
            job.console.complain(&format!("and {} more", self.more));
        }
    }
}

struct Listing<'a> {
    out: Output<'a>,
    form: Form,
    count: u64,
    problems: Problems,
}

impl Listing<'_> {
    fn directory(&mut self, tree: &mut Tree<'_>, path: &str, directory: Inode) -> Result<()> {
        let mut walk = Walk::new(directory, true);
        let result = self.entries(tree, path, &mut walk);
        walk.end(tree.files);
        result
    }

    fn entries(&mut self, tree: &mut Tree<'_>, path: &str, walk: &mut Walk) -> Result<()> {
        loop {
            let item = match walk.next(tree.files).at(|| tree.place(path)) {
                Ok(None) => return Ok(()),
                Ok(Some(Step::Item(item))) => item,
                Ok(Some(Step::Left(_))) => continue,
                Err(error) => {
                    self.problems.attempt(Err(error))?;
                    continue;
                }
            };
            let Some(directory) = walk.directory() else { continue };
            if self.form == Form::Names {
                self.out.name(&item.name)?;
                self.out.text("\n")?;
                continue;
            }
            let result = self.entry(tree, path, directory, &item.name);
            self.problems.attempt(result)?;
        }
    }

    fn entry(
        &mut self,
        tree: &mut Tree<'_>,
        path: &str,
        directory: Inode,
        name: &str,
    ) -> Result<()> {
        let place = || below(path, name);
        let inode = tree.files.lookup(directory, name).at(|| tree.place(&place()))?;
        let result = self.line(tree, name, inode);
        tree.files.release(inode);
        result
    }

    /// Prints the line of a name.
    fn line(&mut self, tree: &mut Tree<'_>, name: &str, inode: Inode) -> Result<()> {
        let attributes = tree.files.attributes(inode).at(|| tree.place(name))?;
        let target = match attributes.kind {
            FileKind::SymbolicLink => Some(tree.files.read_link(inode).at(|| tree.place(name))?),
            _ => None,
        };
        self.count += 1;
        match self.form {
            Form::Names => self.out.name(name)?,
            Form::Long => self.long(name, &attributes, target.as_deref())?,
            Form::Json => {
                self.out.text(if self.count == 1 { "\n  " } else { ",\n  " })?;
                let line = object(name, &attributes, target.as_deref());
                return Ok(self.out.text(&line)?);
            }
        }
        Ok(self.out.text("\n")?)
    }

    fn long(&mut self, name: &str, attributes: &Attributes, target: Option<&str>) -> Result<()> {
        let Attributes { kind, mode, size, links, modified, .. } = *attributes;
        let letter = match kind {
            FileKind::File => '-',
            FileKind::Directory => 'd',
            FileKind::SymbolicLink => 'l',
        };
        let mode = match (kind, mode) {
            (FileKind::SymbolicLink, _) => "rwxrwxrwx".to_owned(),
            (_, Some(mode)) => mode.to_string(),
            (_, None) => "?".repeat(9),
        };
        let time = time::words(modified);
        self.out.text(&format!("{letter}{mode} {links:>3} {size:>14} {time} "))?;
        self.out.name(name)?;
        if let Some(target) = target {
            self.out.text(" -> ")?;
            self.out.name(target)?;
        }
        Ok(())
    }
}

/// Joins the path of a directory and a name in it.
pub(crate) fn below(path: &str, name: &str) -> String {
    match path.trim_end_matches('/') {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    }
}

#[expect(clippy::indexing_slicing, reason = "an object accepts any name")]
fn object(name: &str, attributes: &Attributes, target: Option<&str>) -> String {
    let kind = match attributes.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::SymbolicLink => "link",
    };
    let mut object = json!({
        "name": name,
        "kind": kind,
        "mode": attributes.mode.map(|mode| format!("{:04o}", mode.bits())),
        "size": attributes.size,
        "links": attributes.links,
        "accessed": time::rfc3339(attributes.accessed),
        "modified": time::rfc3339(attributes.modified),
        "changed": time::rfc3339(attributes.changed),
    });
    if let Some(target) = target {
        object["target"] = target.into();
    }
    object.to_string()
}

/// Draws a directory and everything below it.
pub(crate) fn tree(job: &mut Job<'_>, tree: &mut Tree<'_>, path: &str) -> Result<()> {
    let inode = tree.find(path, true)?;
    let top = if path.is_empty() { "/" } else { path };
    let out = Output::new(&mut *job.console);
    let mut drawing = Drawing { out, directories: 0, files: 0, problems: Problems::default() };
    drawing.out.name(top)?;
    drawing.out.text("\n")?;
    let mut walk = Walk::new(inode, true);
    let result = drawing.draw(tree, path, &mut walk);
    walk.end(tree.files);
    result?;
    let Drawing { directories, files, problems, mut out } = drawing;
    let plural = |count, one, more| if count == 1 { one } else { more };
    out.text(&format!(
        "\n{directories} {}, {files} {}\n",
        plural(directories, "directory", "directories"),
        plural(files, "file", "files"),
    ))?;
    out.flush()?;
    problems.tell(job);
    Ok(())
}

struct Drawing<'a> {
    out: Output<'a>,
    directories: u64,
    files: u64,
    problems: Problems,
}

impl Drawing<'_> {
    fn draw(&mut self, tree: &mut Tree<'_>, path: &str, walk: &mut Walk) -> Result<()> {
        // For each directory of the path, whether it has more entries.
        let mut more = Vec::new();
        loop {
            let step = walk.next(tree.files).at(|| tree.place(&below(path, &walk.path(""))));
            match step {
                Ok(None) => return Ok(()),
                Ok(Some(Step::Left(_))) => {
                    more.pop();
                }
                Ok(Some(Step::Item(item))) => {
                    let result = self.item(tree, path, walk, &more, &item);
                    let whole = self.problems.attempt(result)?;
                    if whole && item.kind == FileKind::Directory {
                        more.push(!item.last);
                    }
                }
                Err(error) => {
                    self.problems.attempt(Err(error))?;
                }
            }
        }
    }

    /// Draws a name, and enters a directory. A directory that cannot be entered is drawn too.
    fn item(
        &mut self,
        tree: &mut Tree<'_>,
        path: &str,
        walk: &mut Walk,
        more: &[bool],
        item: &Item,
    ) -> Result<()> {
        let deep = more.len().saturating_sub(MAX_LEVELS);
        let mut lead = if deep > 0 { format!("({deep} more) ") } else { String::new() };
        let near = more.iter().skip(deep);
        lead.extend(near.map(|&more| if more { "│   " } else { "    " }));
        lead.push_str(if item.last { "└── " } else { "├── " });
        let shown = below(path, &walk.path(&item.name));
        let (target, entered) = match (item.kind, walk.directory()) {
            (FileKind::SymbolicLink, Some(directory)) => {
                match target(tree.files, directory, &item.name) {
                    Ok(target) => (Some(target), Ok(())),
                    Err(error) => (None, Err(error).at(|| tree.place(&shown))),
                }
            }
            (FileKind::Directory, _) => {
                (None, walk.enter(tree.files, &item.name).at(|| tree.place(&shown)))
            }
            _ => (None, Ok(())),
        };
        match item.kind {
            FileKind::Directory => self.directories += 1,
            _ => self.files += 1,
        }
        self.line(&lead, &item.name, target.as_deref())?;
        entered
    }

    fn line(&mut self, lead: &str, name: &str, target: Option<&str>) -> Result<()> {
        self.out.text(lead)?;
        self.out.name(name)?;
        if let Some(target) = target {
            self.out.text(" -> ")?;
            self.out.name(target)?;
        }
        Ok(self.out.text("\n")?)
    }
}

/// Returns the target of a symbolic link in a directory.
fn target(files: &mut dyn FileSystem, directory: Inode, name: &str) -> twine_vfs::Result<String> {
    let inode = files.lookup(directory, name)?;
    let target = files.read_link(inode);
    files.release(inode);
    target
}

/// Prints a directory and everything below it as JSON: for each item the object that `ls` prints,
/// and for a directory its contents.
pub(crate) fn nested(job: &mut Job<'_>, tree: &mut Tree<'_>, path: &str) -> Result<()> {
    let inode = tree.find(path, true)?;
    let mut out = Output::new(&mut *job.console);
    let top = if path.is_empty() { "/" } else { path };
    let mut walk = Walk::new(inode, true);
    let mut problems = Problems::default();
    let result = tree
        .files
        .attributes(inode)
        .at(|| tree.place(path))
        .and_then(|attributes| Ok(out.text(&opened(&object(top, &attributes, None)))?))
        .and_then(|()| nest(tree, path, &mut walk, &mut out, &mut problems));
    walk.end(tree.files);
    result?;
    out.text("]}\n")?;
    out.flush()?;
    problems.tell(job);
    Ok(())
}

/// Reopens an object, to add the contents of a directory.
fn opened(object: &str) -> String {
    format!("{},\"contents\":[", object.strip_suffix('}').unwrap_or(object))
}

fn nest(
    tree: &mut Tree<'_>,
    path: &str,
    walk: &mut Walk,
    out: &mut Output<'_>,
    problems: &mut Problems,
) -> Result<()> {
    let mut first = true;
    loop {
        let step = walk.next(tree.files).at(|| tree.place(&below(path, &walk.path(""))));
        let item = match step {
            Ok(None) => return Ok(()),
            Ok(Some(Step::Left(_))) => {
                out.text("]}")?;
                first = false;
                continue;
            }
            Ok(Some(Step::Item(item))) => item,
            Err(error) => {
                problems.attempt(Err(error))?;
                continue;
            }
        };
        let shown = below(path, &walk.path(&item.name));
        let text = match nested_item(tree.files, walk, &item).at(|| tree.place(&shown)) {
            Ok(text) => text,
            Err(error) => {
                problems.attempt(Err(error))?;
                continue;
            }
        };
        out.text(if first { "\n" } else { ",\n" })?;
        first = false;
        if item.kind == FileKind::Directory {
            let entered = walk.enter(tree.files, &item.name).at(|| tree.place(&shown));
            if problems.attempt(entered)? {
                out.text(&opened(&text))?;
                first = true;
                continue;
            }
        }
        out.text(&text)?;
    }
}

fn nested_item(files: &mut dyn FileSystem, walk: &Walk, item: &Item) -> twine_vfs::Result<String> {
    let Some(directory) = walk.directory() else { return Err(twine_vfs::Error::NotFound) };
    let inode = files.lookup(directory, &item.name)?;
    let known = files.attributes(inode).and_then(|attributes| {
        let link = attributes.kind == FileKind::SymbolicLink;
        let target = if link { Some(files.read_link(inode)?) } else { None };
        Ok(object(&item.name, &attributes, target.as_deref()))
    });
    files.release(inode);
    known
}
