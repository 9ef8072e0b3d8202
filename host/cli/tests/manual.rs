//! Manual pages and completions: they cover all commands, and their readers can parse them.

mod common;

use common::{Folder, run, run_with_input, twine};
use std::fs;
use std::process::Command;

#[test]
fn every_command_has_a_page() {
    let folder = Folder::new();
    let pages = folder.path().join("man1");
    run(twine().args(["man", "--output"]).arg(&pages)).printed("");
    let mut names: Vec<String> = fs::read_dir(&pages)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in ["twine.1", "twine-run.1", "twine-volume-cp.1", "twine-volume-key-rotate.1"] {
        assert!(names.iter().any(|page| page == name), "{name} of {names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
    for name in &names {
        let page = fs::read_to_string(pages.join(name)).unwrap();
        let title = name.trim_end_matches(".1");
        assert!(page.contains(&format!(".TH {} 1", title.to_uppercase())), "{page}");
        let words: Vec<&str> = title.split('-').skip(1).collect();
        // A name may contain a hyphen: `re-key`.
        if words.first() != Some(&"volume") || words.len() < 3 {
            let printed = run(twine().arg("man").args(&words));
            assert_eq!((printed.code, printed.out), (Some(0), page), "{name}");
        }
    }
    let missing = run(twine().args(["man", "volume", "nothing"]));
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.err.contains("there is no command `twine volume nothing`"), "{missing:?}");
}

#[test]
fn completions_are_scripts_that_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(twine().args(["completions", shell]));
        assert_eq!(script.code, Some(0), "{script:?}");
        for word in ["volume", "re-key", "max-memory"] {
            assert!(script.out.contains(word), "{shell}: no {word}");
        }
        if shell == "bash" {
            let checked = run_with_input(Command::new("bash").arg("-n"), script.out.as_bytes());
            assert!(checked.code == Some(0) && checked.err.is_empty(), "{checked:?}");
        }
    }
    let unknown = run(twine().args(["completions", "none"]));
    assert!(
        unknown.code == Some(2) && unknown.err.contains("possible values: bash"),
        "{unknown:?}"
    );
}
