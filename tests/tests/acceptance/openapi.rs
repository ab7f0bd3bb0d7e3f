//! The API, held to its own document by schemathesis: `tests/clients/openapi`.

use std::process::Command;

use crate::clients::{clients, must, python};
use crate::house::{House, MODEL};

#[test]
fn no_request_gets_a_5xx_or_an_answer_that_the_document_does_not_know() {
    let (source, folder) = (clients().join("openapi"), python("openapi"));
    // Where it may write what it remembers.
    for file in ["hooks.py", "schemathesis.toml"] {
        std::fs::copy(source.join(file), folder.join(file)).expect("a copy");
    }
    let house = House::open();
    let document = format!("http://{}/openapi.json", house.address);
    let mut run = Command::new(folder.join("bin/schemathesis"));
    run.args(["--config-file", "schemathesis.toml", "run", &document]);
    must(run.current_dir(&folder).env("LETHE_MODEL", MODEL));
}
