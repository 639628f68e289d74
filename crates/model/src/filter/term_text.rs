//! The characters of a query: which stand bare, which need a quote or a backslash. Reader and writer agree on it here.

use super::Pattern;
use std::fmt::{self, Write};

/// Ends a bare word wherever it stands.
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '"')
}

/// What `\` and this letter stand for.
pub(super) fn escaped(c: char) -> Option<char> {
    Some(match c {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        c if c.is_alphanumeric() => return None,
        c => c,
    })
}

/// A text in quotes.
pub(super) fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c => write_control_or(f, c, |f| f.write_char(c))?,
        }
    }
    f.write_char('"')
}

/// A value: bare where that is safe, with its open parts bare always.
pub(super) fn write_pattern(f: &mut fmt::Formatter<'_>, pattern: &Pattern) -> fmt::Result {
    if let Some(text) = pattern.exact() {
        return if text.is_empty() || !text.chars().all(is_safe_in_value) || text.starts_with([':', '=']) {
            write_quoted(f, text)
        } else {
            f.write_str(text)
        };
    }
    for (at, piece) in pattern.pieces().enumerate() {
        if at > 0 {
            f.write_char('*')?;
        }
        for c in piece.chars() {
            match c {
                c if c.is_alphanumeric() || matches!(c, '_' | '.' | '/') => f.write_char(c)?,
                c => write_control_or(f, c, |f| write!(f, "\\{c}"))?,
            }
        }
    }
    Ok(())
}

/// A key: bare where it is safe and no word of the language.
pub(super) fn write_key(f: &mut fmt::Formatter<'_>, key: &str) -> fmt::Result {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '@');
    if key.is_empty() || key.starts_with('-') || !key.chars().all(safe) || super::parse::is_field(key) {
        return write_quoted(f, key);
    }
    f.write_str(key)
}

fn is_safe_in_value(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '_' | '-' | '.' | '/' | '@' | ':' | '+' | '%' | ',' | '#' | '&' | '?' | '=' | '~')
}

fn write_control_or(
    f: &mut fmt::Formatter<'_>,
    c: char,
    otherwise: impl FnOnce(&mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        _ => otherwise(f),
    }
}
