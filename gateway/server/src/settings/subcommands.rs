//! What the program can do beside serving.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use super::Action;
use crate::audit::AuditCommand;
use crate::keys::{KeyAction, KeyCommand};

/// `key new`, `key list` and `key revoke`.
pub(super) fn key() -> Command {
    let file = || {
        Arg::new("file")
            .long("file")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The key file; the one of the setting keys.file if not given")
    };
    let id = || Arg::new("id").long("id").value_name("NAME").required(true);
    let scopes = Arg::new("scopes")
        .long("scopes")
        .value_name("SCOPES")
        .value_delimiter(',')
        .required(true)
        .help("infer, adapters:write and metrics, between commas");
    let new = Command::new("new")
        .about("Makes a key and prints its secret, this once")
        .arg(id().help("The key's public name, which logs and metrics have"))
        .arg(scopes)
        .arg(file());
    let list = Command::new("list").about("Prints ids and scopes").arg(file());
    let revoke = Command::new("revoke")
        .about("Takes a key out of the file")
        .arg(id().help("The key's public name"))
        .arg(file());
    Command::new("key")
        .about("Makes, lists and revokes API keys")
        .subcommand_required(true)
        .subcommands([new, list, revoke])
}

/// `audit verify`.
pub(super) fn audit() -> Command {
    let files = Arg::new("files")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .num_args(1..)
        .required(true)
        .help("Files of the log, the oldest first");
    let holds = Arg::new("holds")
        .long("holds")
        .value_name("HASH")
        .help("The hash of a record that must be there, such as the last one of an earlier check");
    let verify = Command::new("verify")
        .about("Checks the chain, and prints how many records there are and the last one's hash")
        .arg(files)
        .arg(holds);
    Command::new("audit")
        .about("Checks files of the audit log")
        .subcommand_required(true)
        .subcommand(verify)
}

/// Reads what is to be done in place of serving.
pub(super) fn read(matches: &ArgMatches) -> Option<Action> {
    match matches.subcommand()? {
        ("key", matches) => read_key(matches).map(Action::Key),
        ("audit", matches) => read_audit(matches).map(Action::Audit),
        _ => None,
    }
}

fn read_audit(matches: &ArgMatches) -> Option<AuditCommand> {
    let (_, matches) = matches.subcommand()?;
    let files = matches.get_many("files")?.cloned().collect();
    Some(AuditCommand { files, holds: matches.get_one("holds").cloned() })
}

/// Reads what [`key`] has taken in.
fn read_key(matches: &ArgMatches) -> Option<KeyCommand> {
    let (name, matches) = matches.subcommand()?;
    let id = || matches.get_one::<String>("id").cloned();
    let action = match name {
        "new" => {
            KeyAction::New { id: id()?, scopes: matches.get_many("scopes")?.cloned().collect() }
        }
        "revoke" => KeyAction::Revoke { id: id()? },
        _ => KeyAction::List,
    };
    Some(KeyCommand { file: matches.get_one("file").cloned(), action })
}
