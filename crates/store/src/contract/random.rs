//! Random spans and queries, the same for a seed on every machine. Few ids, names and times, so that traces meet in many
//! batches, copies and pieces of a span occur, and conditions are met by chance.

use tracewell_model::{
    Comparison, Condition, Endpoint, EndpointId, ExtraRow, Kind, LinkRow, Pattern, ResourceId, ScopeId, SpanBatch,
    SpanFilter, SpanFlags, SpanId, SpanQuery, SpanRow, SpanStatus, StatusCode, StrId, TagValue, Time, TraceGrouping,
    TraceId, TraceQuery, ValueRef,
};

pub(super) const SERVICES: &[&str] = &["", "cart", "users", "größe", "Cart", "GRÖßE"];
const NAMES: &[&str] = &["", "get /", "post /cart", "読む", "select", "GET /"];
const KEYS: &[&str] = &["error", "http.method", "env", "user.id", "ß", "count"];
const VALUES: &[&str] = &["", "GET", "true", "42", "prod", "00f067aa0ba902b7", "a1b2c3d4e5f60718", "wert ü", "1.5"];
const ANNOTATIONS: &[&str] = &["error", "ws", "retry", "ß"];
/// 2023-11-14, microseconds.
const EPOCH_US: u64 = 1_700_000_000_000_000;

/// Numbers from a seed (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

/// How much the spans of a round have in common.
#[derive(Debug, Clone)]
pub struct Shape {
    /// How many lower halves of trace ids there are.
    pub traces: u64,
    /// How many span ids there are.
    pub span_ids: u64,
    /// How many spans a batch has at most.
    pub batch_spans: u64,
    /// Over how many seconds they start.
    pub seconds: u64,
    /// Whether spans have what only OTLP and Jaeger have.
    pub rare_fields: bool,
}

impl Random {
    /// Numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number from zero to below `bound`; zero for no bound at all.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Forty days: what is in a trace arrives days later.
const LATE_SECONDS: u64 = 40 * 24 * 3600;

impl Shape {
    /// The same with spans that are late, and a few of the far past and future.
    pub fn late(self) -> Self {
        Self { seconds: LATE_SECONDS, ..self }
    }

    /// Some mixture.
    pub fn random(random: &mut Random) -> Self {
        Self {
            traces: random.pick(&[1, 3, 8, 40]),
            span_ids: random.pick(&[2, 5, 1 << 40]),
            batch_spans: random.pick(&[1, 6, 40]),
            seconds: random.pick(&[1, 3, 10]),
            rare_fields: random.one_in(2),
        }
    }

    /// The id of some trace.
    pub fn trace_id(&self, random: &mut Random) -> TraceId {
        TraceId::from_halves(random.pick(&[0, 0, 0, 1, u64::MAX]), 1 + random.below(self.traces))
    }

    /// Some time at which spans start, microseconds.
    pub fn time_us(&self, random: &mut Random) -> u64 {
        EPOCH_US + random.below(self.seconds) * 1_000_000 + random.pick(&[0, 0, 1, 500, 999_999])
    }

    fn span_id(&self, random: &mut Random) -> SpanId {
        SpanId::new(1 + random.below(self.span_ids))
    }
}

/// A batch of 1 to `batch_spans` spans; some are copies of others.
pub fn random_batch(random: &mut Random, shape: &Shape) -> SpanBatch {
    let mut batch = SpanBatch::new();
    let (mut resource, mut scope) = (ResourceId(0), ScopeId(0));
    for _ in 0..1 + random.below(shape.batch_spans) {
        if !batch.is_empty() && random.one_in(10) {
            let copied = batch.clone();
            let row = random.below(copied.len() as u64) as usize;
            assert_eq!(batch.push_copy(copied.span(row)), Ok(()));
            continue;
        }
        if shape.rare_fields && random.one_in(4) {
            resource = random_resource(&mut batch, random);
            scope = random_scope(&mut batch, random);
        }
        push_span(&mut batch, random, shape, resource, scope);
    }
    batch
}

fn push_span(batch: &mut SpanBatch, random: &mut Random, shape: &Shape, resource: ResourceId, scope: ScopeId) {
    let name = batch.intern(random.pick(NAMES));
    let (local, remote) = (random_endpoint(batch, random), random_endpoint(batch, random));
    for _ in 0..random.below(4) {
        random_attribute(batch, random, shape.rare_fields, SpanBatch::tag);
    }
    for _ in 0..random.below(8).saturating_sub(5) {
        let time = Time::from_micros(shape.time_us(random));
        batch.annotation(time, random.pick(ANNOTATIONS));
        for _ in 0..if shape.rare_fields { random.below(3) } else { 0 } {
            random_attribute(batch, random, true, SpanBatch::annotation_detail);
        }
    }
    let extra = if shape.rare_fields { random_extra(batch, random, shape) } else { None };
    let start = Time::from_micros(shape.time_us(random));
    let start = if random.one_in(6) { start.saturating_add(Time::from_nanos(random.below(3000))) } else { start };
    let duration = random.pick(&[0, 1, 1000, 20_000, 20_001, 3_000_000]);
    let (start, duration) = strange_times(random, shape).unwrap_or_else(|| (start, Time::from_micros(duration)));
    let mut flags = SpanFlags::NONE;
    for flag in [SpanFlags::DEBUG, SpanFlags::SHARED, SpanFlags::SAMPLED] {
        if random.one_in(5) {
            flags = flags.with(flag);
        }
    }
    let row = SpanRow {
        trace_id: shape.trace_id(random),
        id: shape.span_id(random),
        parent: if random.one_in(3) { SpanId::NONE } else { shape.span_id(random) },
        name,
        kind: Kind::from_u8(random.below(6) as u8).unwrap_or_default(),
        flags,
        start: (!random.one_in(6)).then_some(start),
        duration: (!random.one_in(4)).then_some(duration),
        local,
        remote,
        resource,
        scope,
        extra,
    };
    assert_eq!(batch.commit(row), Ok(()));
}

/// Now and then those of a clock that was never set, or set wrong; only among spans of many days.
fn strange_times(random: &mut Random, shape: &Shape) -> Option<(Time, Time)> {
    if shape.seconds < LATE_SECONDS || !random.one_in(20) {
        return None;
    }
    let starts = [Time::from_nanos(1), Time::from_micros(1), Time::from_micros(1 << 55), Time::from_micros(u64::MAX)];
    Some((random.pick(&starts), Time::from_micros(random.pick(&[0, 20_000, 1 << 60]))))
}

fn random_endpoint(batch: &mut SpanBatch, random: &mut Random) -> EndpointId {
    if random.one_in(5) {
        return EndpointId(0);
    }
    let service = batch.intern(random.pick(SERVICES));
    let ipv4_text = if random.one_in(10) { batch.intern("01.2.3.4") } else { StrId::EMPTY };
    let ipv4 = random.pick(&[None, None, Some([127, 0, 0, 1]), Some([1, 2, 3, 4])]);
    let ipv6 = random.pick(&[None, None, Some([7; 16])]);
    batch.intern_endpoint(Endpoint { service, ipv4, ipv6, port: random.pick(&[0, 80, u16::MAX]), ipv4_text })
}

fn random_attribute(
    batch: &mut SpanBatch,
    random: &mut Random,
    typed: bool,
    add: impl Fn(&mut SpanBatch, StrId, ValueRef<'_>),
) {
    let key = batch.intern(random.pick(KEYS));
    let text = random.pick(VALUES);
    let value = match random.below(if typed { 9 } else { 1 }) {
        0..4 => ValueRef::Str(text),
        4 => ValueRef::Bool(random.one_in(2)),
        5 => ValueRef::I64(random.pick(&[42, 0, -1, i64::MIN, i64::MAX])),
        6 => ValueRef::F64(random.pick(&[1.5, -0.0, f64::NAN, f64::INFINITY])),
        7 => ValueRef::Bytes(text.as_bytes()),
        _ => ValueRef::Nested(text.as_bytes()),
    };
    add(batch, key, value);
}

fn random_resource(batch: &mut SpanBatch, random: &mut Random) -> ResourceId {
    if random.one_in(3) {
        return ResourceId(0);
    }
    let schema_url = batch.intern(random.pick(&["", "https://example.org/schema"]));
    let id = batch.push_resource(schema_url, random.pick(&[0, 3]));
    for _ in 0..random.below(3) {
        random_attribute(batch, random, true, SpanBatch::resource_attribute);
    }
    id
}

fn random_scope(batch: &mut SpanBatch, random: &mut Random) -> ScopeId {
    if random.one_in(3) {
        return ScopeId(0);
    }
    let name = batch.intern(random.pick(&["", "library"]));
    let version = batch.intern(random.pick(&["", "1.0"]));
    let schema_url = batch.intern(random.pick(&["", "https://example.org/schema"]));
    let id = batch.push_scope(name, version, schema_url, random.pick(&[0, 2]));
    for _ in 0..random.below(3) {
        random_attribute(batch, random, true, SpanBatch::scope_attribute);
    }
    id
}

fn random_extra(batch: &mut SpanBatch, random: &mut Random, shape: &Shape) -> Option<ExtraRow> {
    for _ in 0..random.below(4).saturating_sub(2) {
        let mut link = LinkRow::default();
        link.trace_id = shape.trace_id(random);
        link.span_id = shape.span_id(random);
        link.child_of = random.one_in(2);
        link.trace_state = batch.push_text(random.pick(&["", "a=1"]));
        link.otlp_flags = random.pick(&[0, 257]);
        link.dropped_attributes = random.pick(&[0, 9]);
        batch.link(link);
        for _ in 0..random.below(3) {
            random_attribute(batch, random, true, SpanBatch::link_attribute);
        }
    }
    if random.one_in(5) {
        batch.warning(random.pick(&["clock skew", ""]));
    }
    if random.one_in(2) {
        return None;
    }
    let mut extra = ExtraRow::default();
    extra.status = random.pick(&[StatusCode::Unset, StatusCode::Ok, StatusCode::Error]);
    extra.status_message = batch.push_text(random.pick(&["", "went wrong"]));
    extra.trace_state = batch.push_text(random.pick(&["", "b=2"]));
    extra.otlp_flags = random.pick(&[0, 1, u32::MAX]);
    extra.dropped_tags = random.pick(&[0, 1]);
    extra.dropped_annotations = random.pick(&[0, 2]);
    extra.dropped_links = random.pick(&[0, 3]);
    Some(extra)
}

/// A query for single spans of [`random_batch`].
pub fn random_span_query(random: &mut Random, shape: &Shape) -> SpanQuery {
    let start_us = shape.time_us(random);
    let text = |random: &mut Random, texts: &[&str], n: u64| {
        let text = random.pick(texts).to_owned();
        random.one_in(n).then_some(text)
    };
    let min_us = random.one_in(3).then(|| random.pick(&[0, 1, 2, 20_000, 20_001, 3_000_001]));
    let length_us = random.pick(&[0, 1, 1_000_000, shape.seconds * 1_000_000]);
    SpanQuery {
        service_name: text(random, &[SERVICES, &["nobody"]].concat(), 2),
        span_name: text(random, NAMES, 3),
        min_duration: min_us.map(Time::from_micros),
        max_duration: random.one_in(3).then(|| Time::from_micros(min_us.unwrap_or(0) + random.pick(&[0, 19_999]))),
        start_min: Time::from_micros(start_us),
        start_max: Time::from_nanos((start_us + length_us) * 1000 + random.pick(&[0, 0, 1500])),
        limit: random.pick(&[1, 2, 10, 1000]),
    }
}

/// A query for traces of [`random_batch`].
pub fn random_query(random: &mut Random, shape: &Shape) -> TraceQuery {
    let maybe = |random: &mut Random, texts: &[&str], n: u64| {
        let text = random.pick(texts).to_owned();
        random.one_in(n).then_some(text)
    };
    let service_name = maybe(random, &[SERVICES, &["nobody"]].concat(), 2).map(|name| name.to_lowercase());
    let remote_service_name = maybe(random, SERVICES, 5).map(|name| name.to_lowercase());
    let span_name = maybe(random, NAMES, 5).map(|name| name.to_lowercase());
    let mut annotations: Vec<(String, String)> = vec![];
    for _ in 0..random.below(6).saturating_sub(3) {
        let key = random.pick(&[KEYS, ANNOTATIONS].concat());
        let value = if random.one_in(2) { "" } else { random.pick(VALUES) };
        if annotations.iter().all(|(known, _)| known != key) {
            annotations.push((key.to_owned(), value.to_owned()));
        }
    }
    let min_duration_us = random.one_in(3).then(|| random.pick(&[0, 1, 2, 20_000, 20_001, 3_000_001]));
    let max_duration_us = min_duration_us.filter(|_| random.one_in(2)).map(|min| min + random.pick(&[0, 19_999]));
    let end_ts_ms = shape.time_us(random) / 1000 + random.pick(&[0, 0, 1, 10_000]);
    TraceQuery {
        service_name,
        remote_service_name,
        span_name,
        annotations,
        min_duration_us,
        max_duration_us,
        end_ts_ms,
        lookback_ms: random.pick(&[0, 1, 1000, 20_000, 20_000, u64::MAX]),
        limit: random.pick(&[1, 2, 10, 1000]),
        grouping: random.pick(&[TraceGrouping::Strict, TraceGrouping::LowBits]),
    }
}

/// A filter of the query language with every kind of condition.
pub fn random_filter(random: &mut Random, shape: &Shape) -> SpanFilter {
    match random.below(8) {
        0 => SpanFilter::all(),
        1 | 2 => SpanFilter::and((0..1 + random.below(3)).map(|_| random_filter(random, shape)).collect::<Vec<_>>()),
        3 => SpanFilter::or((0..1 + random.below(3)).map(|_| random_filter(random, shape)).collect::<Vec<_>>()),
        4 => random_filter(random, shape).negated(),
        _ => random_condition(random, shape).into(),
    }
}

fn random_condition(random: &mut Random, shape: &Shape) -> Condition {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let comparison = random.pick(&[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    match random.below(10) {
        0 => Condition::Service(random_pattern(random, SERVICES)),
        1 => Condition::Name(random_pattern(random, NAMES)),
        2 => Condition::RemoteService(random_pattern(random, SERVICES)),
        3 => Condition::Kind(Kind::from_u8(random.below(6) as u8).unwrap_or_default()),
        4 => Condition::Status(random.pick(&[SpanStatus::Error, SpanStatus::Ok, SpanStatus::Unset])),
        5 => Condition::Duration(comparison, Time::from_micros(random.below(1_000_000))),
        6 => Condition::Start(comparison, Time::from_micros(shape.time_us(random))),
        7 => Condition::Has(random_pattern(random, KEYS)),
        8 => Condition::Text(Pattern::literal(random.pick(VALUES))),
        _ => {
            let value = if comparison.is_order() { Pattern::literal("17") } else { random_pattern(random, VALUES) };
            Condition::Tag { key: random.pick(KEYS).to_owned(), comparison, value: TagValue::new(value) }
        }
    }
}

fn random_pattern(random: &mut Random, texts: &[&str]) -> Pattern {
    let text = random.pick(texts);
    if random.one_in(4) {
        let first = text.chars().next().map(String::from).unwrap_or_default();
        return Pattern::from_pieces([first, String::new()]);
    }
    Pattern::literal(text)
}
