//! API keys, as clients and operators meet them.

mod adapters;
mod command;
mod rates;
mod reload;
mod scopes;

use std::net::SocketAddr;
use std::path::PathBuf;

use gateway_engine::scripted::Script;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::client::{Reply, send};
use crate::house::{House, chat};

/// A gateway with a key file.
pub(crate) struct Guarded {
    pub(crate) house: House,
    folder: TempDir,
}

/// The secret of the key `id`.
pub(crate) fn secret(id: &str) -> String {
    format!("lethe-sk-hush-{id}")
}

/// A key of the file, with more lines.
pub(crate) fn entry(id: &str, scopes: &str, more: &str) -> String {
    let digest: String =
        Sha256::digest(secret(id)).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("[[keys]]\nid = '{id}'\nhash = 'sha256:{digest}'\nscopes = [{scopes}]\n{more}\n")
}

impl Guarded {
    pub(crate) fn open(keys: &str) -> Self {
        Self::with_settings(keys, &[])
    }

    pub(crate) fn with_settings(keys: &str, flags: &[(&'static str, &str)]) -> Self {
        Self::with_script(Script::default(), keys, flags)
    }

    pub(crate) fn with_script(script: Script, keys: &str, flags: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys.toml");
        std::fs::write(&path, keys).expect("written");
        let file = [("keys.file", path.to_str().expect("UTF-8"))];
        let house = House::with_settings(script, &[&file, flags].concat());
        Self { house, folder }
    }

    /// Writes the key file anew, as an editor does that replaces files.
    pub(crate) fn replace(&self, keys: &str) {
        let beside = self.folder.path().join("beside");
        std::fs::write(&beside, keys).expect("written");
        std::fs::rename(beside, self.path()).expect("replaced");
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("keys.toml")
    }

    /// A chat in the name of the key `id`.
    pub(crate) fn chat(&self, id: &str, fields: Value) -> Reply {
        self.chat_with(id, fields, &[])
    }

    pub(crate) fn chat_with(&self, id: &str, fields: Value, headers: &[(&str, &str)]) -> Reply {
        let bearer = format!("Bearer {}", secret(id));
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        self.house.begin("/v1/chat/completions", chat(fields), &headers).finish()
    }

    /// The metrics, in the name of the key `id`.
    pub(crate) fn metrics(&self, id: &str) -> String {
        let reply = ask(self.house.ops_address, "GET", "/metrics", Some(&secret(id)));
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.text().to_owned()
    }
}

/// A request with an empty object as its body.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, secret: Option<&str>) -> Reply {
    let bearer = secret.map(|secret| format!("Bearer {secret}"));
    let header = bearer.as_deref().map(|bearer| ("authorization", bearer));
    send(address, method, path, header.as_slice(), b"{}").finish()
}
