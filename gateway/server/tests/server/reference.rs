use std::path::Path;

#[test]
fn the_reference_pages_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    for (name, text) in gateway_server::reference::pages() {
        let found = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        let hint = "run cargo run -p gateway-server --example reference";
        assert!(found == text, "docs/reference/{name} is stale: {hint}");
    }
}
