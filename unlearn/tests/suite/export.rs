//! A written model is the model that was merged.

use adapters::TensorDelta;
use adapters::merge::Merged;
use candle_core::{DType, Device};
use model::export::{ExportError, files, write_folder};
use model::{Control, Delta, Message, Model, NoDelta};
use unlearn::evaluation::{DenseScorer, score_all};

use crate::{adapter, open};

fn scores(model: &Model, delta: &dyn Delta<candle_core::Tensor>) -> Vec<f64> {
    let dense = model.dense(DType::F32, &Device::Cpu).unwrap();
    let sequences = [(3..60).collect(), (100..130).collect()];
    score_all(&mut DenseScorer::new(&dense, delta), &sequences, &mut |_| ()).unwrap().concat()
}

fn distance(one: &[f64], two: &[f64]) -> f64 {
    one.iter().zip(two).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_merged_folder_scores_as_the_adapters_did_and_keeps_the_text_side() {
    for name in ["tiny-llama", "tiny-llama.gguf"] {
        let base = open(name);
        let config = base.checkpoint().config();
        let (one, two) = (adapter("one", config), adapter("two", config));
        let adapters = [(&one, 1.0), (&two, -0.5)];
        let merged = Merged::new(base.checkpoint(), &adapters);
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("merged");
        let mut written = 0;
        write_folder(&base, &merged, &out, &mut || written += 1).unwrap();
        assert_eq!(written, files(&merged));

        let plain = Model::open(&out).unwrap();
        let delta = TensorDelta::new(&adapters, &Device::Cpu).unwrap();
        assert!(distance(&scores(&plain, &NoDelta), &scores(&base, &delta)) < 1e-4);
        assert!(distance(&scores(&plain, &NoDelta), &scores(&base, &NoDelta)) > 1e-3);

        assert_eq!(plain.checkpoint().config(), config);
        let (new, old) = (plain.tokenizer(), base.tokenizer());
        assert_eq!((new.eos(), new.bos(), new.control()), (old.eos(), old.bos(), old.control()));
        assert_eq!(new.prompt_start(), old.prompt_start());
        let text = "It's 2024: <|im_end|> \u{1f600}\n";
        for control in [Control::AsText, Control::Parse] {
            assert_eq!(new.encode(text, control).unwrap(), old.encode(text, control).unwrap());
        }
        let turn = [Message { role: "user".into(), content: "Hi".into() }];
        let rendered = |model: &Model| model.template().unwrap().render(&turn, model.tokenizer());
        assert_eq!(rendered(&plain).unwrap(), rendered(&base).unwrap());
    }
}

#[test]
fn a_folder_that_exists_is_left_alone() {
    let base = open("tiny-llama");
    let folder = tempfile::tempdir().unwrap();
    let written = write_folder(&base, base.checkpoint(), folder.path(), &mut || ());
    assert!(matches!(written, Err(ExportError::Exists)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
