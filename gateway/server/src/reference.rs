//! The pages of `docs/reference`, written from the tables that the program itself uses.

use std::fmt::Write as _;

use gateway_wire::{HARMLESS_FIELDS, REFUSED_FIELDS};

use crate::error::{Code, INVALID_CODES};
use crate::metrics::Metrics;
use crate::routes;
use crate::settings::KEYS;

/// A page: its file name and its text.
pub type Page = (&'static str, String);

/// All pages.
#[must_use]
pub fn pages() -> [Page; 5] {
    [
        ("fields.md", fields()),
        ("settings.md", settings()),
        ("errors.md", errors()),
        ("metrics.md", metrics()),
        ("openapi.json", format!("{:#}\n", routes::document())),
    ]
}

const NOTE: &str = "<!-- Written by `cargo run -p gateway-server --example reference`. -->\n";

fn fields() -> String {
    let list =
        |names: &[&str]| -> String { names.iter().map(|name| format!("- `{name}`\n")).collect() };
    format!(
        "{NOTE}# Request fields that Lethe does not implement\n\n## Accepted and ignored\n\nThey do \
         not change what the served model answers, and are counted in \
         `lethe_ignored_fields_total` by name; fields of no known name are counted as `other`.\n\n\
         {}\n## Refused\n\nThey would change the answer: a request with one of them is a 400 that \
         names it. A switch that says what is so anyway is ignored. Refused are also \
         `tools` and `functions` that may be called, a `tool_choice` other \
         than `none` or `auto`, and `modalities` beyond `text`.\n\n{}",
        list(&HARMLESS_FIELDS),
        list(&REFUSED_FIELDS),
    )
}

fn settings() -> String {
    let mut page = format!(
        "{NOTE}# Settings\n\nEach can be a key of the file that `--config` names (TOML; a dot stands \
         for a table), an environment variable or a flag. A flag goes before the environment, the \
         environment before the file. Presets are in the file only: `[presets.balanced]` with lines \
         such as `gender = 0.5`.\n\n| key | variable | flag | default | what |\n|---|---|---|---|---|\n"
    );
    for key in KEYS {
        let default =
            if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        line(
            &mut page,
            &[
                format!("`{}`", key.name),
                format!("`{}`", key.variable()),
                format!("`--{}`", key.flag()),
                default,
                key.help.to_owned(),
            ],
        );
    }
    page
}

fn errors() -> String {
    let mut page = format!(
        "{NOTE}# Errors\n\nEvery error has the body `{{\"error\": {{\"message\", \"type\", \"param\", \
         \"code\"}}}}`. A 429 or 503 has a `retry-after` header, a 409 has `x-should-retry: false`, \
         and every reply has `x-request-id`.\n\n| code | status | type | when |\n|---|---|---|---|\n"
    );
    let invalid = INVALID_CODES.map(|(slug, meaning)| (Code::Invalid(slug), meaning));
    for (code, meaning) in invalid.into_iter().chain(Code::ALL) {
        line(
            &mut page,
            &[
                format!("`{}`", code.slug()),
                code.status().as_str().to_owned(),
                format!("`{}`", code.kind()),
                meaning.to_owned(),
            ],
        );
    }
    page
}

fn metrics() -> String {
    let mut page = format!(
        "{NOTE}# Metrics\n\nAt `/metrics` of the operations listener, in Prometheus' text format, or in OpenMetrics 1.0 \
         to who prefers it. There the histograms of requests, first tokens, times between tokens and toxicity have \
         exemplars: the `trace_id` of the newest observation of each bucket in a sampled trace. And there \
         histograms of differences have no `_sum` and no `_count`, which that format does not allow; the bucket \
         `le=\"+Inf\"` counts them in both. `adapters` is the set of \
         adapters of a request by name, such as `gender+race`, `none` for the base model, `other` \
         beyond the limit `metrics.adapter_sets`, and empty for routes that take none. `direction` is \
         `input` for prompts and `output` for answers, `category` one of the scorer's, `scorer` its \
         version, and `reason` is `flagged` or `unscored`. The gauges that LoRA-aware schedulers read (`vllm:lora_requests_info` and three more) are at \
         `/metrics/vllm`.\n\n| name | kind | labels | what |\n|---|---|---|---|\n"
    );
    for (name, family, labels, help) in Metrics::ALL {
        let kind = ["Counter", "Gauge", "Histogram"].into_iter().find(|kind| family.contains(kind));
        line(
            &mut page,
            &[
                format!("`{name}`"),
                kind.unwrap_or_default().to_lowercase(),
                labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", "),
                help.trim().to_owned(),
            ],
        );
    }
    page
}

fn line(page: &mut String, cells: &[String]) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}
