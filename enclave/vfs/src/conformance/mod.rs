//! Checks that every implementation of [`FileSystem`] must pass.
//!
//! Each check needs an empty file system with space for a few megabytes, and panics if the
//! implementation violates the trait's contract. [`conformance!`](crate::conformance!) makes a test
//! of each:
//!
//! ```text
//! fn empty() -> Box<dyn twine_vfs::FileSystem> { /* ... */ }
//! twine_vfs::conformance!(empty());
//! ```

mod data;
mod directories;
mod holds;
mod names;
mod rename;

pub use data::*;
pub use directories::*;
pub use holds::*;
pub use names::*;
pub use rename::*;

use crate::{Attributes, Error, FileKind, FileSystem, Inode};

/// Makes a test of each check. The argument is an expression of type `Box<dyn FileSystem>`.
#[macro_export]
macro_rules! conformance {
    ($empty:expr) => {
        $crate::conformance!($empty;
            a_new_tree_is_an_empty_directory
            names_are_checked_by_every_operation
            an_existing_name_cannot_be_created_again
            operations_in_what_is_no_directory_say_so
            a_missing_name_is_not_found
            hard_links_are_names_of_one_inode
            symbolic_links_hold_their_target_and_are_not_followed
            only_files_and_links_are_unlinked_and_only_empty_directories_removed
            names_may_hold_any_other_character
            times_are_set_as_told_and_follow_changes
            modes_are_kept_as_they_are_set
            rename_moves_within_and_between_directories
            rename_replaces_what_goes_together_and_refuses_the_rest
            rename_of_two_names_of_one_inode_changes_nothing
            rename_into_the_own_subtree_is_invalid
            rename_moves_a_directory_with_all_that_is_in_it
            written_bytes_are_read_back
            reads_end_at_the_end_of_the_file
            gaps_read_as_zero_and_take_no_space
            before_the_next_data_all_is_zero
            sizes_are_set_both_ways
            bytes_that_were_cut_off_do_not_come_back
            allocation_makes_the_file_longer_and_keeps_its_contents
            files_have_a_longest_size
            contents_belong_to_files_only
            writes_of_all_alignments_agree_with_a_plain_vector
            syncing_succeeds_for_all_kinds
            a_large_directory_is_read_in_pieces
            entries_say_what_they_stand_for
            cookies_stay_good_under_change
            an_entry_that_was_refused_is_given_again
            a_replaced_name_is_read_once
            an_unlinked_file_lives_while_it_is_held
            each_hold_counts
            a_removed_directory_takes_nothing_in
            a_replaced_file_lives_while_it_is_held
            space_comes_back_when_the_last_hold_goes
        );
    };
    ($empty:expr; $($check:ident)+) => {
        $(#[test]
        fn $check() {
            $crate::conformance::$check(&mut *$empty);
        })+
    };
}

type Files<'a> = &'a mut dyn FileSystem;

/// Makes a file with these contents, and releases it.
#[track_caller]
fn file(files: Files<'_>, directory: Inode, name: &str, contents: &[u8]) {
    let inode = files.create_file(directory, name).expect(name);
    assert_eq!(files.write(inode, 0, contents), Ok(contents.len()));
    files.release(inode);
}

/// Makes a directory, and holds it.
#[track_caller]
fn directory(files: Files<'_>, parent: Inode, name: &str) -> Inode {
    files.create_directory(parent, name).expect(name);
    files.lookup(parent, name).expect(name)
}

/// Reads all of a file, by its name.
#[track_caller]
fn contents(files: Files<'_>, directory: Inode, name: &str) -> Vec<u8> {
    let inode = files.lookup(directory, name).expect(name);
    let bytes = all(files, inode);
    files.release(inode);
    bytes
}

/// Reads all of a file.
#[track_caller]
fn all(files: Files<'_>, inode: Inode) -> Vec<u8> {
    let size = files.attributes(inode).expect("attributes").size;
    let mut bytes = vec![0xee; size as usize + 1];
    assert_eq!(files.read(inode, 0, &mut bytes), Ok(size as usize));
    bytes.truncate(size as usize);
    bytes
}

/// Returns the attributes of a name.
#[track_caller]
fn named(files: Files<'_>, directory: Inode, name: &str) -> Attributes {
    let inode = files.lookup(directory, name).expect(name);
    let attributes = files.attributes(inode).expect(name);
    files.release(inode);
    attributes
}

#[track_caller]
fn assert_absent(files: Files<'_>, directory: Inode, name: &str) {
    assert_eq!(files.lookup(directory, name), Err(Error::NotFound), "{name}");
}

/// Lists names, inodes, kinds and cookies after `cookie`, in the order of the directory.
#[track_caller]
fn list(files: Files<'_>, directory: Inode, cookie: u64) -> Vec<(String, Inode, FileKind, u64)> {
    let mut entries = Vec::new();
    let listed = files.entries(directory, cookie, &mut |entry| {
        entries.push((entry.name.to_string(), entry.inode, entry.kind, entry.cookie));
        true
    });
    assert_eq!(listed, Ok(()));
    entries
}

/// Lists the names of a directory, sorted.
#[track_caller]
fn names(files: Files<'_>, directory: Inode) -> Vec<String> {
    let mut names: Vec<_> = list(files, directory, 0).into_iter().map(|(name, ..)| name).collect();
    names.sort();
    names
}
