//! The long run: libFuzzer drives a target by coverage.
#![expect(unsafe_code, reason = "libFuzzer is C++")]

use std::{
    ffi::{CString, c_char, c_int},
    slice,
    sync::OnceLock,
};

use anyhow::{Context, Result};
// Only for what it links.
use libfuzzer_sys as _;

use crate::target::{Check, Target};

static CHECK: OnceLock<Check> = OnceLock::new();

unsafe extern "C" {
    fn LLVMFuzzerRunDriver(
        argc: *mut c_int,
        argv: *mut *mut *mut c_char,
        one: extern "C" fn(*const u8, usize) -> c_int,
    ) -> c_int;
}

/// A panic that would leave it ends the process, and libFuzzer keeps the input.
extern "C" fn one(data: *const u8, size: usize) -> c_int {
    // SAFETY: libFuzzer lends `size` bytes at `data` until this returns.
    let input = unsafe { slice::from_raw_parts(data, size) };
    if let Some(check) = CHECK.get() {
        check(if size == 0 { &[] } else { input });
    }
    0
}

/// Gives a target to libFuzzer, which is told `arguments`; its exit code. Often it
/// ends the process itself.
///
/// # Errors
/// Where an argument holds a zero byte.
pub fn drive(target: &Target, arguments: &[String]) -> Result<i32> {
    CHECK.get_or_init(|| target.check);
    let mut words = vec![CString::new(target.name)?];
    for argument in arguments {
        words.push(CString::new(argument.as_str())?);
    }
    let mut pointers: Vec<*mut c_char> =
        words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    let mut count = c_int::try_from(pointers.len()).context("there are too many arguments")?;
    pointers.push(std::ptr::null_mut());
    let mut vector = pointers.as_mut_ptr();
    // SAFETY: a C program's arguments, which live until it returns.
    Ok(unsafe { LLVMFuzzerRunDriver(&mut count, &mut vector, one) })
}
