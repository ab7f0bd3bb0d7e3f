//! Loading a model into mistral.rs, from files of this machine alone.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mistral_candle::Device;
use mistralrs_core::{
    AdapterPaths, AddModelConfig, DefaultSchedulerMethod, DeviceMapMetadata, DeviceMapSetting,
    EngineConfig, IsqType, LocalModelPaths, MistralRs, MistralRsBuilder, ModelDType, ModelPaths,
    NormalLoaderBuilder, NormalSpecificConfig, Pipeline, SchedulerConfig,
};
use model::ServedPrecision;
use model::checkpoint::weight_files;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::scratch::Scratch;

/// Sequences that a variant computes at a time. With more, mistral.rs computes those of equal
/// length together, and then what a sequence gets depends on who else is there.
pub(crate) const ROWS: usize = 1;

/// A loaded model.
pub(crate) type Loaded = Arc<Mutex<dyn Pipeline>>;

/// Loads a Hugging Face folder.
///
/// The loader leaves settings in its thread that would be those of the next model that is loaded
/// there, so each load needs a thread of its own.
///
/// # Errors
/// mistral.rs' words, the folder's path left out.
pub(crate) fn load_folder(
    folder: &Path,
    scratch: &Scratch,
    precision: ServedPrecision,
) -> Result<Loaded, String> {
    let rewritten = scratch.folder("config").map_err(|e| e.to_string())?;
    let config = readable_config(folder, rewritten.path())?;
    let paths: Box<dyn ModelPaths> = Box::new(paths(folder, config)?);
    let id = Some("variant".to_owned());
    let builder =
        NormalLoaderBuilder::new(NormalSpecificConfig::default(), None, None, id, false, None);
    let quantised = match precision {
        ServedPrecision::Auto => Some(IsqType::Q8_0),
        ServedPrecision::F32 => None,
    };
    let nowhere_else = DeviceMapSetting::Map(DeviceMapMetadata::dummy());
    let (dtype, device) = (ModelDType::F32, Device::Cpu);
    let loaded = builder.build(None).and_then(|loader| {
        loader.load_model_from_path(&paths, &dtype, &device, true, nowhere_else, quantised, None)
    });
    loaded.map(|pipeline| pipeline as Loaded).map_err(|e| without_path(&format!("{e:#}"), folder))
}

/// The configuration of `folder` as a file that mistral.rs can read, written to `scratch`. It knows
/// the rotary embedding's parameters only where transformers wrote them before its version 5.
fn readable_config(folder: &Path, scratch: &Path) -> Result<PathBuf, String> {
    let text = std::fs::read(folder.join("config.json")).map_err(|e| e.to_string())?;
    let mut config: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    if let Some(rope) = config.get("rope_parameters").cloned() {
        if config.get("rope_theta").is_none() {
            config["rope_theta"] = rope["rope_theta"].clone();
        }
        let scaled = rope["rope_type"].as_str().is_some_and(|kind| kind != "default");
        if scaled && config.get("rope_scaling").is_none() {
            config["rope_scaling"] = rope;
        }
    }
    let path = scratch.join("config.json");
    std::fs::write(&path, config.to_string()).map_err(|e| e.to_string())?;
    Ok(path)
}

/// The files of a folder that there are, but another configuration.
fn paths(folder: &Path, config: PathBuf) -> Result<LocalModelPaths<PathBuf>, String> {
    let optional = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    Ok(LocalModelPaths {
        tokenizer_filename: folder.join("tokenizer.json"),
        config_filename: config,
        template_filename: optional("tokenizer_config.json"),
        filenames: weight_files(folder).map_err(|e| e.to_string())?,
        adapter_paths: AdapterPaths::None,
        gen_conf: optional("generation_config.json"),
        preprocessor_config: None,
        processor_config: None,
        chat_template_json_filename: None,
    })
}

/// A message that may be logged.
fn without_path(message: &str, path: &Path) -> String {
    message.replace(&*path.to_string_lossy(), "(the model)")
}

/// Starts mistral.rs with its first model, which can never be removed.
///
/// # Errors
/// If there can be no runtime.
pub(crate) fn start(id: &str, pipeline: Loaded) -> std::io::Result<Arc<MistralRs>> {
    let builder = MistralRsBuilder::new(pipeline, scheduler(), false, None)
        .with_model_id(id)
        .with_no_prefix_cache(true)
        .with_disable_eos_stop(true);
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(builder.build()))
}

/// Adds a model under a name that there is not yet.
///
/// # Errors
/// mistral.rs' words.
pub(crate) fn add(mistral: &MistralRs, id: &str, pipeline: Loaded) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let config = AddModelConfig::new(EngineConfig {
        no_prefix_cache: true,
        disable_eos_stop: true,
        throughput_logging_enabled: false,
        ..EngineConfig::default()
    });
    let added = mistral.add_model(id.to_owned(), pipeline, scheduler(), config);
    runtime.map_err(|e| e.to_string())?.block_on(added)
}

fn scheduler() -> SchedulerConfig {
    let rows = NonZeroUsize::new(ROWS).unwrap_or(NonZeroUsize::MIN);
    SchedulerConfig::DefaultScheduler { method: DefaultSchedulerMethod::Fixed(rows) }
}
