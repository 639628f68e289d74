//! What the page's query language asks of a span: a tree of conditions, read from text, written as text, and asked about spans.
//!
//! ```text
//! service:cart status:error duration>200ms http.status_code>=500 http.route="/x" has:db.statement -name:health "timeout"
//! ```
//!
//! A filter is met by **one** span: all that is joined by "and" holds for the same span. A trace is found if one of its spans
//! meets the whole expression. docs/query-language.md is its manual.

mod display;
mod error;
mod evaluate;
mod parse;
mod pattern;
mod term_text;
#[cfg(test)]
mod tests;
mod time_text;

pub use error::{FilterError, FilterProblem};
pub use parse::FilterTerm;
pub use pattern::Pattern;

use crate::{Kind, Time};
use std::cmp::Ordering;

/// Conditions on one span. [`SpanFilter::parse`] and the constructors make trees in normal form: no list within a list of its
/// kind, no list of one, no "not" of a "not".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanFilter {
    /// All are met. An empty one is met by every span.
    And(Vec<Self>),
    /// One is met.
    Or(Vec<Self>),
    /// It is not met.
    Not(Box<Self>),
    /// A single condition.
    Condition(Condition),
}

/// A single condition on a span. What a span does not have meets no condition on it but those that ask for nothing
/// (`service:""`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The service that recorded it, in any case.
    Service(Pattern),
    /// Its name, in any case.
    Name(Pattern),
    /// The service it spoke to, in any case.
    RemoteService(Pattern),
    /// Its role.
    Kind(Kind),
    /// How it ended.
    Status(SpanStatus),
    /// How long it took, in nanoseconds as far as they are known.
    Duration(Comparison, Time),
    /// When it began.
    Start(Comparison, Time),
    /// The value of a tag or of an attribute of its resource (Jaeger's process). Of a key that comes twice one value is
    /// enough; for [`Comparison::NotEqual`] the key has to be there and none of its values may be equal.
    Tag {
        /// The key, as it was sent.
        key: String,
        /// How the value stands to the wanted one.
        comparison: Comparison,
        /// The wanted value.
        value: TagValue,
    },
    /// It has a tag or an attribute of its resource with such a key, or an annotation with this text.
    Has(Pattern),
    /// Its name, a value of a tag, an annotation, a value in one, or its status message contains this, in any case.
    Text(Pattern),
}

/// How a span ended, as the page, Zipkin and Jaeger count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanStatus {
    /// Zipkin's tag `error`, whatever its value, or OTLP's status "error".
    Error,
    /// OTLP's status "ok".
    Ok,
    /// Neither is said.
    Unset,
}

/// How a value stands to the wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a tag's value is compared with. A value that was sent as a number equals it as text or as a number; larger and
/// smaller is by number where this is one (a value that is none then meets nothing), else by text.
#[derive(Debug, Clone)]
pub struct TagValue {
    pattern: Pattern,
    number: Option<Number>,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    I64(i64),
    F64(f64),
}

impl SpanFilter {
    /// Longer texts are not read.
    pub const TEXT_BYTES_MAX: usize = 8192;
    /// A filter has at most so many conditions.
    pub const CONDITIONS_MAX: usize = 100;
    /// Parentheses are nested at most so deep.
    pub const DEPTH_MAX: usize = 20;

    /// Met by every span.
    pub const fn all() -> Self {
        Self::And(vec![])
    }

    /// All are met, in normal form.
    pub fn and(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut all = vec![];
        for filter in filters {
            match filter {
                Self::And(filters) => all.extend(filters),
                filter => all.push(filter),
            }
        }
        if all.len() == 1 { all.remove(0) } else { Self::And(all) }
    }

    /// One is met, in normal form.
    pub fn or(filters: impl IntoIterator<Item = Self>) -> Self {
        let mut any = vec![];
        for filter in filters {
            match filter {
                Self::Or(filters) => any.extend(filters),
                filter => any.push(filter),
            }
        }
        if any.len() == 1 { any.remove(0) } else { Self::Or(any) }
    }

    /// It is not met, in normal form.
    pub fn negated(self) -> Self {
        match self {
            Self::Not(filter) => *filter,
            filter => Self::Not(Box::new(filter)),
        }
    }

    /// Reads a query. An empty one is met by every span. Errors say which bytes of the text are wrong and what was expected.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        parse::parse(text)
    }

    /// Reads a query as the list of what it joins by "and", each with its place in the text: what chips are made of.
    pub fn parse_terms(text: &str) -> Result<Vec<FilterTerm>, FilterError> {
        parse::parse_terms(text)
    }

    /// Whether every span meets it because it asks for nothing.
    pub fn is_all(&self) -> bool {
        matches!(self, Self::And(filters) if filters.is_empty())
    }

    /// What every span that meets the filter meets: the members of a list joined by "and", or the filter itself. An index
    /// may leave out what cannot meet one of them.
    pub fn conjuncts(&self) -> &[Self] {
        match self {
            Self::And(filters) => filters,
            filter => std::slice::from_ref(filter),
        }
    }

    /// The conditions among [`SpanFilter::conjuncts`].
    pub fn required(&self) -> impl Iterator<Item = &Condition> {
        self.conjuncts().iter().filter_map(|filter| match filter {
            Self::Condition(condition) => Some(condition),
            _ => None,
        })
    }
}

impl From<Condition> for SpanFilter {
    fn from(condition: Condition) -> Self {
        Self::Condition(condition)
    }
}

impl Comparison {
    /// Whether a value that stands so to the wanted one is meant.
    pub fn met_by(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }

    /// Whether it asks for more than equal or not.
    pub fn is_order(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual)
    }

    /// Its sign in a query.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl TagValue {
    /// A value, which may be a number.
    pub fn new(pattern: Pattern) -> Self {
        let number = pattern.exact().and_then(Number::parse);
        Self { pattern, number }
    }

    /// Its text.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        self.number.is_some()
    }
}

/// The number is what the text says.
impl PartialEq for TagValue {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl Eq for TagValue {}

impl Number {
    /// No "infinity" and no "nan": these are texts.
    fn parse(text: &str) -> Option<Self> {
        let starts_so = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.');
        if !text.ends_with(|c: char| c.is_ascii_digit() || c == '.') || !text.starts_with(starts_so) {
            return None;
        }
        if let Ok(number) = text.parse() {
            return Some(Self::I64(number));
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Self::F64)
    }

    fn compare(self, other: Self) -> Option<Ordering> {
        let float = |number: Self| match number {
            Self::I64(number) => number as f64,
            Self::F64(number) => number,
        };
        match (self, other) {
            (Self::I64(a), Self::I64(b)) => Some(a.cmp(&b)),
            (a, b) => float(a).partial_cmp(&float(b)),
        }
    }
}
