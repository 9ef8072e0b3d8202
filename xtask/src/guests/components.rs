//! Components, made of the preview 1 programs.

use super::Guests;
use crate::process::{Result, command, say, succeed};

/// The programs that tests run as modules and as components. The C library of the Rust programs may
/// be Debian's, whose `malloc` takes the memory of the adapter for its own.
const PROGRAMS: [&str; 5] = ["hello", "lua", "pieces", "posix", "python"];

/// Makes the component of each program.
pub(super) fn programs(guests: &Guests) -> Result<()> {
    for program in PROGRAMS {
        let name = format!("{program}-component");
        let module = guests.out(program);
        let newest = super::last_change(&module)?;
        let made = guests.out(&name).exists();
        let Some(stale) = guests.unless_made(made, &name, "componentize 48.0.8", newest)? else {
            continue;
        };
        say(format_args!("making {}", guests.shown(&name)));
        let mut cargo = command("cargo", &guests.root);
        cargo.args(["run", "--quiet", "--package", "twine-engine", "--example", "componentize"]);
        succeed(cargo.arg("--").arg(&module).arg(guests.out(&name)))?;
        stale.made()?;
    }
    Ok(())
}
