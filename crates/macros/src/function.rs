//! A function as far as the attribute needs to know it: its name, whether it is async, what it returns, its body.

use proc_macro::{Delimiter, Group, Span, TokenStream, TokenTree};

use crate::problem::Problem;

pub(crate) struct Function {
    /// All before the body, as it was.
    pub(crate) head: Vec<TokenTree>,
    pub(crate) name: String,
    pub(crate) is_async: bool,
    /// The type, where there is one.
    pub(crate) returns: Option<TokenStream>,
    pub(crate) body: Group,
}

impl Function {
    pub(crate) fn read(item: TokenStream) -> Result<Self, Problem> {
        let mut head: Vec<TokenTree> = item.into_iter().collect();
        let no_function = |at| Problem::new(at, "#[trace] is for functions that have a body");
        let body = match head.pop() {
            Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => body,
            other => return Err(no_function(other.map_or_else(Span::call_site, |token| token.span()))),
        };
        let word =
            |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident.to_string() == word);
        let Some(at_fn) = head.iter().position(|token| word(token, "fn")) else {
            return Err(no_function(head.first().map_or_else(Span::call_site, TokenTree::span)));
        };
        if let Some(token) = head[..at_fn].iter().find(|token| word(token, "const")) {
            return Err(Problem::new(
                token.span(),
                "#[trace] is not for const fn: there is nothing to trace at compile time",
            ));
        }
        let is_async = head[..at_fn].iter().any(|token| word(token, "async"));
        let name = head.get(at_fn + 1).map(ToString::to_string).unwrap_or_default();
        let behind_parameters = skip_generics(&head, at_fn + 2) + 1;
        let returns = head.get(behind_parameters..).and_then(|rest| match rest {
            [minus, greater, returns @ ..] if is_punct(minus, '-') && is_punct(greater, '>') => {
                Some(returns.iter().take_while(|token| !word(token, "where")).cloned().collect())
            }
            _ => None,
        });
        Ok(Self { head, name: name.trim_start_matches("r#").to_owned(), is_async, returns, body })
    }

    /// The type, where it can be written elsewhere: not `impl Trait`, not `!`.
    pub(crate) fn returns_nameable(&self) -> Option<&TokenStream> {
        self.returns.as_ref().filter(|returns| !names_impl(returns) && returns.to_string() != "!")
    }

    /// Where the body ends in `Box::pin(async …)`, as `#[async_trait]` makes it: what is before the brackets, and what
    /// is in them.
    pub(crate) fn boxed_future(&self) -> Option<(TokenStream, TokenStream)> {
        let mut tokens: Vec<TokenTree> = self.body.stream().into_iter().collect();
        let Some(TokenTree::Group(inner)) = tokens.pop() else { return None };
        let is_pin = matches!(tokens.last(), Some(TokenTree::Ident(ident)) if ident.to_string() == "pin");
        let is_async =
            matches!(inner.stream().into_iter().next(), Some(TokenTree::Ident(ident)) if ident.to_string() == "async");
        let is_call = inner.delimiter() == Delimiter::Parenthesis;
        (is_pin && is_async && is_call && !self.is_async).then(|| (tokens.into_iter().collect(), inner.stream()))
    }
}

/// The place behind `<…>`, if there is any. A `>` of an arrow closes nothing.
fn skip_generics(head: &[TokenTree], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while let Some(token) = head.get(at) {
        let is_arrow = at > 0 && head.get(at - 1).is_some_and(|before| is_punct(before, '-'));
        if is_punct(token, '<') {
            depth += 1;
        } else if is_punct(token, '>') && !is_arrow {
            depth -= 1;
        }
        if depth == 0 {
            return if at == from && !is_punct(token, '>') && !is_punct(token, '<') { at } else { at + 1 };
        }
        at += 1;
    }
    at
}

fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

fn names_impl(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident.to_string() == "impl",
        TokenTree::Group(group) => names_impl(&group.stream()),
        _ => false,
    })
}
