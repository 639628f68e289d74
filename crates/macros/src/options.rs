//! What stands in the attribute's brackets: `name = "…", kind = Client, err, tags(user, "http.path" = path)`.

use proc_macro::{Delimiter, Span, TokenStream, TokenTree};

use crate::problem::Problem;

const KINDS: [&str; 5] = ["Internal", "Client", "Server", "Producer", "Consumer"];

#[derive(Default)]
pub(crate) struct Options {
    /// An expression, if not the function's own name.
    pub(crate) name: Option<TokenStream>,
    /// A variant of `Kind`.
    pub(crate) kind: Option<&'static str>,
    /// Whether an `Err` is recorded.
    pub(crate) err: bool,
    pub(crate) tags: Vec<Tag>,
}

pub(crate) struct Tag {
    /// A text's literal, with its quotes.
    pub(crate) key: String,
    pub(crate) value: TokenStream,
}

impl Options {
    pub(crate) fn read(tokens: TokenStream) -> Result<Self, Problem> {
        let mut options = Self::default();
        for part in split_at_commas(tokens) {
            options.read_one(&part)?;
        }
        Ok(options)
    }

    fn read_one(&mut self, part: &[TokenTree]) -> Result<(), Problem> {
        let at = part.first().map_or_else(Span::call_site, TokenTree::span);
        let option = part.first().map(ToString::to_string).unwrap_or_default();
        match (option.as_str(), &part[1..]) {
            ("err", []) => self.err = true,
            ("name", [equals, value @ ..]) if is_equals(equals) && !value.is_empty() => {
                self.name = Some(value.iter().cloned().collect());
            }
            ("kind", [equals, value]) if is_equals(equals) => self.kind = Some(read_kind(value)?),
            ("tags", [TokenTree::Group(tags)]) if tags.delimiter() == Delimiter::Parenthesis => {
                self.tags = split_at_commas(tags.stream()).iter().map(|tag| read_tag(tag)).collect::<Result<_, _>>()?;
            }
            _ => {
                return Err(Problem::new(
                    at,
                    "expected name = \"…\", kind = Client, err, or tags(argument, key = value)",
                ));
            }
        }
        Ok(())
    }
}

fn read_kind(value: &TokenTree) -> Result<&'static str, Problem> {
    let text = value.to_string();
    let text = text.trim_matches('"');
    let unknown = || Problem::new(value.span(), format!("expected one of {}", KINDS.join(", ")));
    KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(text)).ok_or_else(unknown)
}

/// `argument`, `key = value` or `"key" = value`.
fn read_tag(tag: &[TokenTree]) -> Result<Tag, Problem> {
    match tag {
        [TokenTree::Ident(name)] => {
            let key = name.to_string();
            Ok(Tag { key: format!("{:?}", key.trim_start_matches("r#")), value: TokenTree::from(name.clone()).into() })
        }
        [TokenTree::Literal(key), equals, value @ ..]
            if is_equals(equals) && key.to_string().starts_with('"') && !value.is_empty() =>
        {
            Ok(Tag { key: key.to_string(), value: value.iter().cloned().collect() })
        }
        [TokenTree::Ident(key), equals, value @ ..] if is_equals(equals) && !value.is_empty() => {
            let key = key.to_string();
            Ok(Tag { key: format!("{:?}", key.trim_start_matches("r#")), value: value.iter().cloned().collect() })
        }
        _ => {
            let at = tag.first().map_or_else(Span::call_site, TokenTree::span);
            Err(Problem::new(at, "expected argument, key = value or \"key\" = value"))
        }
    }
}

fn is_equals(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == '=')
}

/// Parts without their commas; a comma may stand at the end. Commas between `<` and `>` do not come up in what is meant
/// to stand here.
fn split_at_commas(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut parts = vec![Vec::new()];
    for token in tokens {
        match (&token, parts.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => parts.push(Vec::new()),
            (_, Some(part)) => part.push(token),
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}
