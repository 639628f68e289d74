//! How much one body may ask of the server. Zipkin knows only a body's size; what it takes in practice fits with room to spare.

/// Bounds on what one body of spans may hold. A body beyond them is refused whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Spans in a body.
    pub spans_max: usize,
    /// Tags of a span, repeated ones counted.
    pub tags_max_per_span: usize,
    /// Annotations of a span, equal ones counted.
    pub annotations_max_per_span: usize,
    /// Lists and objects inside one another.
    pub depth_max: usize,
    /// Bytes of one text as it stands in the body, escapes included.
    pub string_bytes_max: usize,
}

impl Limits {
    /// A 10 MiB body (Zipkin's limit) holds at most 420,000 spans of ids alone.
    pub const SPANS_MAX: usize = 1 << 20;
    /// Instrumentation sends tens; more than this is a loop gone wrong, and sorting them would be felt.
    pub const TAGS_MAX_PER_SPAN: usize = 1 << 16;
    /// Streaming calls annotate each message: thousands are seen.
    pub const ANNOTATIONS_MAX_PER_SPAN: usize = 1 << 16;
    /// What Zipkin 3.5 takes: its JSON reader stops at 255.
    pub const DEPTH_MAX: usize = 255;
    /// Stack traces and SQL reach megabytes; a text may fill a body of Zipkin's 10 MiB.
    pub const STRING_BYTES_MAX: usize = 16 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spans_max: Self::SPANS_MAX,
            tags_max_per_span: Self::TAGS_MAX_PER_SPAN,
            annotations_max_per_span: Self::ANNOTATIONS_MAX_PER_SPAN,
            depth_max: Self::DEPTH_MAX,
            string_bytes_max: Self::STRING_BYTES_MAX,
        }
    }
}
