//! Writes the pages of `docs/reference`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in gateway_server::reference::pages() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
