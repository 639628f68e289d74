//! The function again, with a span around its body.
//!
//! What is generated is written as text with words in capitals, which stand for the user's own tokens: these keep their
//! places, so that errors in a body are shown where they are.

use std::fmt::Write;

use proc_macro::{Delimiter, Group, Literal, TokenStream, TokenTree};

use crate::function::Function;
use crate::options::Options;

const BEGIN: &str = "let __tracewell_span = ::tracewell::__private::begin(NAME, |__tracewell_span| { DESCRIBE });";
/// So that `?` in an async block knows what it is to return.
const HINT: &str = "if false { return ::tracewell::__private::never::<RETURNS>(); }";

pub(crate) fn expand(options: &Options, function: Function) -> TokenStream {
    let boxed = function.boxed_future();
    let returns = function.returns_nameable().cloned();
    let hint = if returns.is_some() { HINT } else { "" };
    let text = match (function.is_async, options.err, &boxed) {
        (true, false, _) => {
            format!("{BEGIN} ::tracewell::__private::in_span(__tracewell_span, async move {{ {hint} BODY }}).await")
        }
        (true, true, _) => format!(
            "{BEGIN} let (__tracewell_result, __tracewell_span) =
                ::tracewell::__private::with_span(__tracewell_span, async move {{ {hint} BODY }}).await;
            ::tracewell::__private::end(__tracewell_span, &__tracewell_result);
            __tracewell_result"
        ),
        (false, false, Some(_)) => {
            format!("{BEGIN} BEFORE (::tracewell::__private::in_span(__tracewell_span, FUTURE))")
        }
        (false, true, Some(_)) => format!(
            "{BEGIN} BEFORE (async move {{
                let (__tracewell_result, __tracewell_span) =
                    ::tracewell::__private::with_span(__tracewell_span, FUTURE).await;
                ::tracewell::__private::end(__tracewell_span, &__tracewell_result);
                __tracewell_result
            }})"
        ),
        (false, false, None) => {
            format!("{BEGIN} let __tracewell_entered = __tracewell_span.map(::tracewell::Span::entered); BODY")
        }
        (false, true, None) => {
            let arrow = if returns.is_some() { "-> RETURNS" } else { "" };
            format!(
                "{BEGIN} let __tracewell_entered = __tracewell_span.map(::tracewell::Span::entered);
                let __tracewell_result = ::tracewell::__private::once(move || {arrow} {{ BODY }});
                ::tracewell::__private::end_entered(__tracewell_entered, &__tracewell_result);
                __tracewell_result"
            )
        }
    };
    let (before, future) = boxed.unwrap_or_default();
    let name = || TokenTree::from(Literal::string(&function.name)).into();
    let words = [
        ("NAME", options.name.clone().unwrap_or_else(name)),
        ("DESCRIBE", describe(options)),
        ("RETURNS", returns.unwrap_or_default()),
        ("BEFORE", before),
        ("FUTURE", future),
        ("BODY", function.body.stream()),
    ];
    let mut body = Group::new(Delimiter::Brace, fill(parse(&text), &words));
    body.set_span(function.body.span());
    function.head.into_iter().chain([body.into()]).collect()
}

/// What is said about a span that is recorded.
fn describe(options: &Options) -> TokenStream {
    let mut text = String::new();
    if let Some(kind) = options.kind {
        // Writing to a text cannot fail.
        write!(text, "__tracewell_span.kind(::tracewell::Kind::{kind});").ok();
    }
    let mut tokens = parse(&text);
    for tag in &options.tags {
        let tag_text = format!("__tracewell_span.tag({}, VALUE);", tag.key);
        tokens.extend(fill(parse(&tag_text), &[("VALUE", tag.value.clone())]));
    }
    tokens
}

/// Text of this file: it is Rust.
fn parse(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}

/// Tokens in place of words.
fn fill(tokens: TokenStream, words: &[(&str, TokenStream)]) -> TokenStream {
    let mut filled = TokenStream::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => match words.iter().find(|(word, _)| ident.to_string() == *word) {
                Some((_, tokens)) => filled.extend(tokens.clone()),
                None => filled.extend([TokenTree::from(ident)]),
            },
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), fill(group.stream(), words));
                inner.set_span(group.span());
                filled.extend([TokenTree::from(inner)]);
            }
            other => filled.extend([other]),
        }
    }
    filled
}
