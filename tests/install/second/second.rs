// SPDX-License-Identifier: GPL-3.0-or-later
//! Another Rust static library in the same program: panics, catches its panics, has threads, and is optimised as a whole.

use std::panic::catch_unwind;

/// Panics inside and contains it: 42, or what must not be.
#[unsafe(no_mangle)]
pub extern "C" fn second_answer() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    let thread = std::thread::spawn(|| catch_unwind(|| panic!("{}", std::env::args().count())).is_err());
    if thread.join().unwrap_or(false) { 42 } else { -1 }
}
