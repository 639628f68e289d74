//! What is wrong with a query's text, where, and what was expected there.

use super::SpanFilter;
use std::ops::Range;

/// A text that is no query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct FilterError {
    /// The bytes of the text that are wrong; empty where something is missing.
    pub bytes: Range<usize>,
    /// What is wrong with them.
    pub problem: FilterProblem,
}

/// What is wrong with a query's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum FilterProblem {
    #[error("the query is longer than {} bytes", SpanFilter::TEXT_BYTES_MAX)]
    TooLong,
    #[error("the query has more than {} conditions", SpanFilter::CONDITIONS_MAX)]
    TooManyConditions,
    #[error("parentheses are nested deeper than {} levels", SpanFilter::DEPTH_MAX)]
    TooDeep,
    #[error("a condition is missing here")]
    ConditionMissing,
    #[error("a value is missing here; the empty one is \"\"")]
    ValueMissing,
    #[error("this parenthesis closes nothing")]
    ClosesNothing,
    #[error("this parenthesis is never closed")]
    NotClosed,
    #[error("this quote is never closed")]
    QuoteNotClosed,
    #[error("behind a backslash stand n, r, t or a character that is no letter")]
    UnknownEscape,
    #[error("there is no such field; a tag is asked for with =, and text with a colon stands in quotes")]
    UnknownField,
    #[error("a key has no open part; has: takes one")]
    OpenKey,
    #[error("larger and smaller are not asked of a text with an open part")]
    OpenOrder,
    #[error("{field} is asked for with one of these")]
    WrongSign { field: &'static str, expected: &'static [&'static str] },
    #[error("no such kind")]
    UnknownKind,
    #[error("no such status")]
    UnknownStatus,
    #[error("no duration: a number and its unit, as 200ms or 1.5s")]
    NoDuration,
    #[error("no time: as 2026-11-21T14:05:00Z, or microseconds since 1970")]
    NoTime,
}

impl FilterProblem {
    /// A word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "too-long",
            Self::TooManyConditions => "too-many-conditions",
            Self::TooDeep => "too-deep",
            Self::ConditionMissing => "condition-missing",
            Self::ValueMissing => "value-missing",
            Self::ClosesNothing => "closes-nothing",
            Self::NotClosed => "not-closed",
            Self::QuoteNotClosed => "quote-not-closed",
            Self::UnknownEscape => "unknown-escape",
            Self::UnknownField => "unknown-field",
            Self::OpenKey => "open-key",
            Self::OpenOrder => "open-order",
            Self::WrongSign { .. } => "wrong-sign",
            Self::UnknownKind => "unknown-kind",
            Self::UnknownStatus => "unknown-status",
            Self::NoDuration => "no-duration",
            Self::NoTime => "no-time",
        }
    }

    /// What may stand there, where that is a list.
    pub const fn expected(&self) -> &'static [&'static str] {
        match self {
            Self::UnknownField => &["service:", "name:", "remote:", "kind:", "status:", "has:"],
            Self::WrongSign { expected, .. } => expected,
            Self::UnknownKind => &["client", "server", "producer", "consumer", "internal", "unset"],
            Self::UnknownStatus => &["error", "ok", "unset"],
            Self::NoDuration => &["ns", "us", "ms", "s", "m", "h"],
            Self::NotClosed => &[")"],
            Self::QuoteNotClosed => &["\""],
            _ => &[],
        }
    }
}
