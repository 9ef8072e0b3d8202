//! `twine sqlite`, piped and on a terminal.

mod common;

use common::hosting::Host;
use common::{Folder, built, ended, run, run_with_input, twine};
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const SECRET: &str = "the treasure is under the old oak";

fn sqlite(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = twine();
    command.current_dir(folder.path()).args(["sqlite", "--quiet"]).args(arguments);
    command
}

#[test]
fn a_database_persists_between_runs_and_stays_secret() {
    let folder = Folder::new();
    let make = format!("CREATE TABLE notes(text); INSERT INTO notes VALUES('{SECRET}')");
    run(&mut sqlite(&folder, &["my.db", &make])).printed("");
    run(&mut sqlite(&folder, &["my.db", "SELECT * FROM notes"])).printed(&format!("{SECRET}\n"));
    run(&mut sqlite(&folder, &["my.db", "-json", "SELECT 1 AS one"])).printed("[{\"one\":1}]\n");
    run_with_input(&mut sqlite(&folder, &["my.db"]), b"SELECT count(*) FROM notes;\n.quit\n")
        .printed("1\n");
    let held = fs::read(folder.path().join("my.db")).expect("the volume is there");
    for text in [SECRET, "notes", "CREATE TABLE", "SQLite format 3", "my.db"] {
        let found = held.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found, "{text:?} is in the host's file");
    }
    let files: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
    assert_eq!(files.len(), 1, "journals are in the volume: {files:?}");
}

/// The user may choose any name for the file outside.
#[test]
fn a_database_is_the_same_under_another_name_or_through_a_link() {
    let folder = Folder::new();
    let path = |name: &str| folder.path().join(name);
    run(&mut sqlite(&folder, &["a.db", "CREATE TABLE t(x); INSERT INTO t VALUES(7)"])).printed("");
    fs::rename(path("a.db"), path("b.db")).unwrap();
    fs::copy(path("b.db"), path("c")).unwrap();
    std::os::unix::fs::symlink("b.db", path("d.db")).unwrap();
    for name in ["b.db", "c", "d.db", "./b.db"] {
        run(&mut sqlite(&folder, &[name, "SELECT x FROM t"])).printed("7\n");
    }
    run(&mut sqlite(&folder, &["b.db::/main.db", "SELECT x FROM t"])).printed("7\n");
}

/// Earlier versions named the database inside after the file.
#[test]
fn a_database_with_an_earlier_name_inside_is_found() {
    let folder = Folder::new();
    let attach = "ATTACH '/old.db' AS old; CREATE TABLE old.t(x); INSERT INTO old.t VALUES(7)";
    run(&mut sqlite(&folder, &["v.db::/first.db", attach])).printed("");
    run(&mut sqlite(&folder, &["v.db::/first.db", "CREATE TABLE f(x)"])).printed("");
    // The command can't know which of the two is meant.
    let ended = run(&mut sqlite(&folder, &["v.db", "SELECT x FROM t"]));
    ended.failed_with(1, "several files that could be meant");
    assert!(ended.err.contains("VOLUME::/NAME"), "{ended:?}");
    // This one had the file's name.
    fs::rename(folder.path().join("v.db"), folder.path().join("old.db")).unwrap();
    run(&mut sqlite(&folder, &["--read-only", "old.db", "SELECT x FROM t"]))
        .failed_with(1, "its file is named old.db");
    run(&mut sqlite(&folder, &["--read-only", "old.db::/old.db", "SELECT x FROM t"]))
        .printed("7\n");
    run(&mut sqlite(&folder, &["old.db", "SELECT x FROM t"])).printed("7\n");
    run(&mut sqlite(&folder, &["old.db::/main.db", "SELECT x FROM t"])).printed("7\n");
}

/// SQLite's own shell accepts them in both places.
#[test]
fn options_of_the_shell_are_taken_before_the_database_too() {
    let folder = Folder::new();
    let sql = "SELECT 1 AS one, NULL AS two";
    for (options, printed) in [
        (&["-json"][..], "[{\"one\":1,\"two\":null}]\n"),
        (&["-csv", "-header"], "one,two\r\n1,\r\n"),
        (&["--csv", "--nullvalue", "no"], "1,no\r\n"),
        (&["-line"], "one: 1\ntwo: \n"),
        (&["-separator", "; ", "--key", "sealed", "-nullvalue", "-"], "1; -\n"),
        (&["-batch", "-bail", "-cmd", ".print first"], "first\n1|\n"),
    ] {
        let arguments = [options, &["my.db", sql]].concat();
        run(&mut sqlite(&folder, &arguments)).printed(printed);
    }
    // Without a database, the shell uses one in memory.
    run_with_input(&mut sqlite(&folder, &["-json"]), b"SELECT 1 AS one;")
        .printed("[{\"one\":1}]\n");
    run(&mut sqlite(&folder, &["my.db", "CREATE TABLE t(x)"])).printed("");
    let ended = run(&mut sqlite(&folder, &["-readonly", "my.db", "INSERT INTO t VALUES(1)"]));
    assert!(ended.code == Some(1) && ended.err.contains("readonly database"), "{ended:?}");
    // This command's own options may be anywhere.
    let key = folder.file("key", [7; 32]).display().to_string();
    let key = format!("file:{key}");
    run(&mut sqlite(&folder, &["keyed.db", "SELECT 1", "--key", &key, "-json"]))
        .printed("[{\"1\":1}]\n");
    // A database that does not open is named.
    run(&mut sqlite(&folder, &["keyed.db", "SELECT 1"])).failed_with(1, "error: keyed.db: ");
    // An unknown option must not make the command create a volume of the argument after it.
    for wrong in ["-nonsense", "--nonsense", "-key"] {
        let ended = run(&mut sqlite(&folder, &[wrong, "value", "my.db"]));
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    assert!(!folder.path().join("value").exists());
}

/// The help lists all options, with the number of their values.
#[test]
fn every_option_of_the_shell_is_known() {
    let folder = Folder::new();
    let help = run(&mut sqlite(&folder, &["-help"])).err;
    let mut options = Vec::new();
    for line in help.lines().filter_map(|line| line.strip_prefix("   -")) {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap().replace("[no]", "");
        if ["-", "A"].contains(&name.as_str()) {
            continue;
        }
        options.push(format!("-{name}"));
        let is_value = |word: &&str| word.chars().all(|letter| letter.is_ascii_uppercase());
        let explained = line.get(20..).unwrap_or_default().trim();
        let values = words.take_while(|word| is_value(word) && !explained.starts_with(*word));
        options.extend(values.map(|_| "7".to_owned()));
    }
    assert!(options.len() > 40, "{help}");
    let arguments: Vec<&str> = options.iter().map(String::as_str).collect();
    let ended = run(&mut sqlite(&folder, &arguments));
    assert_ne!(ended.code, Some(2), "{ended:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a value was taken for a database");
}

/// The test runs the command in the message, word for word.
#[test]
fn the_remedy_for_an_ordinary_database_copies_it_into_a_volume() {
    for name in ["a b.db", "it's.db", "\"$x\" \\n.db"] {
        finds_its_way_in(name);
    }
}

fn finds_its_way_in(name: &str) {
    let folder = Folder::new();
    let plain = "PRAGMA locking_mode=EXCLUSIVE; ATTACH '/plain/new' AS p;
        PRAGMA p.journal_mode=WAL; CREATE TABLE p.t(x); INSERT INTO p.t VALUES(7)";
    run(&mut sqlite(&folder, &["--plain-dir", ".::/plain", ":memory:", plain]))
        .printed("exclusive\nwal\n");
    fs::rename(folder.path().join("new"), folder.path().join(name)).unwrap();
    let ended = run(&mut sqlite(&folder, &[name, "SELECT x FROM t"]));
    ended.failed_with(1, &format!("{name} is an ordinary database"));
    let way = ended.err.split("copy it into a new volume: twine ").nth(1).unwrap().trim_end();
    let line = format!("'{}' {way}", built("release/twine").display());
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path()).env("TWINE_CACHE", common::cache());
    let copied = run(shell.args(["-c", &line]));
    assert_eq!(copied.code, Some(0), "{line}: {copied:?}");
    // The copy is in WAL mode too.
    let read = "SELECT x FROM t; PRAGMA journal_mode; INSERT INTO t VALUES(8)";
    run(&mut sqlite(&folder, &["NEW.db", read])).printed("7\nwal\n");
    run(&mut sqlite(&folder, &["NEW.db", "SELECT sum(x) FROM t"])).printed("15\n");
}

#[test]
fn a_database_in_memory_needs_no_file() {
    let folder = Folder::new();
    let names: [&[&str]; 5] =
        [&[], &[":memory:"], &[""], &["file::memory:"], &["file:x?mode=memory"]];
    for name in names {
        run_with_input(&mut sqlite(&folder, name), b"SELECT sqlite_version() > '3', 6 * 7;\n")
            .printed("1|42\n");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

#[test]
fn wrong_sql_is_an_error_of_the_shells() {
    let folder = Folder::new();
    let ended = run(&mut sqlite(&folder, &["my.db", "SELEC"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("near \"SELEC\": syntax error"), "{}", ended.err);
}

#[test]
fn every_journal_mode_of_wasi_keeps_committed_data() {
    let folder = Folder::new();
    for (at, mode) in ["delete", "truncate", "persist", "memory"].iter().enumerate() {
        let sql = format!(
            "PRAGMA journal_mode={mode}; CREATE TABLE t{at}(x); INSERT INTO t{at} VALUES({at})"
        );
        run(&mut sqlite(&folder, &["my.db", &sql])).printed(&format!("{mode}\n"));
    }
    let wal = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;
        CREATE TABLE w(x); INSERT INTO w VALUES(9)";
    run(&mut sqlite(&folder, &["my.db", wal])).printed("exclusive\nwal\n");
    let read = "SELECT * FROM t0, t1, t2, t3, w; PRAGMA integrity_check";
    run(&mut sqlite(&folder, &["my.db", read])).printed("0|1|2|3|9\nok\n");
}

/// A command on a terminal that `script` (util-linux) provides.
struct OnTerminal {
    child: std::process::Child,
    input: std::process::ChildStdin,
    output: std::process::ChildStdout,
    shown: Vec<u8>,
}

impl OnTerminal {
    fn start(folder: &Folder, line: &str) -> Self {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", line, "/dev/null"])
            .current_dir(folder.path())
            .env("TERM", "xterm")
            .env("TWINE_CACHE", common::cache())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("`script` is part of util-linux");
        let input = child.stdin.take().expect("the input is piped");
        let output = child.stdout.take().expect("the output is piped");
        OnTerminal { child, input, output, shown: Vec::new() }
    }

    /// Returns the text shown so far.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Reads until `holds` is true.
    fn wait(&mut self, holds: impl Fn(&str) -> bool) {
        while !holds(&self.shown()) {
            let mut bytes = [0; 4096];
            let count = self.output.read(&mut bytes).expect("reading the terminal succeeds");
            assert_ne!(count, 0, "{}", self.shown());
            self.shown.extend_from_slice(&bytes[..count]);
        }
    }

    fn types(&mut self, typed: &str) {
        self.input.write_all(typed.as_bytes()).expect("writing to the terminal succeeds");
    }

    /// Reads to the end. Returns the text shown, and the result.
    fn end(mut self) -> (String, common::Ended) {
        self.output.read_to_end(&mut self.shown).expect("reading the terminal succeeds");
        let shown = self.shown();
        drop(self.input);
        (shown, ended(self.child.wait_with_output().expect("waiting for it succeeds")))
    }
}

fn shell_line() -> String {
    format!("'{}' sqlite --quiet my.db -noheader -list", built("release/twine").display())
}

#[test]
fn on_a_terminal_lines_are_edited_and_remembered() {
    let folder = Folder::new();
    edits_lines(OnTerminal::start(&folder, &shell_line()));
}

fn edits_lines(mut terminal: OnTerminal) {
    // This corrects a typing error, discards a line, and recalls the last one.
    let lines = ["SELECX\x7fT 40 + 2;\r", "nonsense\x03", "\x1b[A\r", ".quit\r"];
    for (typed, waits) in lines.iter().zip(1..) {
        terminal.wait(|shown| prompts(shown) >= waits);
        terminal.types(typed);
    }
    let (shown, ended) = terminal.end();
    assert_eq!(ended.code, Some(0), "{ended:?} {shown}");
    let answers = shown.lines().filter(|line| line.trim() == "42").count();
    assert_eq!(answers, 2, "{shown}");
}

/// A host, and the command line of a shell on it for an owner in `folder`.
fn shell_elsewhere(folder: &Folder) -> (Host, String) {
    let host = Host::start(&[]);
    let made = ["key", "new", "--output", "owner.pem", "--public", "owner.pub"];
    let made = run(twine().current_dir(folder.path()).args(made));
    assert_eq!(made.code, Some(0), "{made:?}");
    let line = format!(
        "'{}' sqlite --quiet --at {} --simulation --owner-key owner.pem my -noheader -list",
        built("release/twine").display(),
        host.address
    );
    (host, line)
}

#[test]
fn on_a_terminal_lines_of_a_shell_elsewhere_are_edited_and_remembered_too() {
    let folder = Folder::new();
    let (_host, line) = shell_elsewhere(&folder);
    edits_lines(OnTerminal::start(&folder, &line));
    // The history is nowhere on this machine.
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["owner.pem", "owner.pub"]);
}

#[test]
fn ctrl_c_interrupts_a_query_of_a_shell_elsewhere_too() {
    let folder = Folder::new();
    let (_host, line) = shell_elsewhere(&folder);
    interrupts_a_query(OnTerminal::start(&folder, &line));
}

#[test]
fn ctrl_c_interrupts_a_query_and_the_shell_goes_on() {
    let folder = Folder::new();
    let terminal = OnTerminal::start(&folder, &shell_line());
    interrupts_a_query(terminal);
}

/// The prompt for the passphrase handles Ctrl-C before the shell does.
#[test]
fn ctrl_c_interrupts_a_query_after_a_passphrase_prompt_too() {
    let folder = Folder::new();
    let line = shell_line().replace("sqlite", "sqlite --key passphrase");
    let mut terminal = OnTerminal::start(&folder, &line);
    types_a_new_passphrase(&mut terminal);
    interrupts_a_query(terminal);
}

fn types_a_new_passphrase(terminal: &mut OnTerminal) {
    terminal.wait(|shown| shown.contains("New passphrase for "));
    terminal.types("open sesame\r");
    terminal.wait(|shown| shown.contains("Once more, for"));
    terminal.types("open sesame\r");
}

fn interrupts_a_query(mut terminal: OnTerminal) {
    terminal.wait(|shown| prompts(shown) >= 1);
    terminal.types("CREATE TABLE t(x); INSERT INTO t VALUES(6 * 7);\r");
    terminal.wait(|shown| prompts(shown) >= 2);
    // The query shows a row and then continues; an interrupt before its start would have no effect.
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) \
         SELECT 'be' || 'gun' FROM c WHERE x = 1 OR x < 0;\r";
    terminal.types(endless);
    terminal.wait(|shown| shown.contains("begun"));
    terminal.types("\x03");
    terminal.wait(|shown| shown.contains("interrupted"));
    terminal.wait(|shown| prompts(shown) >= 3);
    terminal.types("SELECT x FROM t;\r");
    terminal.wait(|shown| prompts(shown) >= 4);
    terminal.types(".quit\r");
    let (shown, _) = terminal.end();
    assert!(shown.lines().any(|line| line.trim() == "42"), "{shown}");
}

/// Begins a command: where the tests run, signals may be ignored, and would be for the command.
const DEFAULT_SIGNALS: &str = "env --default-signal=HUP,INT,QUIT,TERM";

/// The terminal's settings are restored, whatever ends a command that asks for a passphrase.
#[test]
fn the_terminal_is_restored_after_a_passphrase_prompt() {
    let folder = Folder::new();
    let twine = built("release/twine").display().to_string();
    // `exec` gives the shell the command's process id. The shell continues after the command has
    // ended.
    let line = format!(
        "trap : INT; sh -c 'echo $$ > pid; exec {DEFAULT_SIGNALS} \"{twine}\" \
         volume create --key passphrase v'; \
         stty -a; test ! -e v"
    );
    for signal in ["", "TERM", "HUP", "INT"] {
        let mut terminal = OnTerminal::start(&folder, &line);
        terminal.wait(|shown| shown.contains("New passphrase for v"));
        match signal {
            "" => terminal.types("\x03"),
            signal => {
                let kill = format!("kill -{signal} $(cat pid)");
                let mut kill_it = Command::new("sh");
                run(kill_it.current_dir(folder.path()).args(["-c", &kill])).printed("");
            }
        }
        let (shown, ended) = terminal.end();
        assert_eq!(ended.code, Some(0), "{signal}: {shown}");
        for setting in [" echo ", " icanon ", "isig "] {
            assert!(shown.contains(setting), "{signal}: {setting} {shown}");
        }
    }
}

/// A handler that is gone must not leave signals without an effect.
#[test]
fn a_program_ends_by_signals_after_a_passphrase_prompt() {
    let folder = Folder::new();
    folder.file(
        "loop.wat",
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))
          (memory (export "memory") 1)
          (data (i32.const 0) "\08\00\00\00\06\00\00\00begun\n")
          (func (export "_start")
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))
            (loop $on (br $on))))"#,
    );
    let twine = built("release/twine").display().to_string();
    for (signal, number) in [("TERM", 15), ("HUP", 1), ("INT", 2), ("QUIT", 3)] {
        // `exec` gives the shell the command's process id.
        let line = format!(
            "trap : INT QUIT; sh -c 'echo $$ > pid; ulimit -c 0; exec {DEFAULT_SIGNALS} \"{twine}\" \
             run --quiet --key passphrase --dir v-{signal} loop.wat'; echo ended with $?"
        );
        let mut terminal = OnTerminal::start(&folder, &line);
        types_a_new_passphrase(&mut terminal);
        terminal.wait(|shown| shown.contains("begun"));
        let kill = format!("kill -{signal} $(cat pid)");
        let mut kill_it = Command::new("sh");
        run(kill_it.current_dir(folder.path()).args(["-c", &kill])).printed("");
        let (shown, _) = terminal.end();
        assert!(shown.contains(&format!("ended with {}", 128 + number)), "{signal}: {shown}");
    }
}

/// A signal that the parent had ignored, as `nohup` does, stays ignored.
#[test]
fn a_signal_that_is_ignored_stays_ignored_after_a_passphrase_prompt() {
    let folder = Folder::new();
    let twine = built("release/twine").display().to_string();
    folder.file("nothing.wat", r#"(module (func (export "_start")))"#);
    let line = format!(
        "trap '' HUP; sh -c 'echo $$ > pid; exec \"{twine}\" run --quiet --key passphrase --dir v \
         nothing.wat'; echo ended with $?"
    );
    let mut terminal = OnTerminal::start(&folder, &line);
    terminal.wait(|shown| shown.contains("New passphrase for "));
    let mut kill_it = Command::new("sh");
    run(kill_it.current_dir(folder.path()).args(["-c", "kill -HUP $(cat pid)"])).printed("");
    types_a_new_passphrase(&mut terminal);
    let (shown, _) = terminal.end();
    assert!(shown.contains("ended with 0"), "{shown}");
}

/// Counts how often the line editor waited for a line: it turns bracketed paste on at each wait.
fn prompts(shown: &str) -> usize {
    shown.matches("\x1b[?2004h").count()
}
