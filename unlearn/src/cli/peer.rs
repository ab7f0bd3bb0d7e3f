//! The flag that names a program to judge texts beside our scorer.

use std::str::FromStr;

use anyhow::bail;

/// A program's name in the report, and how it is started.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) name: String,
    pub(crate) command: String,
}

impl FromStr for Peer {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text.split_once('=') {
            Some((name, command)) if !command.trim().is_empty() => {
                Ok(Self { name: name.to_owned(), command: command.to_owned() })
            }
            _ => bail!("a program is written NAME=COMMAND"),
        }
    }
}
