//! Rust source with its comments and texts blanked, so that rules look at code only. Lines and columns stay where they are.

/// `source` with a space for every character of a comment, and of a text or character between its quotes.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let (length, blank_from) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), 0),
            '/' if rest.starts_with("/*") => (block_comment(rest), 0),
            '"' => (quoted(rest), 1),
            'r' if !code.ends_with(is_word) && is_raw_text(rest) => (raw_text(rest), 1),
            '\'' => (character(rest), 1),
            _ => (first.len_utf8(), usize::MAX),
        };
        for (at, c) in rest[..length].char_indices() {
            code.push(if c == '\n' || at < blank_from || blank_from == usize::MAX { c } else { ' ' });
        }
        rest = &rest[length..];
    }
    code
}

/// The line, counted from 0, where the tests at the end of a file begin.
pub(crate) fn tests_begin(code: &str) -> Option<usize> {
    let lines: Vec<&str> = code.lines().collect();
    (0..lines.len()).find(|&at| {
        let next = lines[at + 1..].iter().find(|line| !line.trim_start().starts_with("#["));
        lines[at] == "#[cfg(test)]" && next.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = &rest.as_bytes()[at..];
        if step.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if step.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_raw_text(rest: &str) -> bool {
    rest[1..].trim_start_matches('#').starts_with('"')
}

fn raw_text(rest: &str) -> usize {
    let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = 2 + hashes;
    rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
}

/// A character in quotes, or the quote of a lifetime alone.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    match inside.next() {
        Some('\\') => rest[3..].find('\'').map_or(rest.len(), |at| 3 + at + 1),
        Some(c) if inside.next() == Some('\'') => 1 + c.len_utf8() + 1,
        _ => 1,
    }
}

#[test]
fn texts_and_comments_are_blanked_and_nothing_else() {
    let blanked = |source: &str| code_only(source).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(blanked("a(); // b()\nc()"), "a(); c()");
    assert_eq!(blanked("a(/* b /* c */ d */);"), "a( );");
    assert_eq!(blanked(r#"a("b \" c"); d"#), r#"a(" ); d"#);
    assert_eq!(blanked(r###"a(r#"b " c"#); d"###), "a(r ); d");
    assert_eq!(blanked(r"f::<'a>('\'', 'b', '\\'); g"), "f::<'a>(' , ' , ' ); g");
    assert_eq!(code_only("a // ü\nb").lines().count(), 2);
}

#[test]
fn tests_begin_where_their_module_does() {
    assert_eq!(tests_begin("a\n#[cfg(test)]\nmod tests {\n}"), Some(1));
    assert_eq!(tests_begin("a\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n}"), Some(1));
    assert_eq!(tests_begin("#[cfg(test)]\nmod tests;\nmod after {\n}"), None);
}
