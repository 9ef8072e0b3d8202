//! Gets keys and attests locally, through EDP's own instruction wrappers.
//!
//! Commands: `key mrenclave|mrsigner`, `target`, `prove TARGETINFO`, `verify REPORT`. All values
//! are in hexadecimal.

use aes::Aes128;
use cmac::{Cmac, KeyInit, Mac};
use sgx_isa::{Keyname, Keypolicy, Keyrequest, Report, Targetinfo};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["key", policy] => println!("{}", key(policy)),
        ["target"] => {
            let target = Targetinfo::from(Report::for_self());
            println!("{}", encode(target.as_ref()));
        }
        ["prove", target] => {
            let target = Targetinfo::try_copy_from(&decode(target)).expect("TARGETINFO");
            let report = Report::for_target(&target, &[0x42; 64]);
            println!("{}", encode(report.as_ref()));
        }
        ["verify", report] => {
            let report = Report::try_copy_from(&decode(report)).expect("REPORT");
            let genuine = report.verify(|key, data, mac| {
                let mut cmac = <Cmac<Aes128> as KeyInit>::new(key.into());
                cmac.update(data);
                cmac.verify_slice(mac).is_ok()
            });
            println!("{}", if genuine { "genuine" } else { "forged" });
        }
        _ => println!("unknown arguments"),
    }
}

fn key(policy: &str) -> String {
    let keypolicy = match policy {
        "mrenclave" => Keypolicy::MRENCLAVE,
        _ => Keypolicy::MRSIGNER,
    };
    let request = Keyrequest {
        keyname: Keyname::Seal as u16,
        keypolicy,
        attributemask: [!0; 2],
        ..Default::default()
    };
    match request.egetkey() {
        Ok(key) => encode(&key),
        Err(error) => format!("{error:?}"),
    }
}

fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn decode(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal"))
        .collect()
}
