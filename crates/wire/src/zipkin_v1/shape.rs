//! What a span of version 2 says in the words of version 1: core annotations for its kind, start and end. As Zipkin 3.5 does it.

use crate::zipkin_v2::{each_tag, in_order};
use tracewell_model::{EndpointRef, Kind, SpanFlags, SpanView, Time, ValueRef, compare_utf16};

/// A span's scalar part in version 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    /// Both zero where the span is shared: the other side owns them.
    pub(super) timestamp: u64,
    pub(super) duration: u64,
    begin: Option<(Time, &'static str)>,
    end: Option<(Time, &'static str)>,
    /// The key of the remote endpoint's address, and the endpoint.
    address: Option<(&'static str, EndpointRef<'a>)>,
    /// Whether a local component of no name has to say where the span was recorded.
    local_component: bool,
    pub(super) annotations: usize,
    tags: usize,
}

impl<'a> Shape<'a> {
    pub(super) fn of(span: impl SpanView<'a>) -> Self {
        let micros = |time: Option<Time>| time.map_or(0, Time::as_micros);
        let (timestamp, duration) = (micros(span.start()), micros(span.duration()));
        let mut start = timestamp;
        let mut end = if start != 0 && duration != 0 { start.saturating_add(duration) } else { 0 };
        let (mut kind, mut sent) = (span.kind(), 0);
        for (time, value, _) in span.annotations() {
            // Core annotations that were recorded as ordinary ones.
            let time = time.as_micros();
            match value {
                "cs" | "sr" => {
                    kind = if value == "cs" { Kind::Client } else { Kind::Server };
                    start = start.min(time);
                }
                "cr" | "ss" => {
                    kind = if value == "cr" { Kind::Client } else { Kind::Server };
                    end = end.max(time);
                }
                "ms" => (kind, sent) = (Kind::Producer, time),
                "mr" => {
                    kind = Kind::Consumer;
                    end = end.max(time);
                }
                _ => {}
            }
        }
        if kind == Kind::Producer && start == 0 {
            start = sent;
        }
        let (begin_name, end_name, address) = match kind {
            Kind::Client => ("cs", "cr", "sa"),
            Kind::Server => ("sr", "ss", "ca"),
            Kind::Producer => ("ms", "ws", "ma"),
            Kind::Consumer if end != 0 => ("wr", "mr", "ma"),
            Kind::Consumer => ("mr", "", "ma"),
            Kind::Unset | Kind::Internal => ("", "", "sa"),
        };
        let core =
            |time: u64, name: &'static str| (time != 0 && !name.is_empty()).then(|| (Time::from_micros(time), name));
        let (begin, end) = (core(start, begin_name), core(end, end_name));
        let mut tags = 0;
        each_tag(span, |_, _| tags += 1);
        let shared = span.flags().contains(SpanFlags::SHARED);
        let mut shape = Self {
            timestamp: if shared { 0 } else { timestamp },
            duration: if shared { 0 } else { duration },
            begin,
            end,
            address: span.remote().map(|endpoint| (address, endpoint)),
            local_component: false,
            annotations: 0,
            tags,
        };
        shape.annotations = shape.annotations(span).count();
        shape.local_component = shape.annotations == 0 && tags == 0 && span.local().is_some();
        shape
    }

    /// How many binary annotations there are.
    pub(super) fn binary_annotations(&self) -> usize {
        self.tags + usize::from(self.local_component) + usize::from(self.address.is_some())
    }

    /// Gives out tags, local component and address, by key: the key, the value (an address has none) and the endpoint.
    pub(super) fn each_binary_annotation(
        &self,
        span: impl SpanView<'a>,
        mut take: impl FnMut(&'a str, Option<ValueRef<'a>>, Option<EndpointRef<'a>>),
    ) {
        let mut address = self.address;
        let mut tag = |key: &'a str, value: ValueRef<'a>| {
            let before = address.take_if(|(name, _)| compare_utf16(name, key).is_lt());
            if let Some((name, endpoint)) = before {
                take(name, None, Some(endpoint));
            }
            take(key, Some(value), span.local());
        };
        if self.local_component {
            tag("lc", ValueRef::Str(""));
        } else {
            each_tag(span, tag);
        }
        if let Some((name, endpoint)) = address {
            take(name, None, Some(endpoint));
        }
    }

    /// All annotations, core ones included, by time and text.
    pub(super) fn annotations<S: SpanView<'a>>(
        &self,
        span: S,
    ) -> impl Iterator<Item = (Time, &'a str, Option<impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone>)> + Clone
    {
        let Self { begin, end, .. } = *self;
        // What is said in another way is left out.
        let is = |core: Option<(Time, &str)>, value: &str| core.is_some_and(|(_, name)| name == value);
        let ordinary = span.annotations().filter(move |annotation| !is(begin, annotation.1) && !is(end, annotation.1));
        let ordinary = ordinary.map(|(time, value, details)| (time, value, Some(details)));
        let begin = begin.into_iter().map(|(time, name)| (time, name, None));
        let end = end.into_iter().map(|(time, name)| (time, name, None));
        in_order(begin.chain(ordinary).chain(end), |annotation| (annotation.0, annotation.1))
    }
}
