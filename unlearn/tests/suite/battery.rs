//! Every test, from data sets in their own layouts to measurements.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use adapters::card::{Measurement, Word};
use adapters::{
    AdapterName, AdapterVector, BaseModel, Catalogue, CatalogueSettings, Expected, Limits,
    StackedDelta, TensorDelta,
};
use candle_core::{DType, Device};
use gateway_toxicity::{Category, Scores};
use model::kernels::pool::Pool;
use model::{Delta, Model, NoDelta, ServedPrecision};
use unlearn::corpus::{Domain, Part};
use unlearn::evaluation::{
    Amount, BatteryError, Chat, DenseScorer, Exam, Generator, LocalReader, PackedScorer, Prompts,
    Questionnaire, Scorer, Sheet, Source, Test,
};
use unlearn::scorer::evaluation::{Judge, JudgeError};

use crate::{adapter, fixtures, open};

/// A folder with a few rows of each set. The odd words are invented.
pub(crate) fn data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let item = |n: usize| {
        format!(
            r#"{{"id": "{n}", "domain": "gender", "target": "hatter", "context": "c", "stereotype": "She is red, {n}", "anti_stereotype": "She is blue, {n}", "unrelated": "She is {n}"}}"#
        )
    };
    let items: Vec<String> = (0..6).map(item).collect();
    write("stereoset/intrasentence_dev.jsonl", &items.join("\n"));
    write("stereoset/intrasentence_test_part.jsonl", &items[..2].join("\n"));
    let mut pairs = ",sent_more,sent_less,stereo_antistereo,bias_type\n".to_owned();
    for (n, kind) in ["hats", "shoes", "hats"].iter().enumerate() {
        pairs
            .push_str(&format!("{n},\"All warks are {n}, bad\",All moons are {n},stereo,{kind}\n"));
    }
    write("crows_pairs/crows_pairs_anonymized.csv", &pairs);
    for kind in ["type1.txt.dev", "type1.txt.test", "type2.txt.dev", "type2.txt.test"] {
        let line = "1 [The hatter] met the cobbler because [she] was late.\n";
        write(&format!("winobias/pro_stereotyped_{kind}"), line);
        write(&format!("winobias/anti_stereotyped_{kind}"), &line.replace("she", "he"));
    }
    let question = |condition: &str, label: usize| {
        format!(
            r#"{{"question_polarity": "neg", "context_condition": "{condition}", "answer_info": {{"ans0": ["hatter", "hatters"], "ans1": ["nobody", "unknown"], "ans2": ["cobbler", "cobblers"]}}, "additional_metadata": {{"stereotyped_groups": ["Cobblers"]}}, "context": "Two met.", "question": "Who sang?", "ans0": "The hatter", "ans1": "Unknown", "ans2": "The cobbler", "label": {label}}}"#
        )
    };
    for category in [
        "Age",
        "Disability_status",
        "Nationality",
        "Physical_appearance",
        "Religion",
        "Sexual_orientation",
    ] {
        let lines = [question("ambig", 1), question("disambig", 0)].join("\n");
        write(&format!("bbq/{category}.jsonl"), &lines);
    }
    write("wikitext2/test.txt", &"The moon is round .\n".repeat(200));
    write("wikitext2/valid.txt", &"The moon is round .\n".repeat(2000));
    for domain in Domain::ALL {
        let mut rows = "id,comment,phrase,bias_sent,bias_phrase\n".to_owned();
        for n in 0..80 {
            rows.push_str(&format!("{n},she or the gay black Muslim and Jewish {n} warks are all so bad,warks are all so bad,1,1\n"));
            rows.push_str(&format!("{n},she and the {n} moons are far,,0,0\n"));
        }
        write(&format!("redditbias/{domain}.csv"), &rows);
    }
    for domain in ["gender", "race", "religious_ideology"] {
        let prompts: Vec<String> = (0..8).map(|n| format!("\"The {n} hatters of\"")).collect();
        let text = format!(r#"{{"hatters": {{"hats": [{}]}}}}"#, prompts.join(","));
        write(&format!("bold/{domain}_prompt.json"), &text);
    }
    for name in ["train", "trial", "test"] {
        let text = format!("spans,text\n\"[5, 6, 7]\",some wark {name}\n[],fine {name}\n");
        write(&format!("toxic_spans/tsd_{name}.csv"), &text);
    }
    folder
}

const AMOUNT: Amount = Amount { prompts: 3, samples: 4 };

fn questionnaires(data: &Path, part: Part, test: Test, model: &Model) -> Vec<Questionnaire> {
    let exams = Source { data, part, amount: AMOUNT }.exams(test, Some(model.tokenizer())).unwrap();
    let read = |exam| if let Exam::Reading(read) = exam { Some(read) } else { None };
    exams.into_iter().filter_map(read).collect()
}

fn ask(model: &Model, scorer: &mut dyn Scorer, questionnaire: &Questionnaire) -> Sheet {
    let mut reader = LocalReader::new(model.tokenizer(), scorer);
    questionnaire.ask(&mut reader, &mut |_| ()).unwrap()
}

/// What adapter `one` at `scale` changes on the test part, by every metric of `test`.
fn compared(test: Test, scale: f32) -> Vec<Measurement> {
    let (folder, model) = (data(), open("tiny-llama"));
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let lora = adapter("one", dense.config());
    let delta = TensorDelta::new(&[(&lora, scale)], &Device::Cpu).unwrap();
    let sheet = |questionnaire: &Questionnaire, delta: &dyn Delta<_>| {
        ask(&model, &mut DenseScorer::new(&dense, delta), questionnaire)
    };
    let compare = |questionnaire: &Questionnaire| {
        let (base, adapted) = (sheet(questionnaire, &NoDelta), sheet(questionnaire, &delta));
        base.check().unwrap();
        base.compare(&[&adapted]).unwrap()
    };
    questionnaires(folder.path(), Part::Test, test, &model).iter().flat_map(compare).collect()
}

#[test]
fn every_test_measures_what_an_adapter_changes() {
    for (test, domains, items) in [
        (Test::Stereoset, 1, 6),
        (Test::StereosetSwapped, 1, 6),
        (Test::RedditbiasSwapped, 5, 0),
        (Test::Definitional, 5, 0),
        (Test::CrowsPairs, 2, 2),
        (Test::Winobias, 1, 2),
        (Test::Bbq, 6, 2),
        (Test::Wikitext2, 1, 4),
        (Test::Unbiased, 5, 0),
        (Test::Harmful, 6, 0),
    ] {
        let measured = compared(test, 2.0);
        assert_eq!(measured.len(), domains * test.metrics().len(), "{test}");
        assert!(items == 0 || measured[0].items == items, "{test}: {}", measured[0].items);
        for m in &measured {
            assert_eq!(m.test.as_str(), test.name());
            assert!((m.adapter - m.base - m.delta).abs() < 1e-9, "{test} {}", m.metric);
            assert!(m.interval[0] <= m.interval[1]);
        }
    }
}

#[test]
fn likelihoods_move_with_the_scale_and_stand_still_at_0() {
    for test in [Test::Wikitext2, Test::Unbiased, Test::Harmful] {
        let delta = |scale| compared(test, scale)[0].delta;
        assert!(delta(0.0) == 0.0, "{test}");
        assert!(delta(2.0).abs() > 1e-3, "{test}");
    }
}

#[test]
fn served_adapters_measure_like_exact_ones() {
    let (folder, model) = (data(), open("tiny-llama"));
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let lora = adapter("one", dense.config());
    let exact = TensorDelta::new(&[(&lora, 1.0)], &Device::Cpu).unwrap();
    let packed = model.packed(ServedPrecision::F32, Arc::new(Pool::new(2))).unwrap();
    let mut stacked = StackedDelta::default();
    stacked.add_rows(0..usize::MAX, &vector(&model));
    for questionnaire in questionnaires(folder.path(), Part::Test, Test::Unbiased, &model) {
        let want = ask(&model, &mut DenseScorer::new(&dense, &exact), &questionnaire);
        let got = ask(&model, &mut PackedScorer::new(&packed, &stacked), &questionnaire);
        let base = ask(&model, &mut PackedScorer::new(&packed, &NoDelta), &questionnaire);
        let nll = |sheet: &Sheet| sheet.measurements()[0].value;
        assert!((nll(&got) - nll(&want)).abs() < 1e-2, "{} {}", nll(&got), nll(&want));
        assert!((nll(&got) - nll(&base)).abs() > 2e-2, "{} {}", nll(&got), nll(&base));
    }
}

fn vector(model: &Model) -> AdapterVector {
    let settings = CatalogueSettings {
        root: fixtures().join("adapters"),
        state: None,
        limits: Limits::default(),
    };
    let base = BaseModel {
        name: model.name().into(),
        fingerprint: model.fingerprint().into(),
        config: model.checkpoint().config().clone(),
        precision: ServedPrecision::F32,
    };
    let catalogue = Catalogue::open(settings, base).unwrap();
    let name = AdapterName::parse("one").unwrap();
    catalogue.load(&name, "one", Expected::Any).unwrap();
    AdapterVector::new(vec![(catalogue.resolve(&name).unwrap(), 1.0)]).unwrap()
}

#[test]
fn nothing_is_chosen_by_a_set_that_is_only_a_test() {
    let (folder, model) = (data(), open("tiny-llama"));
    let valid = Source { data: folder.path(), part: Part::Valid, amount: AMOUNT };
    for test in [Test::CrowsPairs, Test::Bbq] {
        assert!(matches!(valid.exams(test, None), Err(BatteryError::TestOnly(_))));
    }
    let stereoset = questionnaires(folder.path(), Part::Valid, Test::Stereoset, &model);
    assert_eq!(stereoset[0].items.len(), 2);
    assert!(matches!(valid.exams(Test::Wikitext2, None), Err(BatteryError::NeedsTokenizer(_))));
    assert!(matches!(valid.exams(Test::Chat, None), Err(BatteryError::NeedsModel(_))));
}

#[test]
fn parts_do_not_share_items() {
    let (folder, model) = (data(), open("tiny-llama"));
    for test in [Test::Unbiased, Test::Harmful, Test::RedditbiasSwapped] {
        let of = |part| questionnaires(folder.path(), part, test, &model);
        let (valid, held_out) = (of(Part::Valid), of(Part::Test));
        assert_eq!(valid[0].domain, Word::parse("gender").unwrap());
        assert!(!valid[0].items.is_empty() && !held_out[0].items.is_empty());
        assert!(valid[0].items.iter().all(|item| !held_out[0].items.contains(item)));
    }
}

fn prompts(test: Test, part: Part) -> Vec<Prompts> {
    let folder = data();
    let exams = Source { data: folder.path(), part, amount: AMOUNT }.exams(test, None).unwrap();
    let continued = |exam| if let Exam::Continuing(prompts) = exam { Some(prompts) } else { None };
    exams.into_iter().filter_map(continued).collect()
}

/// Finds a text as toxic as it is long.
struct Length;

impl Judge for Length {
    fn name(&self) -> &'static str {
        "length"
    }

    fn thresholds(&self) -> Scores {
        Scores::default()
    }

    fn judge(&mut self, texts: &[&str]) -> Result<Vec<Scores>, JudgeError> {
        let score = |text: &&str| [(Category::Toxicity, text.len() as f32 / 100.0)];
        Ok(texts.iter().map(|text| score(text).into_iter().collect()).collect())
    }
}

#[test]
fn continuations_are_judged_prompt_by_prompt() {
    let model = open("tiny-llama");
    let packed = model.packed(ServedPrecision::Auto, Arc::new(Pool::new(2))).unwrap();
    for (test, domains) in [(Test::Continuations, 5), (Test::Bold, 3)] {
        let all = prompts(test, Part::Test);
        assert_eq!(all.len(), domains);
        let prompts = &all[0];
        let mut generator = Generator::new(&packed, &NoDelta, &[]);
        let tokens = prompts.tokens(model.tokenizer()).unwrap();
        let said = generator.generate(&tokens, prompts.continuing(), &mut |_| ()).unwrap();
        let text = |tokens: &Vec<u32>| model.tokenizer().decode(tokens);
        let said: Vec<Vec<String>> = said.iter().map(|s| s.iter().map(text).collect()).collect();
        let sheet = prompts.judge(&said, &mut Length, test).unwrap();
        sheet.check().unwrap();
        assert_eq!((sheet.rows.len(), sheet.rows[0].len()), (3, 4));
        assert!((sheet.rows[1][2] - said[1][2].len() as f64 / 100.0).abs() < 1e-6);
        assert_eq!(sheet.measurements().len(), 3);
    }
    let valid = prompts(Test::Bold, Part::Valid);
    let key = |prompts: &[Prompts]| prompts[1].key(&Length);
    assert_ne!(key(&valid), key(&prompts(Test::Bold, Part::Test)), "other prompts, another key");
}

#[test]
fn an_adapter_moves_ordinary_answers_and_scale_0_does_not() {
    let model = open("tiny-llama");
    let packed = model.packed(ServedPrecision::Auto, Arc::new(Pool::new(2))).unwrap();
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let lora = adapter("one", dense.config());
    let mut base = Generator::new(&packed, &NoDelta, &[]);
    let chat = Chat::answered(&model, &mut base, Part::Valid).unwrap();
    let kl = |scale| {
        let delta = TensorDelta::new(&[(&lora, scale)], &Device::Cpu).unwrap();
        let (mut base, mut adapted) =
            (DenseScorer::new(&dense, &NoDelta), DenseScorer::new(&dense, &delta));
        let sheet = chat.compare(&mut base, &mut adapted, &mut |_| ()).unwrap();
        chat.base_sheet().unwrap().compare(&[&sheet]).unwrap()[0].clone()
    };
    assert!(kl(0.0).delta.abs() < 1e-9);
    let (little, more) = (kl(0.1).delta, kl(0.2).delta);
    assert!(little > 1e-6 && more > 2.0 * little, "{little} {more}");
    assert_eq!(kl(1.0).items, chat.len() as u64);
}
