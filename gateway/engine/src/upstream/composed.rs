//! A weighted set of adapters as one, written for servers that apply one at a time.

use std::io;
use std::path::Path;

use adapters::lora::Lora;
use adapters::{AdapterVector, Digest, Kind, merge};
use model::Config;

use super::fault::Fault;

/// What every name that is ours begins with.
const PREFIX: &str = "lethe-";
/// Bytes of a digest in a name.
const NAME_BYTES: usize = 16;

/// The name of what `vector` comes to. Other content or other scales have another name, so that a
/// server's cache of an older adapter never answers for a newer one.
pub(super) fn name(vector: &AdapterVector) -> String {
    let mut content = Vec::new();
    for applied in vector.entries() {
        content.extend_from_slice(applied.lease.digest().as_bytes());
        content.extend_from_slice(&applied.scale.to_bits().to_le_bytes());
    }
    format!("{PREFIX}{}", Digest::of(&[&content]).prefix(NAME_BYTES))
}

/// The rank of what `vector` comes to.
pub(super) fn rank(vector: &AdapterVector) -> usize {
    vector.entries().iter().map(|applied| applied.lease.adapter().rank()).sum()
}

/// Writes what `vector` comes to as the PEFT folder `folder/name`, unless it is there already.
/// Whether it changes the model at all.
///
/// # Errors
/// [`Fault::Adapter`] if the sum is not finite, [`Fault::Folder`] if it cannot be written.
pub(super) fn write(
    vector: &AdapterVector,
    base: &Config,
    folder: &Path,
    name: &str,
) -> Result<bool, Fault> {
    let lora = compose(vector)?;
    let changes = lora.sites.values().any(|site| {
        site.a.iter().any(|value| *value != 0.0) && site.b.iter().any(|value| *value != 0.0)
    });
    let place = folder.join(name);
    if !place.is_dir() {
        let fault = |error: io::Error| Fault::Folder(error.to_string());
        // Beside its place and then renamed: a server never finds half of it.
        let beside =
            tempfile::Builder::new().prefix(".lethe-").tempdir_in(folder).map_err(fault)?;
        let draft = beside.path().join(name);
        lora.save(&draft, base).map_err(|error| Fault::Folder(error.to_string()))?;
        match std::fs::rename(&draft, &place) {
            Ok(()) => {}
            // Another gateway was faster; it wrote the same.
            Err(_) if place.is_dir() => {}
            Err(error) => return Err(fault(error)),
        }
    }
    Ok(changes)
}

/// Takes the folder away. One that is gone already is no fault.
pub(super) fn remove(folder: &Path, name: &str) {
    if let Err(error) = std::fs::remove_dir_all(folder.join(name))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(kind = %error.kind(), "an upstream adapter's files cannot be removed");
    }
}

fn compose(vector: &AdapterVector) -> Result<Lora, Fault> {
    let unpacked: Vec<(Lora, f32)> = vector
        .entries()
        .iter()
        .map(|applied| {
            let Kind::Lora(lora) = &applied.lease.adapter().kind;
            (lora.unpack(), applied.scale)
        })
        .collect();
    let weighted: Vec<_> = unpacked.iter().map(|(lora, scale)| (lora, *scale)).collect();
    merge::concatenate(&weighted).map_err(|error| Fault::Adapter(error.to_string()))
}
