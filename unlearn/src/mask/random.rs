//! A control: tokens anywhere. Shows what is mere damage.

use super::Masked;
use crate::random::Random;

/// The tokens of `masked` with as many targets as it has, drawn from all but the first token.
#[must_use]
pub fn random(masked: &Masked, random: &mut Random) -> Masked {
    let mut places: Vec<usize> = (1..masked.tokens.len()).collect();
    random.shuffle(&mut places);
    let mut mask = vec![false; masked.tokens.len()];
    for place in places.into_iter().take(masked.targets()) {
        mask[place] = true;
    }
    Masked { tokens: masked.tokens.clone(), mask }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_tokens_are_drawn_and_never_the_first() {
        let mask = [false, true, true, true, false, false, false, false].to_vec();
        let masked = Masked { tokens: (0..8).collect(), mask };
        let mut drawn = [0; 8];
        for seed in 0..700 {
            let other = random(&masked, &mut Random::new(seed));
            assert_eq!((other.targets(), &other.tokens), (3, &masked.tokens));
            other.mask.iter().zip(&mut drawn).for_each(|(is, count)| *count += u32::from(*is));
        }
        assert_eq!(drawn[0], 0);
        // Each of seven places is drawn 300 times of 700; five standard deviations are 65.
        assert!(drawn[1..].iter().all(|count| (235..365).contains(count)), "{drawn:?}");
        let none = Masked { tokens: vec![1], mask: vec![false] };
        assert_eq!(random(&none, &mut Random::new(0)), none);
    }
}
