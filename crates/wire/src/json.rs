//! Reads JSON token by token from the text of a body, without building anything: what to keep is the caller's affair.
//!
//! It takes and refuses exactly what Zipkin's reader does (gson's `JsonReader` in its default mode): white space of four kinds,
//! no comments, no trailing commas, keywords in any case, control characters inside strings, numbers where texts are asked
//! for and texts where numbers are. Two things follow that reader more closely than a JSON reader would by itself, because
//! they show in the text of an error: a token is looked at before it is taken, and a path's indices and names are kept as
//! that reader keeps them. Line and column are counted only when an error is made.

use crate::Limits;
use crate::java_number::{NotANumber, parse_double, parse_long, whole_long};
use crate::json_scan::{Number, ends_literal, find_quote_or_backslash, unescape};
use std::fmt;

/// Where in a body an error was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in UTF-16 code units.
    pub column: usize,
    /// JSONPath: `$[0].tags.a`.
    pub path: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at line {} column {} path {}", self.line, self.column, self.path)
    }
}

/// Why a text is not the JSON that was asked for. Prints as Zipkin's reader does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is no JSON.
    #[error("malformed JSON {1}: {0}")]
    Malformed(&'static str, Place),
    /// The text ends where more is needed.
    #[error("End of input {0}")]
    EndOfInput(Place),
    /// Another kind of value stands there.
    #[error("Expected {expected} but was {found} {place}\nSee https://github.com/google/gson/blob/main/Troubleshooting.md#{}", advice(.found))]
    #[expect(missing_docs, reason = "the text says it")]
    Unexpected { expected: &'static str, found: &'static str, place: Place },
    /// A number has a fraction or is too large.
    #[error("Expected {expected} but was {text} {place}")]
    #[expect(missing_docs, reason = "the text says it")]
    NotWhole { expected: &'static str, text: String, place: Place },
    /// A text where a number is asked for is none.
    #[error(transparent)]
    NotANumber(NotANumber),
    /// Lists and objects stand too deep inside one another.
    #[error("Nesting limit {depth_max} reached {place}")]
    #[expect(missing_docs, reason = "the text says it")]
    TooDeep { depth_max: usize, place: Place },
    /// A text is longer than the limit.
    #[error("a text of {bytes} bytes is longer than {bytes_max} bytes {place}")]
    #[expect(missing_docs, reason = "the text says it")]
    TextTooLong { bytes: usize, bytes_max: usize, place: Place },
}

/// The section of gson's manual that its errors name.
fn advice(found: &str) -> &'static str {
    if found == "NULL" { "adapter-not-null-safe" } else { "unexpected-json-structure" }
}

/// Numbers of this many characters and more are not read, as by Zipkin.
const NUMBER_BYTES_MAX: usize = 1024;

/// What comes next. A token that has been looked at is taken by the matching method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// Nothing has been looked at yet.
    None,
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    Name,
    String,
    /// A whole number that fits; the position is behind it already.
    Long,
    /// Any other number; the position is before it.
    Number,
    True,
    False,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    EmptyDocument,
    Document,
    EmptyArray,
    Array,
    EmptyObject,
    Object,
    /// Behind a name, before its colon.
    Name,
}

/// One level of nesting. Levels are reused without being reset, as in the reader this one follows.
#[derive(Debug, Clone, Copy)]
struct Level {
    scope: Scope,
    index: u32,
    /// The last name: where it lies in the text, without quotes.
    name: Option<(usize, usize)>,
}

/// What reading an object leaves in the levels: how many values were taken at its own, at the one inside, and inside that,
/// where there were such.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadObject {
    pub(crate) values: Count,
    pub(crate) inner_values: Option<Count>,
    pub(crate) innermost_values: Option<Count>,
}

/// Values taken at a level: those since a list began there, or all that come to those there are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) values: u32,
    pub(crate) from_zero: bool,
}

impl Count {
    pub(crate) fn add(&mut self, values: u32) {
        self.values += values;
    }
}

type Result<T> = std::result::Result<T, Box<JsonError>>;

/// The reader. Its position is on a character's border, but in errors about a character that does not belong there.
pub(crate) struct Reader<'a> {
    text: &'a str,
    pos: usize,
    peeked: Token,
    long: i64,
    number_start: usize,
    number_end: usize,
    scratch: String,
    levels: Vec<Level>,
    /// How many of the levels are open, the document included.
    depth: usize,
    depth_max: usize,
    string_bytes_max: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, limits: &Limits) -> Self {
        let mut levels = Vec::with_capacity(8);
        levels.push(Level { scope: Scope::EmptyDocument, index: 0, name: None });
        Self {
            text,
            pos: 0,
            peeked: Token::None,
            long: 0,
            number_start: 0,
            number_end: 0,
            scratch: String::new(),
            levels,
            depth: 1,
            depth_max: limits.depth_max,
            string_bytes_max: limits.string_bytes_max,
        }
    }

    /// Looks at the next token.
    #[inline]
    pub(crate) fn peek(&mut self) -> Result<Token> {
        if self.peeked == Token::None {
            self.peeked = self.look()?;
        }
        Ok(self.peeked)
    }

    pub(crate) fn begin_array(&mut self) -> Result<()> {
        match self.peek()? {
            Token::BeginArray => {
                self.push(Scope::EmptyArray)?;
                self.levels[self.depth - 1].index = 0;
                self.peeked = Token::None;
                Ok(())
            }
            _ => Err(self.unexpected("BEGIN_ARRAY")),
        }
    }

    pub(crate) fn end_array(&mut self) -> Result<()> {
        match self.peek()? {
            Token::EndArray => {
                self.depth -= 1;
                self.taken();
                Ok(())
            }
            _ => Err(self.unexpected("END_ARRAY")),
        }
    }

    pub(crate) fn begin_object(&mut self) -> Result<()> {
        match self.peek()? {
            Token::BeginObject => {
                self.push(Scope::EmptyObject)?;
                self.peeked = Token::None;
                Ok(())
            }
            _ => Err(self.unexpected("BEGIN_OBJECT")),
        }
    }

    pub(crate) fn end_object(&mut self) -> Result<()> {
        match self.peek()? {
            Token::EndObject => {
                self.depth -= 1;
                self.levels[self.depth].name = None;
                self.taken();
                Ok(())
            }
            _ => Err(self.unexpected("END_OBJECT")),
        }
    }

    /// Whether the list or object that is open has another element.
    #[inline]
    pub(crate) fn has_next(&mut self) -> Result<bool> {
        Ok(!matches!(self.peek()?, Token::EndObject | Token::EndArray))
    }

    /// Takes the next field's name.
    #[inline]
    pub(crate) fn next_name(&mut self) -> Result<&str> {
        if self.peek()? != Token::Name {
            return Err(self.unexpected("a name"));
        }
        let start = self.pos;
        let escaped = self.quoted()?;
        self.peeked = Token::None;
        self.levels[self.depth - 1].name = Some((start, self.pos - 1));
        Ok(if escaped { &self.scratch } else { &self.text[start..self.pos - 1] })
    }

    /// Takes a text, or a number as it is written.
    #[inline]
    pub(crate) fn next_string(&mut self) -> Result<&str> {
        match self.peek()? {
            Token::String => {
                let start = self.pos;
                let escaped = self.quoted()?;
                self.taken();
                Ok(if escaped { &self.scratch } else { &self.text[start..self.pos - 1] })
            }
            Token::Long | Token::Number => {
                self.pos = self.number_end;
                self.taken();
                Ok(&self.text[self.number_start..self.number_end])
            }
            _ => Err(self.unexpected("a string")),
        }
    }

    /// Takes a whole number, or a text that is one.
    pub(crate) fn next_long(&mut self) -> Result<i64> {
        self.whole_number("a long", Some)
    }

    /// Takes a whole number of 32 bits, or a text that is one.
    pub(crate) fn next_int(&mut self) -> Result<i32> {
        self.whole_number("an int", |long| i32::try_from(long).ok())
    }

    /// How far the reader is: behind the last token looked at.
    pub(crate) fn position(&self) -> usize {
        self.pos
    }

    /// What follows the last token looked at.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.pos..]
    }

    /// How many values were taken at the level inside the one that is open.
    pub(crate) fn inner_index(&self) -> u32 {
        self.levels.get(self.depth).map_or(0, |level| level.index)
    }

    /// Takes an object whose beginning was looked at and whose `len` bytes behind that are known to be an object with
    /// `values` values, because it was taken at this level before.
    pub(crate) fn take_known_object(&mut self, len: usize, values: u32) {
        if let Some(level) = self.levels.get_mut(self.depth) {
            level.index += values;
        }
        self.pos += len;
        self.taken();
    }

    /// Takes an object whose beginning was looked at, up to `end`, that someone else read. What that left in the levels
    /// is what this reader would have left there.
    pub(crate) fn take_read_object(&mut self, end: usize, read: &ReadObject) {
        for (inner, count) in
            [Some(read.values), read.inner_values, read.innermost_values].into_iter().flatten().enumerate()
        {
            let at = self.depth + inner;
            if self.levels.len() == at {
                self.levels.push(Level { scope: Scope::EmptyObject, index: 0, name: None });
            }
            let level = &mut self.levels[at];
            level.name = None;
            level.index = if count.from_zero { count.values } else { level.index + count.values };
        }
        self.pos = end;
        self.taken();
    }

    /// Takes `true` or `false`.
    pub(crate) fn next_boolean(&mut self) -> Result<bool> {
        match self.peek()? {
            token @ (Token::True | Token::False) => {
                self.taken();
                Ok(token == Token::True)
            }
            _ => Err(self.unexpected("a boolean")),
        }
    }

    /// Takes whatever comes next, however large and deep, without recursion.
    pub(crate) fn skip_value(&mut self) -> Result<()> {
        let mut open = 0usize;
        loop {
            match self.peek()? {
                Token::BeginArray => {
                    self.push(Scope::EmptyArray)?;
                    open += 1;
                }
                Token::BeginObject => {
                    self.push(Scope::EmptyObject)?;
                    open += 1;
                }
                Token::EndArray | Token::EndObject => {
                    self.depth -= 1;
                    open -= 1;
                }
                Token::Name | Token::String => {
                    self.quoted()?;
                }
                Token::Number => self.pos = self.number_end,
                Token::Long | Token::True | Token::False | Token::Null | Token::None => {}
            }
            self.peeked = Token::None;
            if open == 0 {
                self.levels[self.depth - 1].index += 1;
                return Ok(());
            }
        }
    }

    /// The path of what was taken last.
    pub(crate) fn path(&self) -> String {
        let mut path = String::from("$");
        for level in &self.levels[..self.depth] {
            match level.scope {
                Scope::EmptyDocument | Scope::Document => {}
                Scope::EmptyArray | Scope::Array => path.push_str(&format!("[{}]", level.index)),
                Scope::EmptyObject | Scope::Object | Scope::Name => {
                    path.push('.');
                    if let Some((start, end)) = level.name {
                        push_name(&mut path, &self.text[start..end]);
                    }
                }
            }
        }
        path
    }

    // ---- below the tokens

    /// Finds the next token and moves behind what announces it.
    #[inline]
    fn look(&mut self) -> Result<Token> {
        let top = self.depth - 1;
        let scope = self.levels[top].scope;
        match scope {
            Scope::EmptyArray => self.levels[top].scope = Scope::Array,
            Scope::Array => match self.next_byte()? {
                b']' => return Ok(Token::EndArray),
                b',' => {}
                _ => return Err(self.malformed("unterminated array")),
            },
            Scope::EmptyObject | Scope::Object => {
                self.levels[top].scope = Scope::Name;
                if scope == Scope::Object {
                    match self.next_byte()? {
                        b'}' => return Ok(Token::EndObject),
                        b',' => {}
                        _ => return Err(self.malformed("unterminated object")),
                    }
                }
                return match self.next_byte()? {
                    b'"' => Ok(Token::Name),
                    b'}' if scope == Scope::EmptyObject => Ok(Token::EndObject),
                    _ => Err(self.malformed("expected a name")),
                };
            }
            Scope::Name => {
                self.levels[top].scope = Scope::Object;
                if self.next_byte()? != b':' {
                    return Err(self.malformed("expected ':'"));
                }
            }
            Scope::EmptyDocument => self.levels[top].scope = Scope::Document,
            Scope::Document => return Err(self.malformed("more than one value")),
        }
        match self.next_byte()? {
            b'"' => Ok(Token::String),
            b'{' => Ok(Token::BeginObject),
            b'[' => Ok(Token::BeginArray),
            b']' if scope == Scope::EmptyArray => Ok(Token::EndArray),
            byte => {
                self.pos -= 1;
                match byte {
                    b'-' | b'0'..=b'9' => self.look_number(),
                    b't' | b'T' => self.look_keyword(b"true", Token::True),
                    b'f' | b'F' => self.look_keyword(b"false", Token::False),
                    b'n' | b'N' => self.look_keyword(b"null", Token::Null),
                    _ => Err(self.malformed("expected a value")),
                }
            }
        }
    }

    /// The next byte that is no white space.
    #[inline]
    fn next_byte(&mut self) -> Result<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.pos) {
            self.pos += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
        }
        Err(self.end_of_input())
    }

    fn look_keyword(&mut self, word: &[u8], token: Token) -> Result<Token> {
        let rest = &self.text.as_bytes()[self.pos..];
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if !found || rest.get(word.len()).is_some_and(|&byte| !ends_literal(byte)) {
            return Err(self.malformed("expected a value"));
        }
        self.pos += word.len();
        Ok(token)
    }

    fn look_number(&mut self) -> Result<Token> {
        let rest = &self.text.as_bytes()[self.pos..];
        let Some(number) = Number::scan(rest) else { return Err(self.malformed("expected a number")) };
        let behind = rest.get(number.len).copied();
        if number.len >= NUMBER_BYTES_MAX || behind.is_some_and(|byte| !ends_literal(byte)) {
            return Err(self.malformed("a number goes on"));
        }
        self.number_start = self.pos;
        self.number_end = self.pos + number.len;
        match number.long {
            Some(long) => {
                self.long = long;
                self.pos = self.number_end;
                Ok(Token::Long)
            }
            None => Ok(Token::Number),
        }
    }

    /// Moves from behind a text's opening quote to behind its closing one. `true` where it had escapes and lies decoded in
    /// `scratch`.
    #[inline]
    fn quoted(&mut self) -> Result<bool> {
        let start = self.pos;
        let Some(end) = find_quote_or_backslash(self.text.as_bytes(), start) else {
            return Err(self.malformed("unterminated string"));
        };
        self.pos = end + 1;
        let escaped = self.text.as_bytes()[end] == b'\\';
        if escaped {
            self.unescape(start, end)?;
        }
        let bytes = self.pos - 1 - start;
        if bytes > self.string_bytes_max {
            let (bytes_max, place) = (self.string_bytes_max, self.place());
            return Err(Box::new(JsonError::TextTooLong { bytes, bytes_max, place }));
        }
        Ok(escaped)
    }

    /// Decodes a text whose first escape is at `backslash` into `scratch`.
    #[cold]
    fn unescape(&mut self, start: usize, backslash: usize) -> Result<()> {
        self.scratch.clear();
        match unescape(self.text, start, backslash, &mut self.scratch) {
            Ok(behind) => {
                self.pos = behind;
                Ok(())
            }
            Err(reason) => Err(self.malformed(reason)),
        }
    }

    fn whole_number<T>(&mut self, expected: &'static str, fit: impl Fn(i64) -> Option<T>) -> Result<T> {
        let text = match self.peek()? {
            Token::Long => {
                if let Some(value) = fit(self.long) {
                    self.taken();
                    return Ok(value);
                }
                return Err(self.not_whole(expected, self.long.to_string()));
            }
            Token::Number => {
                let start = self.pos;
                self.pos = self.number_end;
                &self.text[start..self.pos]
            }
            Token::String => {
                let start = self.pos;
                let escaped = self.quoted()?;
                let text = if escaped { &self.scratch } else { &self.text[start..self.pos - 1] };
                if let Some(value) = parse_long(text).and_then(&fit) {
                    self.taken();
                    return Ok(value);
                }
                text
            }
            _ => return Err(self.unexpected(expected)),
        };
        let double = parse_double(text).map_err(|error| Box::new(JsonError::NotANumber(error)))?;
        match fit_double(double, &fit) {
            Some(value) => {
                self.taken();
                Ok(value)
            }
            None => Err(self.not_whole(expected, text.to_owned())),
        }
    }

    #[inline]
    fn taken(&mut self) {
        self.peeked = Token::None;
        self.levels[self.depth - 1].index += 1;
    }

    #[inline]
    fn push(&mut self, scope: Scope) -> Result<()> {
        if self.depth > self.depth_max {
            let (depth_max, place) = (self.depth_max, self.place());
            return Err(Box::new(JsonError::TooDeep { depth_max, place }));
        }
        match self.levels.get_mut(self.depth) {
            Some(level) => level.scope = scope,
            None => self.levels.push(Level { scope, index: 0, name: None }),
        }
        self.depth += 1;
        Ok(())
    }

    // ---- errors

    #[cold]
    fn malformed(&self, reason: &'static str) -> Box<JsonError> {
        Box::new(JsonError::Malformed(reason, self.place()))
    }

    #[cold]
    fn end_of_input(&self) -> Box<JsonError> {
        Box::new(JsonError::EndOfInput(self.place()))
    }

    #[cold]
    fn not_whole(&self, expected: &'static str, text: String) -> Box<JsonError> {
        Box::new(JsonError::NotWhole { expected, text, place: self.place() })
    }

    #[cold]
    fn unexpected(&self, expected: &'static str) -> Box<JsonError> {
        let found = match self.peeked {
            Token::BeginObject => "BEGIN_OBJECT",
            Token::EndObject => "END_OBJECT",
            Token::BeginArray => "BEGIN_ARRAY",
            Token::EndArray => "END_ARRAY",
            Token::Name => "NAME",
            Token::String => "STRING",
            Token::Long | Token::Number => "NUMBER",
            Token::True | Token::False => "BOOLEAN",
            Token::Null => "NULL",
            Token::None => "END_DOCUMENT",
        };
        Box::new(JsonError::Unexpected { expected, found, place: self.place() })
    }

    fn place(&self) -> Place {
        // Behind the first byte of a character that does not belong there.
        let before = &self.text[..self.text.floor_char_boundary(self.pos)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: 1 + memchr::memchr_iter(b'\n', before.as_bytes()).count(),
            column: 1 + before[line_start..].encode_utf16().count(),
            path: self.path(),
        }
    }
}

fn fit_double<T>(double: f64, fit: impl Fn(i64) -> Option<T>) -> Option<T> {
    fit(whole_long(double)?)
}

/// Appends a name that is known to be well-formed, decoded.
fn push_name(path: &mut String, raw: &str) {
    match raw.find('\\') {
        None => path.push_str(raw),
        Some(backslash) => {
            // The closing quote follows the raw text in the body; a copy with one is decoded the same way.
            let quoted = format!("{raw}\"");
            if unescape(&quoted, 0, backslash, path).is_err() {
                path.push_str(raw);
            }
        }
    }
}
