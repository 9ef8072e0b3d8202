//! What the suite and the host that started it hand to each other. The host's test includes
//! this file too.

use serde::{Deserialize, Serialize};

/// One script of the specification tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// What it tests: a version of the specification, or a proposal.
    pub group: String,
    /// Its file name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What came of one script, or of one test of our own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Result {
    /// The script's group; `own` for a test of our own.
    pub group: String,
    /// The script's file name, or the sentence that the test proves.
    pub name: String,
    /// Assertions that hold.
    pub passed: u32,
    /// Assertions that a later version of the specification took back: what they want
    /// refused is refused only where later proposals are off. Each as `LINE: WHAT`.
    pub superseded: Vec<String>,
    /// What does not hold, each as `LINE: WHY`.
    pub failed: Vec<String>,
    /// How long it took, by the host's clock.
    pub milliseconds: u64,
}

/// Scripts as the bytes of a "program".
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn encode_scripts(scripts: &[Script]) -> Vec<u8> {
    postcard::to_allocvec(scripts).expect("writing to a Vec has no error of its own")
}

/// The scripts in these bytes.
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn decode_scripts(bytes: &[u8]) -> std::result::Result<Vec<Script>, String> {
    postcard::from_bytes(bytes).map_err(|error| format!("not a bundle of scripts: {error}"))
}

/// A result as one of the lines of an outcome: each byte a character.
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn encode_result(result: &Result) -> String {
    let bytes = postcard::to_allocvec(result).expect("writing to a Vec has no error of its own");
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The result in one of an outcome's lines.
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn decode_result(line: &str) -> Option<Result> {
    let bytes: Option<Vec<u8>> = line.chars().map(|char| u8::try_from(char).ok()).collect();
    postcard::from_bytes(&bytes?).ok()
}
