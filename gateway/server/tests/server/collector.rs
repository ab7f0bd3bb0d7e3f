//! A collector of spans, over HTTP as OpenTelemetry has it.

use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::client::TIMEOUT;

/// What a collector says to spans.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Mood {
    #[default]
    Good,
    /// It refuses all.
    Busy,
    /// It takes all but so many of each batch.
    Picky(i64),
}

/// The collector; it ends when it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    state: Arc<State>,
    handle: ServerHandle,
}

struct State {
    mood: Mood,
    bodies: Mutex<Vec<Bytes>>,
    changed: Condvar,
}

impl Collector {
    pub(crate) fn start(mood: Mood) -> Self {
        let state = Arc::new(State { mood, bodies: Mutex::default(), changed: Condvar::new() });
        let data = Data::from(Arc::clone(&state));
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new().app_data(data.clone()).route("/v1/traces", web::post().to(take))
                };
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.bind("127.0.0.1:0").expect("a port");
                let address = server.addrs()[0];
                let server = server.run();
                sender.send((address, server.handle())).expect("the test waits");
                server.await
            })
        });
        let (address, handle) = receiver.recv().expect("bound");
        Self { address, state, handle }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was sent, byte for byte.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.state.bodies.lock().expect("no panic").concat()
    }

    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let bodies = self.state.bodies.lock().expect("no panic");
        let decode = |body: &Bytes| ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
        bodies.iter().map(decode).collect()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Waits until there is a span called `name`.
    pub(crate) fn wait_for(&self, name: &str) -> Span {
        loop {
            let bodies = self.state.bodies.lock().expect("no panic");
            let known = bodies.len();
            drop(bodies);
            if let Some(span) = self.spans().into_iter().find(|span| span.name == name) {
                return span;
            }
            let bodies = self.state.bodies.lock().expect("no panic");
            let waited =
                self.state.changed.wait_timeout_while(bodies, TIMEOUT, |b| b.len() == known);
            assert!(!waited.expect("no panic").1.timed_out(), "no span {name}");
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Nobody waits for it.
        drop(self.handle.stop(false));
    }
}

async fn take(request: HttpRequest, state: Data<State>, body: Bytes) -> HttpResponse {
    assert_eq!(request.headers().get("content-type").expect("a type"), "application/x-protobuf");
    state.bodies.lock().expect("no panic").push(body);
    state.changed.notify_all();
    let rejected_spans = match state.mood {
        Mood::Busy => return HttpResponse::build(StatusCode::SERVICE_UNAVAILABLE).finish(),
        Mood::Good => 0,
        Mood::Picky(count) => count,
    };
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: String::new() };
    let response =
        ExportTraceServiceResponse { partial_success: (rejected_spans > 0).then_some(partial) };
    HttpResponse::Ok().content_type("application/x-protobuf").body(response.encode_to_vec())
}

/// An attribute as text; lists have commas.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    text(found.value.as_ref()?.value.as_ref()?)
}

fn text(value: &Value) -> Option<String> {
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::ArrayValue(array) => {
            let texts = array.values.iter().filter_map(|any| text(any.value.as_ref()?));
            texts.collect::<Vec<_>>().join(",")
        }
        Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_) => {
            return None;
        }
    })
}
