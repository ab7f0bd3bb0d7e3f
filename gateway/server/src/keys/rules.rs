//! What a key holds its requests to: adapters that always apply, and adapters that may be chosen.

use std::collections::{BTreeMap, BTreeSet};

use adapters::AdapterName;
use gateway_wire::selection::{Mix, ScaleBounds};

/// The rules of a key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rules {
    /// Adapters, and the least scale at which each applies whatever is chosen.
    minimum: BTreeMap<String, f32>,
    /// Adapters that may be chosen, beside those of the minimum; `None` is all.
    allowed: Option<BTreeSet<String>>,
}

impl Rules {
    /// Rules as a file has them.
    ///
    /// # Errors
    /// What is wrong with a name or with a scale.
    pub(super) fn new(
        minimum: BTreeMap<String, f32>,
        allowed: Option<Vec<String>>,
        bounds: ScaleBounds,
    ) -> Result<Self, &'static str> {
        let mut names = minimum.keys().chain(allowed.iter().flatten());
        if !names.all(|name| AdapterName::parse(name).is_ok()) {
            return Err("minimum and adapters name adapters");
        }
        // NaN is above nothing.
        if !minimum.values().all(|least| *least > 0.0 && *least <= bounds.high) {
            return Err("a scale of minimum is above 0 and at most scales.high");
        }
        Ok(Self { minimum, allowed: allowed.map(BTreeSet::from_iter) })
    }

    /// The first adapter of `mix`, at whatever scale, that may not be chosen.
    pub(crate) fn forbidden<'a>(&self, mix: &'a Mix) -> Option<&'a str> {
        mix.iter().map(|(name, _)| name).find(|name| !self.may_choose(name))
    }

    /// Whether the adapter `name` may be chosen.
    pub(super) fn may_choose(&self, name: &str) -> bool {
        let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(name));
        allowed || self.minimum.contains_key(name)
    }

    /// Brings `mix` up to the minimum. What is there at a greater scale stays.
    pub(crate) fn raise(&self, mix: &mut Mix) {
        for (name, least) in &self.minimum {
            mix.raise(name, *least);
        }
    }

    /// The adapters that always apply.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        self.minimum.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use gateway_wire::Selection;
    use gateway_wire::selection::Directory;
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: ScaleBounds = ScaleBounds { low: -2.0, high: 2.0 };

    struct Bare;

    impl Directory for Bare {
        fn preset(&self, _: &str) -> Option<&Selection> {
            None
        }

        fn adapter_at(&self, _: usize) -> Option<String> {
            None
        }
    }

    fn mix(text: &str) -> Mix {
        Selection::parse_header(text).unwrap().expand(&Bare, BOUNDS).unwrap()
    }

    fn rules(minimum: &[(&str, f32)], allowed: Option<&[&str]>) -> Result<Rules, &'static str> {
        let minimum = minimum.iter().map(|(name, least)| ((*name).to_owned(), *least)).collect();
        let allowed = allowed.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        Rules::new(minimum, allowed, BOUNDS)
    }

    #[test]
    fn only_what_is_allowed_or_always_applies_can_be_chosen() {
        let some = rules(&[("gender", 0.5)], Some(&["race"])).unwrap();
        assert_eq!(some.forbidden(&mix("gender,race=-1")), None);
        assert_eq!(some.forbidden(&mix("gender,other=0")), Some("other"));
        assert_eq!(rules(&[], Some(&[])).unwrap().forbidden(&mix("race")), Some("race"));
        assert_eq!(rules(&[], None).unwrap().forbidden(&mix("race")), None);
    }

    #[test]
    fn scales_that_are_no_minimum_and_names_that_are_none_are_refused() {
        for least in [0.0, -1.0, 2.5, f32::NAN, f32::INFINITY] {
            assert!(rules(&[("gender", least)], None).is_err(), "{least}");
        }
        assert!(rules(&[("Bad name", 1.0)], None).is_err());
        assert!(rules(&[], Some(&["../x"])).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_chosen_is_below_the_minimum(
            chosen in -2.0_f32..=2.0, least in 0.01_f32..=2.0, named: bool
        ) {
            let mut mix = mix(&if named { format!("gender={chosen},race") } else { "race".to_owned() });
            rules(&[("gender", least)], None).unwrap().raise(&mut mix);
            let applied: BTreeMap<_, _> = mix.iter().collect();
            prop_assert_eq!(applied["gender"], if named { chosen.max(least) } else { least });
            prop_assert_eq!(applied["race"], 1.0);
        }
    }
}
