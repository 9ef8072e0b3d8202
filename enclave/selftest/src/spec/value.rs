//! Makes the values of scripts, and compares them with results.

use super::Failure;
use super::context::World;
use json_from_wast::{
    AnyRef as Any, CoreConst, ExnRef as Exn, ExternRef as Extern, Float, FloatConst,
    FuncRef as Func, V128,
};
use std::fmt::{Debug, LowerHex};
use wasmtime::{AnyRef, ExternRef, Store, Val};

fn of_engine(error: wasmtime::Error) -> Failure {
    format!("{error:#}")
}

/// Makes an argument.
pub(super) fn make(store: &mut Store<World>, value: &CoreConst) -> Result<Val, Failure> {
    Ok(match value {
        CoreConst::I32 { value } => Val::I32(value.0),
        CoreConst::I64 { value } => Val::I64(value.0),
        CoreConst::F32 { value } => Val::F32(value.to_bits()),
        CoreConst::F64 { value } => Val::F64(value.to_bits()),
        CoreConst::V128(value) => Val::V128(value.to_u128().into()),
        CoreConst::FuncRef { value: None | Some(Func::Null) } => Val::FuncRef(None),
        CoreConst::ExternRef { value: None | Some(Extern::Null) } => Val::ExternRef(None),
        CoreConst::ExternRef { value: Some(Extern::Host(number)) } => {
            Val::ExternRef(Some(ExternRef::new(store, number.0).map_err(of_engine)?))
        }
        CoreConst::AnyRef { value: None | Some(Any::Null) } | CoreConst::NullRef => {
            Val::AnyRef(None)
        }
        CoreConst::AnyRef { value: Some(Any::Host(number)) } => {
            let number = ExternRef::new(&mut *store, number.0).map_err(of_engine)?;
            Val::AnyRef(Some(AnyRef::convert_extern(store, number).map_err(of_engine)?))
        }
        other => return Err(format!("no value can be made of {other:?}")),
    })
}

/// Compares a result with the expected value.
pub(super) fn compare(
    store: &mut Store<World>,
    actual: &Val,
    expected: &CoreConst,
) -> Result<(), Failure> {
    let holds = match (actual, expected) {
        (_, CoreConst::Either { values }) => {
            values.iter().any(|expected| compare(store, actual, expected).is_ok())
        }
        (Val::I32(a), CoreConst::I32 { value }) => *a == value.0,
        (Val::I64(a), CoreConst::I64 { value }) => *a == value.0,
        (Val::F32(a), CoreConst::F32 { value }) => same_f32(*a, value),
        (Val::F64(a), CoreConst::F64 { value }) => same_f64(*a, value),
        (Val::V128(a), CoreConst::V128(value)) => same_v128(a.as_u128(), value),

        (
            Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(None) | Val::ExnRef(None),
            CoreConst::RefNull,
        )
        | (Val::FuncRef(_), CoreConst::FuncRef { value: None })
        | (Val::AnyRef(_), CoreConst::AnyRef { value: None })
        | (Val::ExternRef(_), CoreConst::ExternRef { value: None })
        | (Val::ExnRef(_), CoreConst::ExnRef { value: None })
        | (Val::FuncRef(None), CoreConst::NullFuncRef)
        | (Val::FuncRef(None), CoreConst::FuncRef { value: Some(Func::Null) })
        | (Val::AnyRef(None), CoreConst::NullRef)
        | (Val::AnyRef(None), CoreConst::AnyRef { value: Some(Any::Null) })
        | (Val::ExternRef(None), CoreConst::NullExternRef)
        | (Val::ExternRef(None), CoreConst::ExternRef { value: Some(Extern::Null) })
        | (Val::ExnRef(None), CoreConst::NullExnRef)
        | (Val::ExnRef(None), CoreConst::ExnRef { value: Some(Exn::Null) })
        // The engine does not tell which function it is.
        | (Val::FuncRef(Some(_)), CoreConst::FuncRef { value: Some(Func::Index(_)) }) => true,

        (Val::ExternRef(Some(a)), CoreConst::ExternRef { value: Some(Extern::Host(number)) }) => {
            same_host(store, *a, number.0)?
        }
        (Val::AnyRef(Some(a)), CoreConst::AnyRef { value: Some(Any::Host(number)) }) => {
            let a = ExternRef::convert_any(&mut *store, *a).map_err(of_engine)?;
            same_host(store, a, number.0)?
        }
        (Val::AnyRef(Some(a)), CoreConst::EqRef) => a.is_eqref(&*store).map_err(of_engine)?,
        (Val::AnyRef(Some(a)), CoreConst::I31Ref) => a.is_i31(&*store).map_err(of_engine)?,
        (Val::AnyRef(Some(a)), CoreConst::StructRef) => a.is_struct(&*store).map_err(of_engine)?,
        (Val::AnyRef(Some(a)), CoreConst::ArrayRef) => a.is_array(&*store).map_err(of_engine)?,
        _ => false,
    };
    if holds { Ok(()) } else { Err(format!("{}, not {expected:?}", show(actual))) }
}

/// Formats a value with its bits, which distinguish NaNs.
fn show(value: &Val) -> String {
    fn bits(value: impl LowerHex, number: impl Debug) -> String {
        format!("{number:?} ({value:#x})")
    }
    match value {
        Val::F32(a) => bits(*a, f32::from_bits(*a)),
        Val::F64(a) => bits(*a, f64::from_bits(*a)),
        Val::V128(a) => format!("{:#034x}", a.as_u128()),
        other => format!("{other:?}"),
    }
}

fn same_host(
    store: &mut Store<World>,
    actual: wasmtime::Rooted<ExternRef>,
    expected: u32,
) -> Result<bool, Failure> {
    let data = actual.data(&*store).map_err(of_engine)?;
    Ok(data.and_then(|data| data.downcast_ref::<u32>()) == Some(&expected))
}

/// The exponent and the first bit of the payload are ones: a quiet NaN.
const F32_ARITHMETIC: u32 = 0x7fc0_0000;
const F64_ARITHMETIC: u64 = 0x7ff8_0000_0000_0000;

fn same_f32(actual: u32, expected: &FloatConst<f32>) -> bool {
    match expected {
        FloatConst::CanonicalNan => actual & 0x7fff_ffff == F32_ARITHMETIC,
        FloatConst::ArithmeticNan => actual & F32_ARITHMETIC == F32_ARITHMETIC,
        FloatConst::Value(value) => actual == Float::to_bits(value),
    }
}

fn same_f64(actual: u64, expected: &FloatConst<f64>) -> bool {
    match expected {
        FloatConst::CanonicalNan => actual & 0x7fff_ffff_ffff_ffff == F64_ARITHMETIC,
        FloatConst::ArithmeticNan => actual & F64_ARITHMETIC == F64_ARITHMETIC,
        FloatConst::Value(value) => actual == Float::to_bits(value),
    }
}

fn same_v128(actual: u128, expected: &V128) -> bool {
    let bytes = actual.to_le_bytes();
    match expected {
        V128::F32 { value } => bytes
            .as_chunks()
            .0
            .iter()
            .zip(value)
            .all(|(lane, expected)| same_f32(u32::from_le_bytes(*lane), expected)),
        V128::F64 { value } => bytes
            .as_chunks()
            .0
            .iter()
            .zip(value)
            .all(|(lane, expected)| same_f64(u64::from_le_bytes(*lane), expected)),
        integers => actual == integers.to_u128(),
    }
}
