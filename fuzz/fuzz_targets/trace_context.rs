//! Trace contexts: no headers make them panic, and what is accepted is written well formed.
#![no_main]

use gateway_engine::TraceContext;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|headers: (&str, Vec<&str>)| {
    let Some(context) = TraceContext::parse(headers.0) else { return };
    let context = context.with_state(headers.1);
    let read = TraceContext::parse(&context.traceparent()).expect("it was written");
    assert_eq!(read.with_state(context.tracestate()), context);
});
