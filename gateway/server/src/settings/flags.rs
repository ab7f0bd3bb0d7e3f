//! The command line, and the environment beside it.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{KEYS, Layers, subcommands};
use crate::audit::AuditCommand;
use crate::keys::KeyCommand;

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Serve,
    /// Check the settings and stop.
    CheckConfig,
    /// Change a key file and stop.
    Key(KeyCommand),
    /// Check files of the audit log and stop.
    Audit(AuditCommand),
}

/// Reads the command line, the environment, and the settings file that they name.
///
/// # Errors
/// If the command line is not understood (or asks for help), or the file cannot be read.
pub fn parse_flags(
    arguments: impl IntoIterator<Item = OsString>,
) -> anyhow::Result<(Action, Layers)> {
    let matches = command().try_get_matches_from(arguments)?;
    let file = match matches.get_one::<PathBuf>("config") {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(path)
                .with_context(|| format!("the settings file {} cannot be read", path.display()))?,
        ),
    };
    let action = match subcommands::read(&matches) {
        Some(action) => action,
        None if matches.get_flag("check-config") => Action::CheckConfig,
        None => Action::Serve,
    };
    let layers = Layers {
        file,
        environment: values(&matches, ValueSource::EnvVariable),
        flags: values(&matches, ValueSource::CommandLine),
        home: model::source::default_home(),
    };
    Ok((action, layers))
}

fn command() -> Command {
    let config = Arg::new("config")
        .long("config")
        .env("LETHE_CONFIG")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("Settings file (TOML)");
    let check = Arg::new("check-config")
        .long("check-config")
        .action(ArgAction::SetTrue)
        .help("Check the settings and stop");
    let keys = KEYS.iter().map(|key| {
        let help = match key.default {
            "" => key.help.to_owned(),
            default => format!("{} [default: {default}]", key.help),
        };
        Arg::new(key.name)
            .long(key.flag())
            .env(key.variable())
            .hide_env_values(true)
            .value_name("VALUE")
            .allow_hyphen_values(true)
            .help(help)
    });
    Command::new("lethe-gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Serves a language model, with adapters that every request can toggle")
        .arg(config)
        .arg(check)
        .args(keys)
        .subcommands([subcommands::key(), subcommands::audit()])
}

fn values(matches: &ArgMatches, source: ValueSource) -> Vec<(&'static str, String)> {
    let from = KEYS.iter().filter(|key| matches.value_source(key.name) == Some(source));
    let value = |name| matches.get_one::<String>(name).cloned();
    from.filter_map(|key| Some((key.name, value(key.name)?))).collect()
}
