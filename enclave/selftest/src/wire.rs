//! The scripts and results that pass between the enclave and the host's test, which includes this
//! file too.

use serde::{Deserialize, Serialize};

/// One script of the specification tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The version of the specification, or the proposal, that it tests.
    pub group: String,
    /// Its file name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The result of one script, or of one unit test.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Result {
    /// The script's group; `unit` for a unit test.
    pub group: String,
    /// The script's file name, or the sentence that the test proves.
    pub name: String,
    /// Assertions that hold.
    pub passed: u32,
    /// Assertions that a later version of the specification withdrew: they expect an error that
    /// only occurs while later proposals are off. Each as `LINE: WHAT`.
    pub superseded: Vec<String>,
    /// Assertions that do not hold, each as `LINE: WHY`.
    pub failed: Vec<String>,
    /// How long it took, by the host's clock.
    pub milliseconds: u64,
}

/// Encodes scripts as the bytes of a "program".
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn encode_scripts(scripts: &[Script]) -> Vec<u8> {
    postcard::to_allocvec(scripts).expect("writing to a Vec has no error of its own")
}

/// Decodes the scripts.
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn decode_scripts(bytes: &[u8]) -> std::result::Result<Vec<Script>, String> {
    postcard::from_bytes(bytes).map_err(|error| format!("not a bundle of scripts: {error}"))
}

/// Encodes a result as a line of an outcome, each byte as one character.
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn encode_result(result: &Result) -> String {
    let bytes = postcard::to_allocvec(result).expect("writing to a Vec has no error of its own");
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// Decodes a result from a line of an outcome.
#[allow(dead_code, reason = "one side writes, the other reads")]
pub fn decode_result(line: &str) -> Option<Result> {
    let bytes: Option<Vec<u8>> = line.chars().map(|char| u8::try_from(char).ok()).collect();
    postcard::from_bytes(&bytes?).ok()
}
