//! The card of an adapter that was trained here.

use std::path::Path;

use adapters::card::{
    Base, Card, CardError, Data, Measurement, Run as RunOnCard, Schema, Timestamp, Word,
};
use adapters::{CARD_FILE, KindName, replace_file};
use model::Model;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::training::{Dataset, Run};

/// The key under which a card has the losses' names.
const OBJECTIVE: &str = "objective";

/// Why a card cannot be made, written or trained again.
#[derive(Debug, thiserror::Error)]
pub enum TrainedCardError {
    /// The card is refused.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A field has no form that cards take.
    #[error("the card's {0} cannot be written")]
    Field(&'static str),
    /// The operating system refused.
    #[error("the card cannot be read or written")]
    Io(#[from] std::io::Error),
}

/// The card of a new adapter, which is not measured yet.
///
/// # Errors
/// [`TrainedCardError::Field`] if something has no form that cards take.
pub fn new(run: &Run, model: &Model, dataset: &Dataset) -> Result<Card, TrainedCardError> {
    let names: Vec<_> = run.domains.iter().map(|domain| domain.name()).collect();
    let domain = names.join("_");
    let counts = dataset.counts();
    Ok(Card {
        schema: Schema,
        name: run.name.clone(),
        kind: KindName::Lora,
        domain: Word::parse(&domain).map_err(|_| TrainedCardError::Field("domain"))?,
        created: now()?,
        base: Base {
            name: model.name().into(),
            weights: model.fingerprint().parse().map_err(|_| TrainedCardError::Field("base"))?,
        },
        run: on_card(run)?,
        seed: run.seed,
        data: Data {
            source: format!("redditbias/{}", names.join("+")),
            split: *dataset.split(),
            forget_items: counts.forget as u64,
            retain_items: counts.retain as u64,
        },
        evaluation: Vec::new(),
    })
}

fn on_card(run: &Run) -> Result<RunOnCard, TrainedCardError> {
    let settings = serde_json::to_value(&run.table);
    let Ok(Value::Object(settings)) = settings else {
        return Err(TrainedCardError::Field("run"));
    };
    Ok(RunOnCard { objective: run.objective(), settings })
}

/// Writes a card into an adapter's folder.
///
/// # Errors
/// [`TrainedCardError`] if it cannot be written.
pub fn write(card: &Card, folder: &Path) -> Result<(), TrainedCardError> {
    let text = card.to_json()? + "\n";
    replace_file(&folder.join(CARD_FILE), text.as_bytes())?;
    Ok(())
}

/// Puts what was measured of an adapter into the card in its folder, in the place of what was there.
///
/// # Errors
/// [`TrainedCardError`] if there is no card, or it cannot be written.
pub fn measured(folder: &Path, evaluation: Vec<Measurement>) -> Result<(), TrainedCardError> {
    let card = Card::parse(&std::fs::read(folder.join(CARD_FILE))?)?;
    write(&Card { evaluation, ..card }, folder)
}

/// The run file that a card was made by.
///
/// # Errors
/// [`TrainedCardError`] if this is no card, or its run is none that was trained here.
pub fn run_table(card: &str) -> Result<toml::Table, TrainedCardError> {
    let card = Card::parse(card.as_bytes())?;
    let mut settings: Map<String, Value> = card.run.settings;
    settings.remove(OBJECTIVE);
    settings.insert("seed".into(), card.seed.into());
    toml::Table::try_from(settings).map_err(|_| TrainedCardError::Field("run"))
}

fn now() -> Result<Timestamp, TrainedCardError> {
    // RFC 3339 without a fraction.
    let second = OffsetDateTime::now_utc().truncate_to_second();
    let text = second.format(&Rfc3339).map_err(|_| TrainedCardError::Field("created"))?;
    Timestamp::parse(&text).map_err(|_| TrainedCardError::Field("created"))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use adapters::AdapterName;

    use super::*;

    #[test]
    fn numbers_take_the_place_of_those_in_the_card_and_nothing_else_changes() {
        let folder = tempfile::tempdir().unwrap();
        let measurement = |delta| Measurement {
            test: Word::parse("harmful").unwrap(),
            domain: Word::parse("gender").unwrap(),
            metric: Word::parse("nll").unwrap(),
            base: 5.0,
            adapter: 5.0 + delta,
            delta,
            interval: [delta - 0.1, delta + 0.1],
            items: 7,
            seeds: NonZeroU64::MIN,
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        let card = Card {
            schema: Schema,
            name: AdapterName::parse("wark").unwrap(),
            kind: KindName::Lora,
            domain: Word::parse("gender").unwrap(),
            created: now().unwrap(),
            base: Base { name: "tiny".into(), weights: digest.parse().unwrap() },
            run: RunOnCard { objective: "ascent".into(), settings: Map::new() },
            seed: 3,
            data: Data {
                source: "redditbias/gender".into(),
                split: digest.parse().unwrap(),
                forget_items: 1,
                retain_items: 1,
            },
            evaluation: vec![measurement(0.5)],
        };
        assert!(measured(folder.path(), Vec::new()).is_err(), "there is no card yet");
        write(&card, folder.path()).unwrap();
        let evaluation = vec![measurement(0.25), measurement(0.75)];
        measured(folder.path(), evaluation.clone()).unwrap();
        let found = Card::parse(&std::fs::read(folder.path().join(CARD_FILE)).unwrap()).unwrap();
        assert_eq!(found, Card { evaluation, ..card });
    }
}
