//! Reads a query's text. What is bounded is bounded here: length, depth, number of conditions.

use super::term_text::{ends_word, escaped};
use super::time_text::{parse_duration, parse_time};
use super::{Comparison, Condition, FilterError, FilterProblem, Pattern, SpanFilter, SpanStatus, TagValue};
use crate::Kind;
use std::ops::Range;

/// One of the conditions that a query joins by "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterTerm {
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// What it asks.
    pub filter: SpanFilter,
}

/// Words that are read as a field where `=` or another sign follows: as keys of tags they stand in quotes.
const FIELDS: [&str; 10] = ["service", "name", "remote", "kind", "status", "duration", "start", "and", "or", "not"];
const EQUAL_SIGNS: &[&str] = &[":", "=", "!="];
const ORDER_SIGNS: &[&str] = &[">", ">=", "<", "<=", "=", "!="];

pub(super) fn is_field(key: &str) -> bool {
    FIELDS.iter().any(|field| field.eq_ignore_ascii_case(key))
}

pub(super) fn parse(text: &str) -> Result<SpanFilter, FilterError> {
    Ok(SpanFilter::and(parse_terms(text)?.into_iter().map(|term| term.filter)))
}

pub(super) fn parse_terms(text: &str) -> Result<Vec<FilterTerm>, FilterError> {
    if text.len() > SpanFilter::TEXT_BYTES_MAX {
        let at = text.floor_char_boundary(SpanFilter::TEXT_BYTES_MAX);
        return Err(FilterError { bytes: at..text.len(), problem: FilterProblem::TooLong });
    }
    let mut reader = Reader { text, at: 0, conditions: 0 };
    reader.skip_space();
    if reader.rest().is_empty() {
        return Ok(vec![]);
    }
    let terms = reader.any_of(0)?;
    match reader.peek() {
        None => Ok(terms),
        // What ends a list is the end, or this.
        Some(_) => Err(wrong(reader.at..reader.at + 1, FilterProblem::ClosesNothing)),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    conditions: usize,
}

/// A word of the text.
struct Word {
    bytes: Range<usize>,
    pattern: Pattern,
    quoted: bool,
}

/// Makes a condition of a field's value.
type MakeCondition = fn(Word) -> Result<Condition, FilterError>;

/// What stands between a key and its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Colon,
    Compare(Comparison),
}

impl Reader<'_> {
    /// Terms joined by "or"; if there is none, the members of the only list.
    fn any_of(&mut self, depth: usize) -> Result<Vec<FilterTerm>, FilterError> {
        let start = self.at;
        let first = self.all_of(depth)?;
        if self.keyword("or").is_none() {
            return Ok(first);
        }
        let together = |terms: Vec<FilterTerm>| SpanFilter::and(terms.into_iter().map(|term| term.filter));
        let mut lists = vec![together(first)];
        while self.takes_keyword("or") {
            lists.push(together(self.all_of(depth)?));
        }
        let end = start + self.text[start..self.at].trim_end().len();
        Ok(vec![FilterTerm { bytes: start..end, filter: SpanFilter::or(lists) }])
    }

    /// Terms joined by "and" or by nothing; at least one.
    fn all_of(&mut self, depth: usize) -> Result<Vec<FilterTerm>, FilterError> {
        let mut terms = vec![];
        loop {
            let start = self.at;
            let filter = self.unary(depth)?;
            terms.push(FilterTerm { bytes: start..self.at, filter });
            self.skip_space();
            let ends = matches!(self.peek(), None | Some(')')) || self.keyword("or").is_some();
            if !self.takes_keyword("and") && ends {
                return Ok(terms);
            }
        }
    }

    fn unary(&mut self, depth: usize) -> Result<SpanFilter, FilterError> {
        let mut negates = false;
        while self.takes_minus() || self.takes_keyword("not") {
            negates = !negates;
        }
        let filter = if self.peek() == Some('(') { self.parenthesis(depth)? } else { self.term()? };
        Ok(if negates { filter.negated() } else { filter })
    }

    fn parenthesis(&mut self, depth: usize) -> Result<SpanFilter, FilterError> {
        let start = self.at;
        if depth == SpanFilter::DEPTH_MAX {
            return Err(wrong(start..start + 1, FilterProblem::TooDeep));
        }
        self.at += 1;
        self.skip_space();
        let terms = self.any_of(depth + 1)?;
        if self.peek() != Some(')') {
            return Err(wrong(start..start + 1, FilterProblem::NotClosed));
        }
        self.at += 1;
        Ok(SpanFilter::and(terms.into_iter().map(|term| term.filter)))
    }

    fn term(&mut self) -> Result<SpanFilter, FilterError> {
        let keyword = self.keyword("or").or_else(|| self.keyword("and"));
        if keyword.is_some() || matches!(self.peek(), None | Some(')')) {
            return Err(wrong(self.at..self.at, FilterProblem::ConditionMissing));
        }
        let start = self.at;
        let key = self.word(true)?;
        if key.bytes.is_empty() {
            return Err(wrong(start..start, FilterProblem::ConditionMissing));
        }
        self.conditions += 1;
        if self.conditions > SpanFilter::CONDITIONS_MAX {
            return Err(wrong(key.bytes, FilterProblem::TooManyConditions));
        }
        let Some((sign, sign_bytes)) = self.sign() else {
            return Ok(Condition::Text(key.pattern.trimmed()).into());
        };
        let name = key.pattern.exact().filter(|_| !key.quoted).map(str::to_ascii_lowercase).unwrap_or_default();
        let is_field = is_field(&name) && (name != "and" && name != "or" && name != "not");
        match sign {
            Sign::Colon => self.field(&name, &key, None, sign_bytes),
            Sign::Compare(comparison) if is_field => self.field(&name, &key, Some(comparison), sign_bytes),
            Sign::Compare(comparison) => self.tag(&key, comparison),
        }
    }

    fn tag(&mut self, key: &Word, comparison: Comparison) -> Result<SpanFilter, FilterError> {
        let Some(name) = key.pattern.exact() else {
            return Err(wrong(key.bytes.clone(), FilterProblem::OpenKey));
        };
        let value = self.value()?;
        if comparison.is_order() && value.pattern.exact().is_none() {
            return Err(wrong(value.bytes, FilterProblem::OpenOrder));
        }
        let (key, value) = (name.to_owned(), TagValue::new(value.pattern));
        Ok(Condition::Tag { key, comparison, value }.into())
    }

    /// A condition on a field. Without a comparison a colon stood there.
    fn field(
        &mut self,
        name: &str,
        key: &Word,
        comparison: Option<Comparison>,
        sign_bytes: Range<usize>,
    ) -> Result<SpanFilter, FilterError> {
        let wrong_sign = |field, expected| Err(wrong(sign_bytes, FilterProblem::WrongSign { field, expected }));
        let (field, make): (_, MakeCondition) = match (name, comparison) {
            ("service", _) => ("service", |value| Ok(Condition::Service(value.pattern))),
            ("name", _) | ("span" | "operation", None) => ("name", |value| Ok(Condition::Name(value.pattern))),
            ("remote", _) => ("remote", |value| Ok(Condition::RemoteService(value.pattern))),
            ("has", None) => ("has", |value| Ok(Condition::Has(value.pattern))),
            ("kind", _) => ("kind", |value| kind(&value).map(Condition::Kind)),
            ("status", _) => ("status", |value| status(&value).map(Condition::Status)),
            ("duration", Some(comparison)) => {
                let value = self.value()?;
                let duration = value.pattern.exact().and_then(parse_duration);
                let duration = duration.ok_or_else(|| wrong(value.bytes, FilterProblem::NoDuration))?;
                return Ok(Condition::Duration(comparison, duration).into());
            }
            ("start", Some(comparison)) => {
                let value = self.value()?;
                let start = value.pattern.exact().and_then(parse_time);
                let start = start.ok_or_else(|| wrong(value.bytes, FilterProblem::NoTime))?;
                return Ok(Condition::Start(comparison, start).into());
            }
            ("duration", None) => return wrong_sign("duration", ORDER_SIGNS),
            ("start", None) => return wrong_sign("start", ORDER_SIGNS),
            _ => return Err(wrong(key.bytes.clone(), FilterProblem::UnknownField)),
        };
        if comparison.is_some_and(Comparison::is_order) {
            return wrong_sign(field, EQUAL_SIGNS);
        }
        let condition = SpanFilter::from(make(self.value()?)?);
        Ok(if comparison == Some(Comparison::NotEqual) { condition.negated() } else { condition })
    }

    fn value(&mut self) -> Result<Word, FilterError> {
        self.skip_space();
        let word = self.word(false)?;
        if word.bytes.is_empty() { Err(wrong(self.at..self.at, FilterProblem::ValueMissing)) } else { Ok(word) }
    }

    /// A word in quotes, or a bare one, which may be none. A bare key ends at a sign.
    fn word(&mut self, is_key: bool) -> Result<Word, FilterError> {
        let start = self.at;
        if self.peek() == Some('"') {
            self.at += 1;
            let text = self.quoted(start)?;
            return Ok(Word { bytes: start..self.at, pattern: Pattern::literal(text), quoted: true });
        }
        let mut pieces = vec![String::new()];
        while let Some(c) = self.peek() {
            if ends_word(c) || is_key && (c == ':' || self.comparison_here().is_some()) {
                break;
            }
            let last = pieces.len() - 1;
            self.at += c.len_utf8();
            match c {
                '*' => pieces.push(String::new()),
                '\\' => pieces[last].push(self.escape()?),
                c => pieces[last].push(c),
            }
        }
        Ok(Word { bytes: start..self.at, pattern: Pattern::from_pieces(pieces), quoted: false })
    }

    /// What is left of a text in quotes that began at `start`, and its closing quote.
    fn quoted(&mut self, start: usize) -> Result<String, FilterError> {
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(wrong(start..self.text.len(), FilterProblem::QuoteNotClosed));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c => text.push(c),
            }
        }
    }

    /// What a backslash, already read, and the next character stand for.
    fn escape(&mut self) -> Result<char, FilterError> {
        let start = self.at - 1;
        let next = self.peek();
        self.at += next.map_or(0, char::len_utf8);
        next.and_then(escaped).ok_or_else(|| wrong(start..self.at, FilterProblem::UnknownEscape))
    }

    /// A colon stands right behind its field; a comparison may stand apart.
    fn sign(&mut self) -> Option<(Sign, Range<usize>)> {
        if self.peek() == Some(':') {
            self.at += 1;
            return Some((Sign::Colon, self.at - 1..self.at));
        }
        let before = self.at;
        self.skip_space();
        let Some(comparison) = self.comparison_here() else {
            self.at = before;
            return None;
        };
        let start = self.at;
        self.at += comparison.sign().len();
        Some((Sign::Compare(comparison), start..self.at))
    }

    fn comparison_here(&self) -> Option<Comparison> {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        // The longer ones first.
        let all = [GreaterOrEqual, LessOrEqual, NotEqual, Equal, Less, Greater];
        all.into_iter().find(|comparison| self.rest().starts_with(comparison.sign()))
    }

    /// Where a word of the language ends that begins here.
    fn keyword(&self, word: &str) -> Option<usize> {
        let found = self.rest().get(..word.len()).filter(|found| found.eq_ignore_ascii_case(word))?;
        let behind = self.rest()[found.len()..].chars().next();
        behind.is_none_or(ends_word).then_some(self.at + found.len())
    }

    fn takes_minus(&mut self) -> bool {
        let minus = self.peek() == Some('-');
        self.at += usize::from(minus);
        minus
    }

    fn takes_keyword(&mut self, word: &str) -> bool {
        let Some(end) = self.keyword(word) else { return false };
        self.at = end;
        self.skip_space();
        true
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }
}

fn kind(value: &Word) -> Result<Kind, FilterError> {
    let word = value.pattern.exact().unwrap_or_default();
    let mut all = (0..).map_while(Kind::from_u8);
    let found = all.find(|kind| kind.word().eq_ignore_ascii_case(word));
    found.ok_or_else(|| wrong(value.bytes.clone(), FilterProblem::UnknownKind))
}

fn status(value: &Word) -> Result<SpanStatus, FilterError> {
    let word = value.pattern.exact().unwrap_or_default();
    let mut all = [SpanStatus::Error, SpanStatus::Ok, SpanStatus::Unset].into_iter();
    let found = all.find(|status| status.word().eq_ignore_ascii_case(word));
    found.ok_or_else(|| wrong(value.bytes.clone(), FilterProblem::UnknownStatus))
}

fn wrong(bytes: Range<usize>, problem: FilterProblem) -> FilterError {
    FilterError { bytes, problem }
}
