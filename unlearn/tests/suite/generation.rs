//! Continuations: what they may depend on.

use std::sync::Arc;

use model::kernels::pool::Pool;
use model::{BLOCK_TOKENS, KvCache, NoDelta, PackedDecoder, Segment, ServedPrecision};
use unlearn::evaluation::{Choice, Continuing, Generator};

use crate::open;

const DRAWN: Continuing = Continuing { samples: 3, tokens: 20, choice: Choice::Nucleus(0.9) };

fn decoder(threads: usize) -> PackedDecoder {
    open("tiny-llama").packed(ServedPrecision::Auto, Arc::new(Pool::new(threads))).unwrap()
}

/// Prompts that fill cache blocks exactly, nearly, and not.
fn prompts() -> Vec<Vec<u32>> {
    let lengths = [1, 15, 16, 17, 32, 40];
    lengths.map(|length| (0..length).map(|i| 3 + (i * 37 + length) % 250).collect()).into()
}

fn said(prompts: &[Vec<u32>], how: Continuing) -> Vec<Vec<Vec<u32>>> {
    let decoder = decoder(2);
    Generator::new(&decoder, &NoDelta, &[]).generate(prompts, how, &mut |_| ()).unwrap()
}

#[test]
fn a_continuation_is_the_same_in_any_company() {
    let together = said(&prompts(), DRAWN);
    for (index, prompt) in prompts().into_iter().enumerate() {
        let alone = said(&[prompt], DRAWN);
        assert_eq!(alone[0], together[index], "prompt {index}");
        assert_ne!(alone[0][0], alone[0][1], "samples differ");
    }
    let more = said(&prompts()[2..3], Continuing { samples: 120, ..DRAWN });
    assert_eq!(more[0][..3], together[2][..], "a sample depends on its number alone");
}

#[test]
fn the_likeliest_tokens_are_those_of_one_sequence_computed_whole() {
    let (decoder, how) = (decoder(1), Continuing { choice: Choice::Likeliest, ..DRAWN });
    for (prompt, said) in prompts().iter().zip(said(&prompts(), how)) {
        assert_eq!(said[0], said[2]);
        let tokens: Vec<u32> = prompt.iter().chain(&said[0]).copied().collect();
        let mut cache = KvCache::new(decoder.config(), tokens.len().div_ceil(BLOCK_TOKENS));
        let table: Vec<u32> = (0..cache.blocks() as u32).collect();
        let segment = Segment { tokens: &tokens, start: 0, table: &table };
        let hidden = decoder.hidden(&mut cache, &[segment], &NoDelta).unwrap();
        let logits = decoder.logits(&hidden);
        for (place, token) in said[0].iter().enumerate() {
            let row = logits.row(prompt.len() - 1 + place);
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert!(row[*token as usize] >= largest, "token {place} of {}", prompt.len());
        }
    }
}

#[test]
fn what_is_barred_is_never_said() {
    let decoder = decoder(2);
    let first = said(&prompts(), DRAWN).concat().concat();
    let barred = [first[0], first[1]];
    let said = Generator::new(&decoder, &NoDelta, &barred)
        .generate(&prompts(), DRAWN, &mut |_| ())
        .unwrap()
        .concat()
        .concat();
    assert_eq!(said.len(), first.len());
    assert!(said.iter().all(|token| !barred.contains(token)));
}
