//! The groups of people that an adapter is about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A bias domain: whom hateful texts are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// Women and men.
    Gender,
    /// Colours, peoples and nations.
    Race,
    /// Jews.
    ReligionJews,
    /// Muslims.
    ReligionMuslims,
    /// Whom people love.
    Orientation,
}

/// No domain has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a domain is gender, race, religion_jews, religion_muslims or orientation")]
pub struct UnknownDomain;

impl Domain {
    /// All of them, in their usual order.
    pub const ALL: [Self; 5] =
        [Self::Gender, Self::Race, Self::ReligionJews, Self::ReligionMuslims, Self::Orientation];

    /// Its name in files, flags and cards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gender => "gender",
            Self::Race => "race",
            Self::ReligionJews => "religion_jews",
            Self::ReligionMuslims => "religion_muslims",
            Self::Orientation => "orientation",
        }
    }
}

impl FromStr for Domain {
    type Err = UnknownDomain;

    fn from_str(name: &str) -> Result<Self, UnknownDomain> {
        Self::ALL.into_iter().find(|domain| domain.name() == name).ok_or(UnknownDomain)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_its_name_says_in_every_form() {
        for domain in Domain::ALL {
            assert_eq!(domain.name().parse(), Ok(domain));
            assert_eq!(serde_json::to_string(&domain).unwrap(), format!("\"{domain}\""));
        }
        assert_eq!("Gender".parse::<Domain>(), Err(UnknownDomain));
    }
}
