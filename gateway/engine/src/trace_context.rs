//! Which trace a job is part of, as other servers are told of it
//! ([W3C Trace Context](https://www.w3.org/TR/trace-context-1/), level 1).
//!
//! It is text in and text out, and knows nothing of who carries it.
//!
//! **Invariant:** what is written is well formed, whatever was read.

use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

/// The length of a `traceparent` of version 00, and of what later versions begin with.
const PARENT_BYTES: usize = 55;

/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

/// The longest `tracestate` that is passed on: everybody has to take as much, and nobody more.
const MAX_STATE_BYTES: usize = 512;

/// The longest member that is not the first to go where there is no room.
const LONG_MEMBER_BYTES: usize = 128;

/// The bit of the flags that says whether the trace is recorded.
const SAMPLED: u8 = 1;

/// A place in a trace: whatever is done for it has `span_id` as its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: NonZeroU128,
    span_id: NonZeroU64,
    sampled: bool,
    /// What others had to say of the trace.
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// A place in a trace that begins here.
    #[must_use]
    pub const fn new(trace_id: NonZeroU128, span_id: NonZeroU64, sampled: bool) -> Self {
        Self { trace_id, span_id, sampled, state: None }
    }

    /// Reads a `traceparent`; `None` if it is malformed. Of later versions, what is as in this one
    /// is read.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let bytes = traceparent.as_bytes();
        let (known, rest) = bytes.split_at_checked(PARENT_BYTES)?;
        let version = hex(&known[..2])?;
        let longer = version != 0 && rest.first() == Some(&b'-');
        let separated = [2, 35, 52].into_iter().all(|at| known[at] == b'-');
        if version == 0xff || !separated || !(rest.is_empty() || longer) {
            return None;
        }
        Some(Self {
            trace_id: NonZeroU128::new(hex(&known[3..35])?)?,
            span_id: NonZeroU64::new(u64::try_from(hex(&known[36..52])?).ok()?)?,
            sampled: hex(&known[53..])? & u128::from(SAMPLED) != 0,
            state: None,
        })
    }

    /// The same with the members of `tracestate` headers, in their order; without any if one is
    /// malformed, stands twice, or there are too many.
    #[must_use]
    pub fn with_state<'a>(self, headers: impl IntoIterator<Item = &'a str>) -> Self {
        Self { state: parse_state(headers), ..self }
    }

    /// The place of `span_id`, in the same trace.
    #[must_use]
    pub fn at(&self, span_id: NonZeroU64) -> Self {
        Self { span_id, ..self.clone() }
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> NonZeroU128 {
        self.trace_id
    }

    /// The span that is the parent of what is done here.
    #[must_use]
    pub const fn span_id(&self) -> NonZeroU64 {
        self.span_id
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The header `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let flags = if self.sampled { SAMPLED } else { 0 };
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id)
    }

    /// The header `tracestate`, if there is one.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// A number in lower-case hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn parse_state<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Arc<str>> {
    let mut members: Vec<&str> = Vec::new();
    let mut keys: Vec<&str> = Vec::new();
    let items = headers.into_iter().flat_map(|header| header.split(','));
    // Members may be empty, and have blanks and tabs around them.
    for item in items.map(|item| item.trim_matches([' ', '\t'])).filter(|item| !item.is_empty()) {
        let (key, value) = item.split_once('=')?;
        let fits = is_key(key) && is_value(value) && members.len() < MAX_MEMBERS;
        if !fits || keys.contains(&key) {
            return None;
        }
        keys.push(key);
        members.push(item);
    }
    shorten(&mut members);
    (!members.is_empty()).then(|| members.join(",").into())
}

/// Leaves out long members, then the last ones, if all are too long together.
fn shorten(members: &mut Vec<&str>) {
    let fits = |members: &[&str]| {
        members.iter().map(|member| member.len() + 1).sum::<usize>() <= MAX_STATE_BYTES + 1
    };
    if !fits(members) {
        members.retain(|member| member.len() <= LONG_MEMBER_BYTES);
    }
    while !fits(members) {
        members.pop();
    }
}

/// `vendor`, or `tenant@vendor`.
fn is_key(key: &str) -> bool {
    let rest = |text: &str| {
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/');
        text.bytes().all(fits)
    };
    let begins = |text: &str, digit: bool| {
        let fits = |b: &u8| b.is_ascii_lowercase() || (digit && b.is_ascii_digit());
        text.as_bytes().first().is_some_and(fits)
    };
    match key.split_once('@') {
        None => key.len() <= 256 && begins(key, false) && rest(key),
        Some((tenant, vendor)) => {
            let tenant = tenant.len() <= 241 && begins(tenant, true) && rest(tenant);
            tenant && vendor.len() <= 14 && begins(vendor, false) && rest(vendor)
        }
    }
}

/// Visible characters and blanks but for `,` and `=`, a blank not last.
fn is_value(value: &str) -> bool {
    let fits = |b: u8| matches!(b, b' '..=b'~') && b != b',' && b != b'=';
    (1..=256).contains(&value.len()) && !value.ends_with(' ') && value.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of the recommendation, section 3.2.3.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn state(headers: &[&str]) -> Option<String> {
        let context = TraceContext::parse(EXAMPLE).expect("the example");
        context.with_state(headers.iter().copied()).tracestate().map(str::to_owned)
    }

    #[test]
    fn the_examples_of_the_recommendation_are_read_and_written() {
        let context = TraceContext::parse(EXAMPLE).expect("the example");
        assert_eq!(context.trace_id().get(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(context.span_id().get(), 0x00f0_67aa_0ba9_02b7);
        assert!(context.is_sampled());
        assert_eq!(context.traceparent(), EXAMPLE);
        let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let context = TraceContext::parse(unsampled).expect("the example");
        assert!(!context.is_sampled());
        assert_eq!(context.traceparent(), unsampled);
    }

    #[test]
    fn malformed_parents_are_none() {
        let ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        for text in [
            "",
            "00",
            &format!("ff-{ids}-01"),
            &format!("00-{ids}-1"),
            &format!("00-{ids}-001"),
            &format!("00-{ids}-01-"),
            &format!("00-{ids}-01-more"),
            &format!("0-{ids}-001"),
            &format!("00_{ids}-01"),
            &format!(" 00-{ids}-01"),
            &format!("00-{ids}-0x"),
            &format!("0X-{ids}-01"),
            &format!("01-{ids}-01.more"),
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("4bf9", "4é9", 1),
            &zero_trace,
            &zero_span,
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    #[test]
    fn later_versions_are_read_as_far_as_they_are_known() {
        let ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        for text in [format!("01-{ids}-01"), format!("cc-{ids}-01-what-the-future-brings")] {
            let context = TraceContext::parse(&text).expect("a later version");
            assert_eq!(context.traceparent(), EXAMPLE, "{text}");
        }
    }

    #[test]
    fn flags_that_nobody_knows_are_not_passed_on() {
        for (flags, written) in [("ff", "01"), ("fe", "00"), ("03", "01"), ("02", "00")] {
            let with = |flags| EXAMPLE.replace("-01", &format!("-{flags}"));
            let context = TraceContext::parse(&with(flags)).expect("flags");
            assert_eq!(context.traceparent(), with(written));
        }
    }

    #[test]
    fn a_state_keeps_its_members_and_their_order() {
        assert_eq!(
            state(&["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"]).as_deref(),
            Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
        );
        assert_eq!(state(&["b=1 , \ta=2,, ", "c=x y"]).as_deref(), Some("b=1,a=2,c=x y"));
        assert_eq!(
            state(&["fw529a3039@dt=FfAAAA", "0t@v=a"]).as_deref(),
            Some("fw529a3039@dt=FfAAAA,0t@v=a")
        );
        assert_eq!(state(&["", " ,"]), None);
    }

    #[test]
    fn of_a_state_that_is_too_long_long_members_go_first_and_then_the_last() {
        let long = format!("a={}", "x".repeat(200));
        let of = |key: char| format!("{key}={}", "x".repeat(124));
        let header = [long.clone(), of('b'), of('c'), "d=1".to_owned()].join(",");
        assert_eq!(state(&[&header]), Some(header), "it fits");
        let all = [long, of('b'), of('c'), of('d'), of('e'), of('f')];
        assert_eq!(state(&[&all.join(",")]), Some(all[1..5].join(",")));
    }

    #[test]
    fn a_malformed_state_is_none_and_the_parent_stays() {
        let long = format!("{}=1", "k".repeat(257));
        let (tenant, vendor) =
            (format!("{}@v=1", "t".repeat(242)), format!("t@{}=1", "v".repeat(15)));
        let value = format!("k={}", "v".repeat(257));
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=1")).collect();
        let many = many.join(",");
        for header in [
            "k",
            "=1",
            "k=",
            "K=1",
            "1k=1",
            "k =1",
            "k=a=b",
            "k=1;k=2\u{7f}",
            "k=é",
            "@v=1",
            "t@=1",
            "t@1v=1",
            "a@b@c=1",
            "k=1,k=2",
            &long,
            &tenant,
            &vendor,
            &value,
            &many,
        ] {
            assert_eq!(state(&[header]), None, "{header}");
        }
        assert_eq!(state(&["k=1", "k=2"]), None);
        assert!(state(&[many.rsplit_once(',').expect("many").0]).is_some(), "32 are taken");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            trace_id in 1_u128.., span_id in 1_u64.., sampled: bool, state in "[a-z]{1,4}=[!-+.-<>-~]{1,9}",
        ) {
            let (trace_id, span_id) = (NonZeroU128::new(trace_id), NonZeroU64::new(span_id));
            let (Some(trace_id), Some(span_id)) = (trace_id, span_id) else { unreachable!() };
            let context = TraceContext::new(trace_id, span_id, sampled).with_state([state.as_str()]);
            let read = TraceContext::parse(&context.traceparent()).expect("it was written");
            prop_assert_eq!(read.with_state(context.tracestate()), context);
        }

        #[test]
        fn whatever_is_read_what_is_written_is_well_formed(parent: String, state: String) {
            let near = format!("{parent}{EXAMPLE}{parent}");
            for text in [&parent, &near, &near[parent.len()..]] {
                let Some(context) = TraceContext::parse(text) else { continue };
                let context = context.with_state([state.as_str()]);
                prop_assert!(TraceContext::parse(&context.traceparent()).is_some());
                let known = context.tracestate().unwrap_or_default();
                prop_assert_eq!(context.clone().with_state([known]), context);
            }
        }

        #[test]
        fn one_wrong_byte_is_no_panic(at in 0..PARENT_BYTES, byte in 0_u8..128) {
            let mut bytes = EXAMPLE.as_bytes().to_vec();
            bytes[at] = byte;
            let text = String::from_utf8(bytes).expect("ASCII");
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(&context.traceparent()[3..52], &text[3..52]);
            }
        }
    }
}
