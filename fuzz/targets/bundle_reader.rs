//! libFuzzer on `bundle_reader` of `tests/support/fuzz_bodies.rs`.

#![no_main]

#[path = "../../tests/support/fuzz_bodies.rs"]
mod fuzz_bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_bodies::run("bundle_reader", bytes));
