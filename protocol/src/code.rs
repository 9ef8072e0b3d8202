//! The settings that compiled code depends on.

use crate::launch::{Compiler, Launch};

/// The settings that the compiled code of a program depends on, apart from the program and the
/// image. The host names the files of its code cache by them. The enclave seals them with the code,
/// and compares them with what it was asked to run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CodeSettings {
    /// The code counts fuel.
    pub fuel: bool,
    /// Loops and calls check whether they are to stop.
    pub epochs: bool,
    /// The code checks bounds itself, because its memories have no guard pages.
    pub explicit_checks: bool,
    /// Winch compiled the code.
    pub baseline: bool,
}

impl CodeSettings {
    /// A name for each of [`Self::flags`], in the same order.
    pub const NAMES: [&str; 4] = ["fuel", "timeout", "explicit", "baseline"];

    /// All settings.
    pub fn flags(self) -> [bool; Self::NAMES.len()] {
        let CodeSettings { fuel, epochs, explicit_checks, baseline } = self;
        [fuel, epochs, explicit_checks, baseline]
    }

    /// The settings with these [`Self::flags`].
    pub fn from_flags(flags: [bool; Self::NAMES.len()]) -> Self {
        let [fuel, epochs, explicit_checks, baseline] = flags;
        CodeSettings { fuel, epochs, explicit_checks, baseline }
    }

    /// The names of the settings that are on.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().zip(self.flags()).filter_map(|(name, on)| on.then_some(name))
    }
}

impl Launch {
    /// The settings of the code that this launch compiles or runs.
    pub fn code_settings(&self) -> CodeSettings {
        CodeSettings {
            fuel: self.limits.fuel.is_some(),
            epochs: self.limits.epochs(),
            explicit_checks: self.explicit_checks,
            baseline: self.compiler == Compiler::Baseline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn each_setting_has_a_flag_and_a_name_of_its_own() {
        for (at, name) in CodeSettings::NAMES.into_iter().enumerate() {
            let mut flags = [false; CodeSettings::NAMES.len()];
            flags[at] = true;
            let settings = CodeSettings::from_flags(flags);
            assert_eq!(settings.flags(), flags);
            assert_eq!(settings.names().collect::<Vec<_>>(), [name]);
        }
        assert_eq!(CodeSettings::default().names().count(), 0);
    }
}
