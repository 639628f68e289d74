//! What the attribute `trace` writes into a function calls this. No API of its own.

use std::fmt::Display;
use std::future::Future;

use crate::current::{EnteredSpan, top};
use crate::in_span::{InSpan, WithSpan};
use crate::span::Span;

/// A child of the current span, if there is one. What is said about it is asked for only where it is recorded.
pub fn begin(name: &str, describe: impl FnOnce(&mut Span)) -> Option<Span> {
    let mut span = top(|current| current.new_child(name))?;
    if span.is_recorded() {
        describe(&mut span);
    }
    Some(span)
}

/// The future, under the span if there is one.
pub fn in_span<F: Future>(span: Option<Span>, future: F) -> InSpan<F> {
    InSpan::new(future, span)
}

/// The future, under the span if there is one, which comes back.
pub fn with_span<F: Future>(span: Option<Span>, future: F) -> WithSpan<F> {
    WithSpan::new(future, span)
}

/// Ends the span of a function that returned this.
pub fn end<T, E: Display>(mut span: Span, result: &Result<T, E>) {
    if let (true, Err(error)) = (span.is_recorded(), result) {
        span.error_message(&error.to_string());
    }
}

/// Ends the span of a function that returned this.
pub fn end_entered<T, E: Display>(entered: Option<EnteredSpan>, result: &Result<T, E>) {
    if let Some(entered) = entered {
        end(entered.exit(), result);
    }
}

/// Runs a body that `?` and `return` are to end alone. A closure given here may let go of what it caught.
pub fn once<T>(body: impl FnOnce() -> T) -> T {
    body()
}

/// Says a type where no value is needed.
pub fn never<T>() -> T {
    unreachable!("stands behind `if false`")
}
