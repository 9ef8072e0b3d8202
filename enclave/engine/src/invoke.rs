//! Converts the values of `--invoke` from and to text.

use crate::error::Error;
use wasmtime::{FuncType, Val, ValType};

/// A call of an exported function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invoke {
    /// The name of the export.
    pub function: String,
    /// One text for each parameter: a number in the notation of Rust or C.
    pub arguments: Vec<String>,
}

/// Parses the arguments of a call, for the parameters of the function.
pub(crate) fn parse(name: &str, ty: &FuncType, arguments: &[String]) -> Result<Vec<Val>, Error> {
    let parameters = ty.params();
    if parameters.len() != arguments.len() {
        return Err(Error::Invoke(format!(
            "`{name}` takes {} arguments, {} were given",
            parameters.len(),
            arguments.len()
        )));
    }
    parameters
        .zip(arguments)
        .map(|(ty, text)| {
            value(&ty, text)
                .ok_or_else(|| Error::Invoke(format!("{text:?} is no value of type {ty}")))
        })
        .collect()
}

/// Parses a signed or unsigned integer in decimal, hexadecimal, octal or binary notation.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (digits, radix) = match digits.split_at_checked(2) {
        Some(("0x" | "0X", digits)) => (digits, 16),
        Some(("0o", digits)) => (digits, 8),
        Some(("0b", digits)) => (digits, 2),
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    Some(
        sign * i128::from(
            u128::from_str_radix(digits, radix).ok().and_then(|n| u64::try_from(n).ok())?,
        ),
    )
}

fn value(ty: &ValType, text: &str) -> Option<Val> {
    Some(match ty {
        ValType::I32 => {
            let n = integer(text)?;
            Val::I32(i32::try_from(n).or_else(|_| u32::try_from(n).map(u32::cast_signed)).ok()?)
        }
        ValType::I64 => {
            let n = integer(text)?;
            Val::I64(i64::try_from(n).or_else(|_| u64::try_from(n).map(u64::cast_signed)).ok()?)
        }
        ValType::F32 => Val::F32(text.parse::<f32>().ok()?.to_bits()),
        ValType::F64 => Val::F64(text.parse::<f64>().ok()?.to_bits()),
        ValType::V128 => {
            let digits = text.strip_prefix("0x").unwrap_or(text);
            Val::V128(u128::from_str_radix(digits, 16).ok()?.into())
        }
        ValType::Ref(_) => return None,
    })
}

/// Formats a result as text.
pub(crate) fn show(value: &Val) -> String {
    match value {
        Val::I32(n) => n.to_string(),
        Val::I64(n) => n.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::V128(bits) => format!("{:#034x}", bits.as_u128()),
        _ => "<reference>".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_wrap_to_their_type_as_users_write_them() {
        let i32 = |text| value(&ValType::I32, text).map(|value| value.unwrap_i32());
        assert_eq!(i32("7"), Some(7));
        assert_eq!(i32("-1"), Some(-1));
        assert_eq!(i32("0xffffffff"), Some(-1));
        assert_eq!(i32("0x100000000"), None);
        assert_eq!(i32(""), None);
        assert_eq!(i32("--1"), None);
        assert_eq!(i32("1.5"), None);
        let i64 = |text| value(&ValType::I64, text).map(|value| value.unwrap_i64());
        assert_eq!(i64("18446744073709551615"), Some(-1));
        assert_eq!(i64("18446744073709551616"), None);
        assert_eq!(i64("-9223372036854775808"), Some(i64::MIN));
    }
}
