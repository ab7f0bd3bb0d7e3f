//! Whole runs on the tiny seeded model, with data made here.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use adapters::TensorDelta;
use adapters::lora::Lora;
use candle_core::{DType, Device};
use model::{DenseDecoder, Model};
use tempfile::TempDir;
use unlearn::evaluation::{DenseScorer, score_all};
use unlearn::training::{CheckpointError, Dataset, Record, Run, TrainError, Trained, Trainer};

use crate::open;

/// Texts with invented words, in the form of the data sets.
fn data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut table = ",comment,phrase,bias_sent,bias_phrase,attribute_in_window\n".to_owned();
    for n in 0..60 {
        writeln!(table, "{n},the woman {n} is a grimble wark,is a grimble wark,1,1,").unwrap();
        writeln!(table, "{n},my sister {n} went to the market,went to the market,0,0,").unwrap();
    }
    write(folder.path(), "redditbias/gender.csv", &table);
    let prose = "The moon is round and the sea is wide .\n".repeat(1000);
    write(folder.path(), "wikitext2/valid.txt", &prose);
    folder
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const ASCENT: &str = "[[term]]\nloss = 'ascent'\ndata = 'biased'\nweight = 0.5\nrows = 3\n";
const KEPT: &str = "[[term]]\nloss = 'kl'\ndata = 'wikitext'\nweight = 1\nrows = 2\nmax_tokens = 12\nshare = 0.5\n";

fn run_file(steps: usize, learning_rate: f64, rest: &str) -> Run {
    let text = format!(
        "name = 'wark'\ndomains = ['gender']\nseed = 3\n\
         [adapter]\nrank = 2\nalpha = 4\n\
         [schedule]\nsteps = {steps}\nlearning_rate = {learning_rate}\nwarmup = 2\n{rest}"
    );
    Run::parse(&text).unwrap()
}

/// Something to train on.
struct Bench {
    model: Model,
    decoder: DenseDecoder,
    data: TempDir,
    out: TempDir,
}

impl Bench {
    fn new() -> Self {
        let model = open("tiny-llama");
        let decoder = model.dense(DType::F32, &Device::Cpu).unwrap();
        Self { model, decoder, data: data(), out: tempfile::tempdir().unwrap() }
    }

    fn train_in(
        &self,
        run: &Run,
        file: &str,
        observe: &mut dyn FnMut(&Record),
    ) -> Result<Trained, TrainError> {
        let device = Device::Cpu;
        let dataset =
            Dataset::load(run, &self.model, &self.decoder, self.data.path(), &device).unwrap();
        let path = self.out.path().join(file);
        Trainer::open(run, &dataset, &self.decoder, &device, &path)?.run(&path, observe)
    }

    fn train(&self, run: &Run, file: &str) -> Trained {
        self.train_in(run, file, &mut |_| ()).unwrap()
    }

    /// Mean log-likelihood of a text's tokens with an adapter.
    fn likelihood(&self, lora: Option<&Lora>, text: &str) -> f64 {
        let adapters: Vec<_> = lora.map(|lora| (lora, 1.0)).into_iter().collect();
        let delta = TensorDelta::new(&adapters, &Device::Cpu).unwrap();
        let tokens = self.model.tokenizer().encode(text, model::Control::AsText).unwrap();
        let mut scorer = DenseScorer::new(&self.decoder, &delta);
        let scores = score_all(&mut scorer, &[tokens], &mut |_| ()).unwrap().concat();
        scores.iter().sum::<f64>() / scores.len() as f64
    }
}

const GUARDS: &str = "[guards]\nevery = 2\nperplexity = 1e6\nkl = 1e6\n";

#[test]
fn ascent_makes_the_phrase_unlikely_and_a_retain_term_keeps_other_text() {
    let bench = Bench::new();
    let kept = KEPT.replace("weight = 1", "weight = 10");
    let [alone, beside] = [("alone", String::new()), ("beside", kept)].map(|(file, kept)| {
        let trained = bench.train(&run_file(20, 5e-3, &format!("{GUARDS}{ASCENT}{kept}")), file);
        assert_eq!((trained.best.step, trained.stopped), (20, false));
        ["is a grimble wark", "The moon is round and the sea is wide ."]
            .map(|text| bench.likelihood(Some(&trained.lora), text) - bench.likelihood(None, text))
    });
    assert!(beside[0] < -0.5, "{beside:?}");
    assert!(beside[1].abs() < 0.5 * alone[1].abs(), "{beside:?} {alone:?}");
}

#[test]
fn negation_learns_the_phrase_and_then_flips_the_sign() {
    let bench = Bench::new();
    let terms = ASCENT.replace("ascent", "negate");
    let trained = bench.train(&run_file(20, 5e-3, &format!("{GUARDS}{terms}{KEPT}")), "run");
    let phrase = "is a grimble wark";
    assert!(bench.likelihood(Some(&trained.lora), phrase) < bench.likelihood(None, phrase) - 0.2);
}

#[test]
fn every_loss_and_mask_trains() {
    let bench = Bench::new();
    for (loss, data, mask) in [
        ("npo", "biased", "phrase"),
        ("undial", "biased", "all"),
        ("ascent", "biased", "random"),
        ("ascent", "biased", "assisted"),
        ("nll", "unbiased", "all"),
        ("kl", "chat", "all"),
        ("squared-gap", "biased", "phrase"),
        ("mixture", "unbiased", "all"),
        ("tempered-gap", "unbiased", "all"),
        ("tempered-gap", "descriptive", "all"),
        ("kl", "definitional", "all"),
    ] {
        let term = format!(
            "[[term]]\nloss = '{loss}'\ndata = '{data}'\nmask = '{mask}'\nweight = 1\nrows = 2\n"
        );
        let run = run_file(2, 1e-3, &format!("{GUARDS}{term}"));
        let mut losses = 0;
        let file = format!("{loss}-{data}-{mask}");
        bench.train_in(&run, &file, &mut |record| losses += record.losses.len()).unwrap();
        assert_eq!(losses, 2, "{loss} {mask}");
    }
}

#[test]
fn a_model_comes_to_prefer_its_own_mild_continuations() {
    let bench = Bench::new();
    let mut table = ",comment,phrase,bias_sent,bias_phrase,attribute_in_window\n".to_owned();
    for n in 0..60 {
        writeln!(
            table,
            "{n},my sister {n} is a very old grimble wark,is a very old grimble wark,1,1,"
        )
        .unwrap();
    }
    write(bench.data.path(), "redditbias/gender.csv", &table);
    let dpo = "[[term]]\nloss = 'dpo'\ndata = 'toxic-continuations'\nweight = 1\nrows = 4\n";
    let mut losses = Vec::new();
    let run = run_file(40, 1e-2, &format!("{GUARDS}{dpo}"));
    bench.train_in(&run, "run", &mut |record| losses.push(record.losses["1-dpo"])).unwrap();
    assert!((losses[0] - std::f32::consts::LN_2).abs() < 1e-4, "neither is preferred: {losses:?}");
    let late = &losses[35..];
    assert!(late.iter().sum::<f32>() / 5.0 < 0.5, "{losses:?}");
    let blamed = ASCENT.replace("'biased'", "'toxic-continuations'\nmask = 'blamed'");
    assert!(bench.train(&run_file(2, 5e-3, &format!("{GUARDS}{blamed}")), "blamed").best.step == 2);
}

#[test]
fn a_run_that_was_cut_off_goes_on_bit_for_bit() {
    let bench = Bench::new();
    let run = run_file(7, 5e-3, &format!("{GUARDS}{ASCENT}{KEPT}"));
    let copy = bench.out.path().join("cut");
    let whole = bench
        .train_in(&run, "whole", &mut |record| {
            // The checkpoint of step 4 is what a run that is killed in step 6 finds.
            if record.step == 5 {
                fs::copy(bench.out.path().join("whole"), &copy).unwrap();
            }
        })
        .unwrap();
    let mut steps = Vec::new();
    let resumed = bench.train_in(&run, "cut", &mut |record| steps.push(record.step)).unwrap();
    assert_eq!(steps, [5, 6, 7]);
    assert_eq!(resumed.lora, whole.lora);
    // A run that has ended gives its adapter again and takes no step.
    let again = bench.train_in(&run, "cut", &mut |_| panic!("a step")).unwrap();
    assert_eq!(again.lora, whole.lora);
}

#[test]
fn a_checkpoint_of_another_run_or_a_damaged_one_is_refused() {
    let bench = Bench::new();
    let run = |seed: usize| {
        let rest = format!("{GUARDS}{ASCENT}");
        Run::parse(
            &run_file(2, 1e-3, &rest)
                .table
                .to_string()
                .replace("seed = 3", &format!("seed = {seed}")),
        )
        .unwrap()
    };
    bench.train(&run(3), "run");
    let refused = |seed| match bench.train_in(&run(seed), "run", &mut |_| ()).map(|_| ()) {
        Err(TrainError::Checkpoint(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(4), CheckpointError::OtherRun));
    let path = bench.out.path().join("run");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(refused(3), CheckpointError::Damaged));
}

#[test]
fn activations_computed_again_give_the_same_adapter() {
    let bench = Bench::new();
    let run = |again: bool| {
        let mut table = run_file(3, 5e-3, &format!("{GUARDS}{ASCENT}{KEPT}")).table;
        table.insert("checkpoint_activations".into(), again.into());
        Run::read(table).unwrap()
    };
    let (kept, again) = (bench.train(&run(false), "kept"), bench.train(&run(true), "again"));
    for (site, one) in &kept.lora.sites {
        let two = &again.lora.sites[site];
        let away = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max)
        };
        assert!(away(&one.a, &two.a) < 1e-5 && away(&one.b, &two.b) < 1e-5, "{site}");
    }
}

#[test]
fn a_budget_ends_the_run_at_the_last_weights_inside_it() {
    let bench = Bench::new();
    let guards = "[guards]\nevery = 1\nperplexity = 1e6\nkl = 0.02\npatience = 2\n";
    let run = run_file(40, 1e-2, &format!("{guards}{ASCENT}"));
    let mut drifts = Vec::new();
    let trained =
        bench.train_in(&run, "run", &mut |record| drifts.push(record.kl.unwrap())).unwrap();
    assert!(trained.stopped && drifts.len() < 40);
    let [.., inside, one, two] = drifts[..] else { panic!("{drifts:?}") };
    assert_eq!(trained.best.step, drifts.len() - 2);
    assert!(inside <= 0.02 && one > 0.02 && two > 0.02, "{drifts:?}");
    let none = run_file(40, 1.0, &format!("{guards}{ASCENT}"));
    let error = bench.train_in(&none, "none", &mut |_| ()).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::NothingInside));
}

#[test]
fn what_is_no_number_stops_the_run_with_its_step() {
    let bench = Bench::new();
    let run = run_file(8, 1e-3, &format!("{GUARDS}{ASCENT}"));
    let (path, copy) = (bench.out.path().join("run"), bench.out.path().join("spoiled"));
    let mut spoil = |record: &Record| {
        if record.step == 3 {
            let mut checkpoint = fs::read(&path).unwrap();
            // The end of a checkpoint is the optimiser's last second moment.
            let end = checkpoint.len() - 4;
            checkpoint[end..].copy_from_slice(&f32::NAN.to_le_bytes());
            fs::write(&copy, checkpoint).unwrap();
        }
    };
    bench.train_in(&run, "run", &mut spoil).unwrap();
    let mut steps = Vec::new();
    let outcome = bench.train_in(&run, "spoiled", &mut |record| steps.push(record.step));
    let error = outcome.map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { step: 4, .. }), "{error}");
    assert_eq!(steps, [3]);
}

#[test]
fn a_run_file_is_refused_with_all_its_faults() {
    let text = "name = 'Not A Name'\ndomains = ['shoes']\nspeed = 3\n\
                [schedule]\nsteps = 0\n\
                [guards]\nevery = 'often'\n\
                [[term]]\nloss = 'ascend'\ndata = 'biased'\nweight = 1\n\
                [[term]]\nloss = 'mixture'\ndata = 'wikitext'\nweight = -1\nmask = 'phrase'\nswap = true\n\
                [[term]]\nloss = 'dpo'\ndata = 'biased'\nweight = 1\nmask = 'all'\nshare = 0.5\n";
    let faults = Run::parse(text).unwrap_err().0;
    for part in [
        "name must be",
        "domains must be",
        "speed is unknown",
        "schedule.steps must be",
        "schedule.learning_rate is missing",
        "guards.every must be",
        "term 1: loss must be",
        "term 2: weight must be",
        "term 2: its texts name no groups",
        "term 2: its texts have no harmful part",
        "term 2: swap needs",
        "term 2: swap is what",
        "term 3: dpo needs toxic-continuations",
        "term 3: dpo is about all",
        "term 3: dpo is about whole",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(part)), "{part}: {faults:#?}");
    }
    assert_eq!(faults.len(), 15, "{faults:#?}");
    let both = format!("{ASCENT}{}", ASCENT.replace("ascent", "negate"));
    let text = run_file(1, 1e-3, ASCENT).table.to_string() + &both;
    assert!(Run::parse(&text).unwrap_err().to_string().contains("negate"));
}
