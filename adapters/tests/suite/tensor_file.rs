//! Each way in which a weight file can be wrong has its own error.

use adapters::tensor_file::{TensorFile, TensorFileError};
use half::{bf16, f16};
use serde_json::{Value, json};

use crate::fixture::weight_file;

const LIMIT: u64 = 1 << 10;

fn parse(bytes: &[u8]) -> Result<TensorFile, TensorFileError> {
    TensorFile::parse(bytes, LIMIT)
}

/// The error of a file with this header and eight bytes of zeros.
fn fault(header: &Value) -> TensorFileError {
    fault_of(&header.to_string(), &[0; 8])
}

fn fault_of(header: &str, data: &[u8]) -> TensorFileError {
    parse(&weight_file(header, data)).expect_err("the file is refused")
}

/// A header entry for a (1, 2) f32 matrix at `offsets`.
fn entry(offsets: [i64; 2]) -> Value {
    json!({"dtype": "F32", "shape": [1, 2], "data_offsets": offsets})
}

#[test]
fn the_three_element_types_are_read_as_f32() {
    let header = json!({
        "__metadata__": {"format": "pt"},
        "full": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "half": {"dtype": "F16", "shape": [2, 1], "data_offsets": [8, 12]},
        "brain": {"dtype": "BF16", "shape": [1, 1], "data_offsets": [12, 14]},
    });
    let data = [
        &1.5f32.to_le_bytes()[..],
        &(-2f32).to_le_bytes(),
        &f16::from_f32(0.25).to_le_bytes(),
        &f16::from_f32(-8.0).to_le_bytes(),
        &bf16::from_f32(3.0).to_le_bytes(),
    ]
    .concat();
    let matrices = parse(&weight_file(&header.to_string(), &data)).unwrap().into_matrices();
    assert_eq!(matrices["full"].values, [1.5, -2.0]);
    assert_eq!(matrices["half"].values, [0.25, -8.0]);
    assert_eq!(matrices["brain"].values, [3.0]);
    assert_eq!((matrices["half"].rows, matrices["half"].columns), (2, 1));
}

#[test]
fn a_file_that_ends_early_is_refused() {
    let whole = weight_file(&json!({"a": entry([0, 8])}).to_string(), &[0; 8]);
    for length in 0..whole.len() - 8 {
        let error = parse(&whole[..length]).unwrap_err();
        assert!(matches!(error, TensorFileError::Truncated), "{length}: {error}");
    }
    for length in whole.len() - 8..whole.len() {
        assert!(matches!(parse(&whole[..length]), Err(TensorFileError::Range(_))), "{length}");
    }
    assert!(parse(&whole).is_ok());
}

#[test]
fn a_header_over_the_limit_is_refused_before_it_is_read() {
    for found in [LIMIT + 1, u64::MAX] {
        let error = parse(&found.to_le_bytes()).unwrap_err();
        assert!(
            matches!(error, TensorFileError::HeaderTooLong { found: f, limit: LIMIT } if f == found)
        );
    }
}

#[test]
fn a_header_that_is_not_the_formats_json_is_refused() {
    for header in [
        "",
        "null",
        "[]",
        "{",
        "{}x",
        "{\"a\": 1}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1, 2]}}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1, 2], \"data_offsets\": [0, 8, 8]}}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1, 2], \"data_offsets\": [0, 8], \"x\": 0}}",
        "{\"a\": {\"dtype\": \"F32\", \"shape\": [1.5], \"data_offsets\": [0, 8]}}",
        "{\"__metadata__\": {\"format\": 1}}",
        "\u{feff}{}",
    ] {
        let error = fault_of(header, &[0; 8]);
        assert!(matches!(error, TensorFileError::Header(_)), "{header:?}: {error}");
    }
    let deep = "[".repeat(500);
    assert!(matches!(fault_of(&deep, &[]), TensorFileError::Header(_)));
    assert!(parse(&weight_file("{}", b"")).unwrap().into_matrices().is_empty());
}

#[test]
fn bytes_that_are_not_utf_8_are_refused() {
    let bytes = [&3u64.to_le_bytes()[..], b"{\"\xff"].concat();
    assert!(matches!(parse(&bytes), Err(TensorFileError::Header(_))));
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let entry = entry([0, 8]);
    let error = fault_of(&format!("{{\"a\": {entry}, \"a\": {entry}}}"), &[0; 8]);
    assert!(matches!(error, TensorFileError::Header(_)) && error.to_string().contains("twice"));
}

#[test]
fn control_characters_in_a_key_are_refused() {
    for key in ["a\0b", "a\nb", "\u{7f}", "\u{85}"] {
        assert!(matches!(fault(&json!({key: entry([0, 8])})), TensorFileError::Key(k) if k == key));
    }
}

#[test]
fn other_element_types_are_refused() {
    for dtype in ["F64", "I8", "U8", "BOOL", "F8_E4M3", "f32", ""] {
        let header = json!({"a": {"dtype": dtype, "shape": [1, 2], "data_offsets": [0, 8]}});
        assert!(
            matches!(fault(&header), TensorFileError::ElementType { dtype: d, .. } if d == dtype)
        );
    }
}

#[test]
fn only_matrices_are_read() {
    for shape in [json!([]), json!([2]), json!([1, 1, 2])] {
        let header = json!({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 8]}});
        assert!(matches!(fault(&header), TensorFileError::Dimensions { .. }), "{shape}");
    }
}

#[test]
fn a_byte_range_outside_the_file_or_of_the_wrong_length_is_refused() {
    for offsets in [[0, 4], [0, 16], [8, 16], [8, 0], [4, 8], [0, i64::MAX]] {
        assert!(matches!(fault(&json!({"a": entry(offsets)})), TensorFileError::Range(_)));
    }
    let huge = json!({"dtype": "F32", "shape": [u64::MAX, u64::MAX], "data_offsets": [0, 8]});
    assert!(matches!(fault(&json!({"a": huge})), TensorFileError::Range(_)));
    assert!(matches!(fault(&json!({"a": entry([-8, 0])})), TensorFileError::Header(_)));
}

#[test]
fn overlapping_tensors_are_refused() {
    let twice = json!({"a": entry([0, 8]), "b": entry([0, 8])});
    assert!(matches!(fault(&twice), TensorFileError::Overlap(_)));
    let header = json!({"a": entry([0, 8]), "b": entry([4, 12])}).to_string();
    assert!(matches!(fault_of(&header, &[0; 12]), TensorFileError::Overlap(_)));
}

#[test]
fn bytes_of_no_tensor_are_refused() {
    let header = json!({"a": entry([0, 8])}).to_string();
    assert!(matches!(fault_of(&header, &[0; 9]), TensorFileError::Gap));
    let header = json!({"a": entry([1, 9])}).to_string();
    assert!(matches!(fault_of(&header, &[0; 9]), TensorFileError::Gap));
    let header = json!({"a": entry([0, 8]), "b": entry([12, 20])}).to_string();
    assert!(matches!(fault_of(&header, &[0; 20]), TensorFileError::Gap));
}

#[test]
fn values_that_are_not_finite_are_refused_in_every_type() {
    let nan = f32::NAN.to_le_bytes();
    let infinite = f32::NEG_INFINITY.to_le_bytes();
    for (dtype, bytes) in [
        ("F32", &nan[..]),
        ("F32", &infinite),
        ("F16", &f16::INFINITY.to_le_bytes()),
        ("BF16", &bf16::NAN.to_le_bytes()),
    ] {
        let header = json!({
            "a": {"dtype": dtype, "shape": [1, 1], "data_offsets": [0, bytes.len()]},
        });
        let error = fault_of(&header.to_string(), bytes);
        assert!(matches!(error, TensorFileError::NonFinite(_)), "{dtype}");
    }
}
