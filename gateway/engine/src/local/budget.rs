//! How much of the prompts a step computes.

use model::{Config, Projection};

use super::step::Share;

/// What a product of attention takes, in products of a linear layer: those are of 8-bit integers,
/// four times as many an instruction, and attention reads its keys and values for each token.
const ATTENTION_PRODUCT: usize = 3;

/// How long a prompt's tokens take, by where they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenCost {
    /// The past with which a token takes twice as long as without.
    even: usize,
}

impl TokenCost {
    pub(super) fn new(config: &Config) -> Self {
        let layer = Projection::ALL.map(|projection| {
            let (inputs, outputs) = config.shape(projection);
            inputs * outputs
        });
        // Each token of the past is a product for its key and one for its value.
        let past_token = 2 * config.heads * config.head_dim * ATTENTION_PRODUCT;
        Self { even: layer.iter().sum::<usize>().div_ceil(past_token.max(1)).max(1) }
    }

    /// How many tokens after `past` take as long as `tokens` without a past; at least one.
    pub(super) const fn as_long_as(self, tokens: usize, past: usize) -> usize {
        let count = tokens * self.even / (self.even + past);
        if count == 0 { 1 } else { count }
    }
}

/// Divides `budget` tokens among `wanted`: equal shares, then what is left to the first.
pub(super) fn divide(budget: usize, wanted: Vec<Share>) -> Vec<Share> {
    let equal = budget.checked_div(wanted.len()).unwrap_or(0);
    let mut given: Vec<Share> =
        wanted.iter().map(|w| Share { tokens: w.tokens.min(equal), ..*w }).collect();
    let mut left = budget - given.iter().map(|g| g.tokens).sum::<usize>();
    for (given, wanted) in given.iter_mut().zip(wanted) {
        let more = left.min(wanted.tokens - given.tokens);
        given.tokens += more;
        left -= more;
    }
    given.retain(|share| share.tokens > 0);
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_divided_equally_and_used_up() {
        let want = |tokens: &[usize]| -> Vec<Share> {
            tokens
                .iter()
                .enumerate()
                .map(|(row, &tokens)| Share { row, member: 0, tokens })
                .collect()
        };
        let given = |budget, tokens: &[usize]| -> Vec<usize> {
            divide(budget, want(tokens)).iter().map(|s| s.tokens).collect()
        };
        assert_eq!(given(64, &[1000, 10]), [54, 10]);
        assert_eq!(given(64, &[1000, 1000]), [32, 32]);
        assert_eq!(given(2, &[5, 5, 5]), [2]);
        assert_eq!(given(64, &[]), [0_usize; 0]);
    }

    #[test]
    fn tokens_with_a_long_past_are_fewer() {
        let cost = TokenCost { even: 1000 };
        let counts = [0, 1000, 3000, 1_000_000].map(|past| cost.as_long_as(64, past));
        assert_eq!(counts, [64, 32, 16, 1]);
    }

    #[test]
    fn of_the_default_model_a_thousand_tokens_of_past_take_as_long_as_the_layers() {
        let config = Config {
            hidden: 576,
            intermediate: 1536,
            layers: 30,
            heads: 9,
            kv_heads: 3,
            head_dim: 64,
            vocabulary: 49_152,
            context_tokens: 8_192,
            rope_theta: 1e5,
            norm_epsilon: 1e-5,
        };
        assert_eq!(TokenCost::new(&config).even, 1024);
    }
}
