//! Pages of other origins.

use gateway_engine::scripted::Script;
use serde_json::json;

use crate::client::{Reply, send};
use crate::house::House;
use crate::keys::{Guarded, entry, secret};

const PAGE: (&str, &str) = ("origin", "https://a.example");
const ALLOWED: &str = "access-control-allow-origin";

fn preflight(house: &House, origin: &str, method: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,content-type,x-lethe-adapters"),
    ];
    send(house.address, "OPTIONS", "/v1/chat/completions", &headers, b"").finish()
}

#[test]
fn without_the_setting_no_origin_is_let_in() {
    let house = House::open(Script::default());
    let reply = preflight(&house, PAGE.1, "POST");
    assert_eq!((reply.status, reply.header(ALLOWED)), (405, None));
    let reply = house.begin("/v1/chat/completions", crate::house::chat(json!({})), &[PAGE]);
    assert_eq!((reply.status, reply.header(ALLOWED)), (200, None));
}

#[test]
fn a_listed_origin_may_ask_without_a_key_what_it_may_and_with_one_do_it() {
    let origins = [("cors.origins", "https://a.example,https://b.example")];
    let guarded = Guarded::with_settings(&entry("page", "'infer'", ""), &origins);
    let reply = preflight(&guarded.house, PAGE.1, "POST");
    assert_eq!((reply.status, reply.header(ALLOWED)), (200, Some(PAGE.1)));
    assert!(reply.header("access-control-allow-headers").expect("some").contains("authorization"));
    assert!(reply.header("access-control-allow-methods").expect("some").contains("POST"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    for (origin, method) in [("https://evil.example", "POST"), (PAGE.1, "PATCH")] {
        assert_eq!(preflight(&guarded.house, origin, method).status, 400, "{origin} {method}");
    }
    let reply = guarded.chat_with("page", json!({}), &[PAGE]);
    assert_eq!((reply.status, reply.header(ALLOWED)), (200, Some(PAGE.1)));
    let exposed = reply.header("access-control-expose-headers").expect("some");
    assert!(exposed.contains("x-lethe-adapters") && exposed.contains("retry-after"), "{exposed}");
    // Errors can be read too.
    let reply = send(guarded.house.address, "GET", "/v1/models", &[PAGE], b"").finish();
    assert_eq!((reply.status, reply.header(ALLOWED)), (401, Some(PAGE.1)));
    let bearer = format!("Bearer {}", secret("page"));
    let evil = [("origin", "https://evil.example"), ("authorization", bearer.as_str())];
    let reply = send(guarded.house.address, "GET", "/v1/models", &evil, b"").finish();
    assert_eq!(
        (reply.status, reply.header(ALLOWED)),
        (200, None),
        "browsers keep it to themselves"
    );
}

#[test]
fn any_origin_is_a_star_without_credentials() {
    let house = House::with_settings(Script::default(), &[("cors.origins", "*")]);
    let reply = preflight(&house, PAGE.1, "POST");
    assert_eq!((reply.status, reply.header(ALLOWED)), (200, Some("*")));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}
