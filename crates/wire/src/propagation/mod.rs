//! Trace contexts in headers: what a caller sent comes in, a [`TraceContext`] comes out, and the other way round.
//!
//! Pure functions over any kind of headers ([`HeaderGetter`], [`HeaderSetter`]). Five formats: B3 in several headers or
//! in one, Jaeger's `uber-trace-id` with its baggage, W3C `traceparent`/`tracestate`, W3C `baggage`; beside them
//! Jaeger's binary form. Nothing here fails: what can't be read is left out, and [`Extracted::problems`] says what it
//! was, so that the caller can count it.
//!
//! ```
//! use std::collections::HashMap;
//! use tracewell_wire::propagation::{Format, Propagation};
//!
//! let incoming = HashMap::from([("b3".to_owned(), "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1".to_owned())]);
//! let propagation = Propagation::new(&[Format::B3Single, Format::TraceContext]);
//! let extracted = propagation.extract(&incoming);
//! assert_eq!(extracted.context.sampled(), Some(true));
//!
//! let mut outgoing = HashMap::new();
//! propagation.inject(&extracted.context, &mut outgoing);
//! assert_eq!(outgoing["traceparent"], "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01");
//! ```

mod b3;
mod baggage;
mod binary;
mod context;
mod digits;
mod headers;
mod jaeger;
mod marks;
mod percent;
mod problem;
#[cfg(test)]
mod tests;
mod trace_state;
mod traceparent;

pub use binary::{BinaryError, read_jaeger_binary, write_jaeger_binary};
pub use context::{BaggageItem, OversizedIds, TraceContext};
pub use headers::{HeaderGetter, HeaderSetter};
pub use jaeger::JaegerHeaders;
use marks::Marks;
pub use problem::{Problem, Problems};

/// Bytes of all baggage keys and values together; items beyond are left out (W3C Baggage's limit).
///
/// ```
/// use tracewell_wire::propagation::{BAGGAGE_BYTES_MAX, TraceContext};
/// assert!(!TraceContext::default().set_baggage_item("key", &"x".repeat(BAGGAGE_BYTES_MAX)));
/// ```
pub const BAGGAGE_BYTES_MAX: usize = 8192;
/// Baggage items of one context; further ones are left out (W3C Baggage's limit).
///
/// ```
/// use tracewell_wire::propagation::{BAGGAGE_ITEMS_MAX, TraceContext};
/// let mut context = TraceContext::default();
/// assert!((0..BAGGAGE_ITEMS_MAX).all(|item| context.set_baggage_item(&item.to_string(), "")));
/// assert!(!context.set_baggage_item("one more", ""));
/// ```
pub const BAGGAGE_ITEMS_MAX: usize = 180;
/// Bytes of a header that carries ids; a longer one is malformed.
///
/// ```
/// use tracewell_wire::propagation::{ID_HEADER_BYTES_MAX, Problem, Propagation};
/// let endless = "0".repeat(ID_HEADER_BYTES_MAX + 1);
/// let extracted = Propagation::default().extract(&[("b3", endless.as_str())][..]);
/// assert!(extracted.problems.contains(Problem::B3Single));
/// ```
pub const ID_HEADER_BYTES_MAX: usize = 512;
/// Bytes of all `tracestate` headers together; longer ones are dropped.
///
/// ```
/// use tracewell_wire::propagation::{Problem, Propagation, TRACE_STATE_BYTES_MAX};
/// let endless = format!("a={}", "b".repeat(TRACE_STATE_BYTES_MAX));
/// let parent = "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-01";
/// let extracted = Propagation::default().extract(&[("traceparent", parent), ("tracestate", &endless)][..]);
/// assert!(extracted.context.has_ids() && extracted.problems.contains(Problem::TraceState));
/// ```
pub const TRACE_STATE_BYTES_MAX: usize = 8192;

/// How a context is written into headers.
///
/// ```
/// use tracewell_wire::propagation::{Format, Propagation};
/// let headers = [("uber-trace-id", "7:1:0:1")];
/// assert_eq!(Propagation::default().extract(&headers[..]).format, Some(Format::Jaeger));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `x-b3-traceid`, `x-b3-spanid`, `x-b3-parentspanid`, `x-b3-sampled`, `x-b3-flags`. Reads the single header, too.
    B3Multi,
    /// `b3`. Reads the several headers, too: where both came, a well-formed single one wins, as the B3 specification says.
    B3Single,
    /// `uber-trace-id`, `uberctx-…`, `jaeger-debug-id`, `jaeger-baggage`: names in [`JaegerHeaders`].
    Jaeger,
    /// W3C `traceparent` and `tracestate`.
    TraceContext,
    /// W3C `baggage`: no ids, to be combined with another.
    Baggage,
}

impl Format {
    /// Every format.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Format, Propagation};
    /// assert_eq!(Propagation::new(&Format::ALL).read_formats().len(), 5);
    /// ```
    pub const ALL: [Self; 5] = [Self::B3Multi, Self::B3Single, Self::Jaeger, Self::TraceContext, Self::Baggage];

    /// By the name that the variable `OTEL_PROPAGATORS` has for it: `b3multi`, `b3`, `jaeger`, `tracecontext`, `baggage`.
    ///
    /// ```
    /// use tracewell_wire::propagation::Format;
    /// assert_eq!((Format::from_name("b3"), Format::from_name("xray")), (Some(Format::B3Single), None));
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// See [`Format::from_name`].
    ///
    /// ```
    /// use tracewell_wire::propagation::Format;
    /// assert_eq!(Format::TraceContext.name(), "tracecontext");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::B3Multi => "b3multi",
            Self::B3Single => "b3",
            Self::Jaeger => "jaeger",
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
        }
    }
}

/// What came with a request.
///
/// ```
/// use tracewell_wire::propagation::{Format, Propagation};
/// let headers = [("x-b3-traceid", "7"), ("x-b3-sampled", "0")];
/// let extracted = Propagation::new(&[Format::B3Multi]).extract(&headers[..]);
/// // Without usable ids; but not to be sampled.
/// assert_eq!((extracted.format, extracted.context.sampled()), (None, Some(false)));
/// assert!(!extracted.problems.is_empty());
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extracted {
    /// Ids, decision, baggage. Without usable ids ([`TraceContext::has_ids`] is false) a new trace is to be started,
    /// and what else the context holds (a decision, baggage, a debug id) holds for it.
    pub context: TraceContext,
    /// Where the ids came from.
    pub format: Option<Format>,
    /// What could not be read. Empty: all that came was well-formed.
    pub problems: Problems,
}

impl Extracted {
    /// The context to continue, if usable ids came.
    ///
    /// ```
    /// use tracewell_wire::propagation::Propagation;
    /// let nothing: [(&str, &str); 0] = [];
    /// assert!(Propagation::default().extract(&nothing[..]).remote_parent().is_none());
    /// ```
    pub fn remote_parent(&self) -> Option<&TraceContext> {
        self.context.has_ids().then_some(&self.context)
    }
}

/// Which formats are read and written, in which order.
///
/// The first format read that has usable ids wins. Where none has, the first decision that came stands. Baggage is
/// taken from every format.
///
/// ```
/// use tracewell_wire::propagation::{Format, Propagation};
/// let propagation = Propagation::new(&[Format::B3Single, Format::TraceContext]);
/// let headers = [
///     ("traceparent", "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00"),
///     ("b3", "463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-1"),
/// ];
/// assert_eq!(propagation.extract(&headers[..]).format, Some(Format::B3Single));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagation {
    read: Vec<Format>,
    write: Vec<Format>,
    jaeger: JaegerHeaders,
    /// What tells that something of it came.
    marks: Marks,
}

/// Reads everything (W3C, B3, Jaeger in this order), writes W3C and its baggage.
impl Default for Propagation {
    fn default() -> Self {
        Self::new(&[Format::TraceContext, Format::B3Single, Format::Jaeger, Format::Baggage])
            .writing(&[Format::TraceContext, Format::Baggage])
    }
}

impl Propagation {
    /// Reads and writes these, in this order.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Format, Propagation};
    /// assert_eq!(Propagation::new(&[Format::Jaeger]).written_formats(), [Format::Jaeger]);
    /// ```
    pub fn new(formats: &[Format]) -> Self {
        let jaeger = JaegerHeaders::default();
        Self { read: formats.to_vec(), write: formats.to_vec(), marks: Marks::of(formats, &jaeger), jaeger }
    }

    /// Writes other formats than it reads.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Format, Propagation};
    /// let accept_all_send_b3 = Propagation::new(&Format::ALL).writing(&[Format::B3Multi]);
    /// # let _ = accept_all_send_b3;
    /// ```
    #[must_use]
    pub fn writing(mut self, formats: &[Format]) -> Self {
        self.write = formats.to_vec();
        self
    }

    /// Takes Jaeger's headers by other names, or without URL-encoding.
    ///
    /// ```
    /// use tracewell_wire::propagation::{JaegerHeaders, Propagation};
    /// let names = JaegerHeaders::default().with_trace_id("x-trace");
    /// let propagation = Propagation::default().with_jaeger_headers(names);
    /// assert!(propagation.extract(&[("x-trace", "7:1:0:1")][..]).context.has_ids());
    /// ```
    #[must_use]
    pub fn with_jaeger_headers(mut self, names: JaegerHeaders) -> Self {
        self.marks = Marks::of(&self.read, &names);
        self.jaeger = names;
        self
    }

    /// Reads what came. Never fails; allocates only for baggage, trace state and debug ids.
    ///
    /// ```
    /// use tracewell_wire::propagation::Propagation;
    /// let extracted = Propagation::default().extract(&[("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0")][..]);
    /// assert_eq!(extracted.context.sampled(), Some(false));
    /// ```
    pub fn extract<H: HeaderGetter + ?Sized>(&self, headers: &H) -> Extracted {
        let mut result = Extracted::default();
        // Most requests that begin a trace bring nothing: one look at each header they have, and no search for each name.
        if !self.marks.are_in(headers) {
            return result;
        }
        for &format in &self.read {
            let mut found = TraceContext::default();
            let problems = &mut result.problems;
            match format {
                Format::B3Multi | Format::B3Single => b3::read(headers, &mut found, problems),
                Format::Jaeger => self.jaeger.read(headers, &mut found, problems),
                Format::TraceContext => traceparent::read(headers, &mut found, problems),
                Format::Baggage => baggage::read(headers, &mut found, problems),
            }
            let takes_ids = found.has_ids() && !result.context.has_ids();
            result.context.absorb(found);
            if takes_ids {
                result.format = Some(format);
            }
        }
        result
    }

    /// Writes the context, in every format chosen for writing. A context without ids leaves its decision (where the
    /// format has a form for it) and its baggage. Allocates nothing itself where there is no baggage.
    ///
    /// ```
    /// use tracewell_model::{SpanId, TraceId};
    /// use tracewell_wire::propagation::{Format, Propagation, TraceContext};
    /// let context = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_sampled(Some(true));
    /// let mut headers = Vec::new();
    /// Propagation::new(&[Format::Jaeger]).inject(&context, &mut headers);
    /// assert_eq!(headers[0].0, "uber-trace-id");
    /// ```
    pub fn inject<H: HeaderSetter + ?Sized>(&self, context: &TraceContext, headers: &mut H) {
        for format in &self.write {
            match format {
                Format::B3Multi => b3::write_multi(context, headers),
                Format::B3Single => b3::write_single(context, headers),
                Format::Jaeger => self.jaeger.write(context, headers),
                Format::TraceContext => traceparent::write(context, headers),
                Format::Baggage => baggage::write(context, headers),
            }
        }
    }

    /// The formats read, in order.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Format, Propagation};
    /// assert_eq!(Propagation::default().read_formats()[0], Format::TraceContext);
    /// ```
    pub fn read_formats(&self) -> &[Format] {
        &self.read
    }

    /// The formats written, in order.
    ///
    /// ```
    /// use tracewell_wire::propagation::{Format, Propagation};
    /// assert_eq!(Propagation::default().written_formats(), [Format::TraceContext, Format::Baggage]);
    /// ```
    pub fn written_formats(&self) -> &[Format] {
        &self.write
    }
}
