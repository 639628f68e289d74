//! A filter as the text that reads back as the same filter.

use super::term_text::{write_key, write_pattern, write_quoted};
use super::time_text::{write_duration, write_time};
use super::{Condition, SpanFilter, SpanStatus};
use std::fmt::{self, Display, Formatter};

/// Canonical text. That of a filter in normal form reads back as the same filter.
impl Display for SpanFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(filters) => write_list(f, filters, " ", write_member),
            // "And" binds tighter: a list of it within one of "or" needs no parentheses.
            Self::Or(filters) => write_list(f, filters, " or ", |f, filter| match filter {
                Self::And(_) if !filter.is_all() => filter.fmt(f),
                filter => write_member(f, filter),
            }),
            Self::Not(filter) => {
                f.write_str("-")?;
                write_member(f, filter)
            }
            Self::Condition(condition) => condition.fmt(f),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(pattern) => {
                f.write_str("service:")?;
                write_pattern(f, pattern)
            }
            Self::Name(pattern) => {
                f.write_str("name:")?;
                write_pattern(f, pattern)
            }
            Self::RemoteService(pattern) => {
                f.write_str("remote:")?;
                write_pattern(f, pattern)
            }
            Self::Has(pattern) => {
                f.write_str("has:")?;
                write_pattern(f, pattern)
            }
            Self::Kind(kind) => write!(f, "kind:{}", kind.word()),
            Self::Status(status) => write!(f, "status:{}", status.word()),
            Self::Duration(comparison, duration) => {
                write!(f, "duration{}", comparison.sign())?;
                write_duration(f, *duration)
            }
            Self::Start(comparison, start) => {
                write!(f, "start{}", comparison.sign())?;
                write_time(f, *start)
            }
            Self::Tag { key, comparison, value } => {
                write_key(f, key)?;
                f.write_str(comparison.sign())?;
                write_pattern(f, value.pattern())
            }
            Self::Text(pattern) => match pattern.exact() {
                Some(text) => write_quoted(f, text),
                None => write_pattern(f, pattern),
            },
        }
    }
}

impl SpanStatus {
    /// Its word in a query.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Ok => "ok",
            Self::Unset => "unset",
        }
    }
}

fn write_list(
    f: &mut Formatter<'_>,
    filters: &[SpanFilter],
    between: &str,
    write: fn(&mut Formatter<'_>, &SpanFilter) -> fmt::Result,
) -> fmt::Result {
    for (at, filter) in filters.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        write(f, filter)?;
    }
    Ok(())
}

fn write_member(f: &mut Formatter<'_>, filter: &SpanFilter) -> fmt::Result {
    match filter {
        SpanFilter::And(_) | SpanFilter::Or(_) => write!(f, "({filter})"),
        filter => filter.fmt(f),
    }
}
