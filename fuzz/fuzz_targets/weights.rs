//! The safetensors door: no bytes make it panic, and what it lets in is finite and whole.
#![no_main]

use adapters::tensor_file::TensorFile;
use libfuzzer_sys::fuzz_target;

const HEADER_LIMIT: u64 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = TensorFile::parse(bytes, HEADER_LIMIT) else { return };
    for (key, matrix) in file.into_matrices() {
        assert!(!key.contains(char::is_control));
        assert_eq!(matrix.values.len(), matrix.rows * matrix.columns);
        assert!(matrix.values.iter().all(|value| value.is_finite()));
    }
});
