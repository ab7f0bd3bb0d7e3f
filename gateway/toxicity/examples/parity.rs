//! Compares a real sentence encoder with transformers, and says how fast it is:
//!
//! ```sh
//! python tests/reference/tiny_encoders.py FOLDER |
//!   cargo run --release -p gateway-toxicity --features encoder --example parity -- FOLDER
//! ```
#![expect(clippy::print_stdout, reason = "a terminal program")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use gateway_toxicity::encoder::Encoder;
use serde::Deserialize;

/// f32 sums in another order.
const TOLERANCE: f32 = 1e-5;

/// What the script prints.
#[derive(Deserialize)]
struct Reference {
    texts: Vec<String>,
    vectors: Vec<Vec<f32>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("which folder?")?.into();
    let reference: Reference = serde_json::from_reader(std::io::stdin())?;
    let encoder = Encoder::open(&folder)?;
    let texts: Vec<&str> = reference.texts.iter().map(String::as_str).collect();
    let vectors = encoder.embed(&texts)?;
    let pairs = vectors.iter().flatten().zip(reference.vectors.iter().flatten());
    let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{}, width {}", encoder.fingerprint(), encoder.width());
    println!("largest difference {difference:.1e}");
    println!("{:.0} words a second in windows of 48", words_per_second(&encoder)?);
    if difference > TOLERANCE {
        return Err(format!("more than {TOLERANCE:.0e}").into());
    }
    Ok(())
}

fn words_per_second(encoder: &Encoder) -> Result<f64, Box<dyn Error>> {
    let text = "the cat sat on a mat ".repeat(8);
    let texts = [text.as_str(); 32];
    let begin = Instant::now();
    encoder.embed(&texts)?;
    Ok(f64::from(48 * 32) / begin.elapsed().as_secs_f64())
}
