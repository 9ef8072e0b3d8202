//! `twine key`.

mod common;

use common::{Folder, run, twine};
use std::fs;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_new_key_is_this_users_alone_and_is_never_overwritten() {
    let folder = Folder::new();
    let make = |name: &str| {
        let mut command = twine();
        command.current_dir(folder.path()).args(["key", "new", "--output", name]);
        run(&mut command)
    };
    let made = make("owner.pem");
    assert!(made.out.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{made:?}");
    let path = folder.path().join("owner.pem");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    make("owner.pem").failed_with(1, "owner.pem is there already");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn if_the_public_key_cannot_be_written_no_private_one_stays() {
    let folder = Folder::new();
    folder.file("owner.pub", "something else");
    let options = ["key", "new", "--output", "owner.pem", "--public", "owner.pub"];
    run(twine().current_dir(folder.path()).args(options))
        .failed_with(1, "owner.pub is there already");
    assert!(!folder.path().join("owner.pem").exists());
    assert_eq!(fs::read(folder.path().join("owner.pub")).unwrap(), b"something else");
}

#[test]
fn the_public_key_and_its_id_are_the_same_from_either_half() {
    for key in ["p256", "ed25519"] {
        let folder = Folder::new();
        let twine = |arguments: &[&str]| run(twine().current_dir(folder.path()).args(arguments));
        let made = twine(&["key", "new", "--type", key, "-o", "o.pem", "--public", "o.pub"]);
        let public = fs::read_to_string(folder.path().join("o.pub")).unwrap();
        twine(&["key", "public", "o.pem"]).printed(&public);
        twine(&["key", "public", "o.pub"]).printed(&public);
        let id = twine(&["key", "public", "--id", "o.pem"]);
        assert!(id.out.len() == 65 && made.err.contains(id.out.trim_end()), "{made:?} {id:?}");
        twine(&["key", "public", "--id", "o.pub"]).printed(&id.out);
    }
}

#[test]
fn a_file_that_is_no_key_is_refused_with_a_remedy() {
    let folder = Folder::new();
    folder.file("o.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let ended = run(twine().current_dir(folder.path()).args(["key", "public", "o.pem"]));
    ended.failed_with(1, "it is PEM of the kind CERTIFICATE");
    assert!(ended.err.contains("twine key new"), "{ended:?}");
}
