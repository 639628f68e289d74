//! Spans as reporters send them, in one pass over their bytes: known fields, no escapes, numbers as numbers, no null.
//!
//! What is not so plain is not taken, and then read by [`super::decode`]'s reader, which knows every rule: it alone makes
//! errors. What is taken here it takes to the same spans; tests hold one against the other.

use super::decode::{commit, hex_word, parse_kind, parse_parent_id, parse_span_id, parse_trace_id, positive_micros};
use super::endpoint::set_ip_text;
use super::error::DecodeFault;
use super::span_field::SpanField;
use crate::Limits;
use crate::java_text::to_lower_case;
use crate::json::{Count, ReadObject};
use crate::json_scan::{eight_digits, find_quote, find_quote_or_backslash, unescape};
use crate::names::{Slots, same_name};
use crate::seen_keys::SeenKeys;
use tracewell_model::{Endpoint, EndpointId, SpanBatch, SpanFlags, SpanId, SpanRow, StrId, Time, TraceId};

/// Lists and objects inside one another, in a body of plain spans.
const DEPTH: usize = 8;
/// A whole number of so many digits fits.
const DIGITS_MAX: usize = 18;
/// So many spans may be not plain before it is no more tried, beside a quarter of those that are.
const GIVEN_UP_MAX: usize = 8;

/// Reads the plain spans of one body, and remembers what they repeat.
pub(super) struct PlainSpans<'a> {
    text: &'a str,
    limits: &'a Limits,
    scratch: String,
    keys: SeenKeys<'a, ()>,
    seen: Box<Seen<'a>>,
    taken: usize,
    given_up: usize,
    /// The first one behind the last span that was looked at.
    backslash: usize,
}

fn next_backslash(bytes: &[u8], from: usize) -> usize {
    memchr::memchr(b'\\', &bytes[from..]).map_or(usize::MAX, |found| from + found)
}

/// What was read before, by its bytes.
#[derive(Default)]
struct Seen<'a> {
    names: Slots<'a, StrId, 128>,
    endpoints: SeenEndpoints<'a>,
}

/// Endpoints by their bytes, from behind the opening brace to behind the closing one, and how many values they have.
struct SeenEndpoints<'a>([(&'a [u8], EndpointId, u32); 64]);

impl Default for SeenEndpoints<'_> {
    fn default() -> Self {
        Self([(&[], EndpointId(0), 0); 64])
    }
}

impl<'a> SeenEndpoints<'a> {
    /// Where one is or would be kept that begins like this. All begin with `"serviceName":"`, mostly.
    #[inline]
    fn slot(&mut self, rest: &[u8]) -> Option<&mut (&'a [u8], EndpointId, u32)> {
        let name = rest.get(15..)?.first_chunk::<16>()?;
        let mixed = u128::from_le_bytes(*name);
        let mixed = ((mixed >> 64) as u64).rotate_left(29) ^ mixed as u64;
        self.0.get_mut((mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize)
    }
}

impl<'a> PlainSpans<'a> {
    pub(super) fn new(text: &'a str, limits: &'a Limits) -> Self {
        let (backslash, scratch) = (next_backslash(text.as_bytes(), 0), String::new());
        let mut plain = Self {
            text,
            limits,
            scratch,
            keys: SeenKeys::new(),
            seen: Box::default(),
            taken: 0,
            given_up: 0,
            backslash,
        };
        if limits.depth_max < DEPTH {
            plain.give_up();
        }
        plain
    }

    /// Takes no span any more.
    pub(super) fn give_up(&mut self) {
        self.given_up = usize::MAX;
    }

    /// Commits the span that begins behind the opening brace before `at`, if it is plain; answers where it ends. If not, the
    /// batch is as it was.
    #[inline]
    pub(super) fn take(&mut self, at: usize, batch: &mut SpanBatch) -> Option<(usize, ReadObject)> {
        if self.given_up > GIVEN_UP_MAX + self.taken / 4 {
            return None;
        }
        let text_bytes_before = batch.text_bytes();
        self.keys.begin_span();
        let (text, bytes) = (self.text, self.text.as_bytes());
        if self.backslash < at {
            self.backslash = next_backslash(bytes, at);
        }
        let text_bytes_max = self.limits.string_bytes_max;
        let mut cursor = Cursor { text, bytes, at, backslash: self.backslash, text_bytes_max };
        let mut read = ReadObject::default();
        if self.span(&mut cursor, batch, &mut read).is_some() {
            self.taken += 1;
            return Some((cursor.at, read));
        }
        // What was interned the reader will ask for too.
        batch.discard_open_since(text_bytes_before);
        self.keys.forget();
        self.given_up += 1;
        None
    }

    fn span(&mut self, cursor: &mut Cursor<'a>, batch: &mut SpanBatch, read: &mut ReadObject) -> Option<()> {
        let mut row = SpanRow::default();
        let (mut has_trace_id, mut has_id) = (false, false);
        loop {
            match cursor.field()? {
                SpanField::TraceId => {
                    row.trace_id = cursor.trace_id()?;
                    has_trace_id = true;
                }
                SpanField::Id => {
                    row.id = cursor.span_id(parse_span_id)?;
                    has_id = true;
                }
                SpanField::ParentId => row.parent = cursor.span_id(parse_parent_id)?,
                SpanField::Kind => row.kind = parse_kind(cursor.string()?).ok()?,
                SpanField::Name => {
                    let (name, scratch) = (cursor.string()?, &mut self.scratch);
                    let new = || batch.intern(to_lower_case(name, scratch));
                    row.name = self.seen.names.get(name.as_bytes(), new);
                }
                SpanField::Timestamp => row.start = positive_micros(cursor.number()?),
                SpanField::Duration => row.duration = positive_micros(cursor.number()?),
                SpanField::LocalEndpoint => row.local = self.endpoint(cursor, batch, read)?,
                SpanField::RemoteEndpoint => row.remote = self.endpoint(cursor, batch, read)?,
                SpanField::Annotations => self.annotations(cursor, batch, read)?,
                SpanField::Tags => self.tags(cursor, batch, read)?,
                SpanField::Debug if cursor.flag()? => row.flags = row.flags.with(SpanFlags::DEBUG),
                SpanField::Shared if cursor.flag()? => row.flags = row.flags.with(SpanFlags::SHARED),
                SpanField::Debug | SpanField::Shared => {}
            }
            read.values.add(1);
            if cursor.ends(b'}')? {
                break;
            }
        }
        if !(has_trace_id && has_id) {
            return None;
        }
        commit(batch, row).ok()
    }

    fn tags(&mut self, cursor: &mut Cursor<'a>, batch: &mut SpanBatch, read: &mut ReadObject) -> Option<()> {
        cursor.expect(b'{')?;
        let inner = read.inner_values.get_or_insert_default();
        if cursor.skip(b'}') {
            return Some(());
        }
        let mut key = 0;
        loop {
            key = match self.keys.behind(key, |text| cursor.is_name(text)) {
                Some(known) => {
                    cursor.at += self.keys.get(known)?.text.len() + 3;
                    known
                }
                None => self.keys.learn(key, cursor.name()?, batch)?,
            };
            let key = self.keys.get(key)?;
            let mut place = key.place;
            if cursor.is_text(key.value) {
                cursor.at += key.value.len() + 2;
            } else {
                place = match cursor.text(&mut self.scratch)? {
                    Some(value) => {
                        (key.value, key.place) = (value.as_bytes(), batch.push_text(value));
                        key.place
                    }
                    None => batch.push_text(&self.scratch),
                };
            }
            batch.tag_text(key.id, place);
            inner.add(1);
            if cursor.ends(b'}')? {
                break;
            }
        }
        (batch.open_tags_len() <= self.limits.tags_max_per_span).then_some(())
    }

    fn annotations(&mut self, cursor: &mut Cursor<'a>, batch: &mut SpanBatch, read: &mut ReadObject) -> Option<()> {
        cursor.expect(b'[')?;
        let mut count = 0;
        if !cursor.skip(b']') {
            loop {
                self.annotation(cursor, batch, read.innermost_values.get_or_insert_default())?;
                count += 1;
                if cursor.ends(b']')? {
                    break;
                }
            }
        }
        read.inner_values = Some(Count { values: count, from_zero: true });
        (batch.open_annotations_len() <= self.limits.annotations_max_per_span).then_some(())
    }

    fn annotation(&mut self, cursor: &mut Cursor<'a>, batch: &mut SpanBatch, values: &mut Count) -> Option<()> {
        cursor.expect(b'{')?;
        let (mut time, mut value) = (None, None);
        loop {
            match cursor.name()? {
                b"timestamp" => time = Some(cursor.number()?),
                b"value" => value = Some(cursor.text(&mut self.scratch)?),
                _ => return None,
            }
            values.add(1);
            if cursor.ends(b'}')? {
                break;
            }
        }
        batch.annotation(Time::from_micros(time?.unsigned_abs()), value?.unwrap_or(&self.scratch));
        Some(())
    }

    fn endpoint(
        &mut self,
        cursor: &mut Cursor<'a>,
        batch: &mut SpanBatch,
        read: &mut ReadObject,
    ) -> Option<EndpointId> {
        cursor.expect(b'{')?;
        let rest = cursor.bytes.get(cursor.at..)?;
        // What begins with the bytes of an object that was read is that object.
        let (id, values) = match self.seen.endpoints.slot(rest) {
            Some((known, id, values)) if !known.is_empty() && rest.starts_with(known) => {
                cursor.at += known.len();
                (*id, *values)
            }
            _ => self.new_endpoint(cursor, batch)?,
        };
        read.inner_values.get_or_insert_default().add(values);
        Some(id)
    }

    /// An endpoint behind its opening brace, and how many values it has.
    fn new_endpoint(&mut self, cursor: &mut Cursor<'a>, batch: &mut SpanBatch) -> Option<(EndpointId, u32)> {
        let (mut endpoint, mut values) = (Endpoint::default(), 0);
        let rest = cursor.bytes.get(cursor.at..)?;
        loop {
            match cursor.name()? {
                b"serviceName" => {
                    endpoint.service = batch.intern(to_lower_case(cursor.string()?, &mut self.scratch));
                }
                b"ipv4" | b"ipv6" => set_ip_text(&mut endpoint, cursor.string()?, batch),
                b"port" => endpoint.port = u16::try_from(cursor.number()?).ok()?,
                _ => return None,
            }
            values += 1;
            if cursor.ends(b'}')? {
                let id = batch.intern_endpoint(endpoint);
                if let Some(slot) = self.seen.endpoints.slot(rest) {
                    *slot = (rest.get(..rest.len() - (cursor.bytes.len() - cursor.at))?, id, values);
                }
                return Some((id, values));
            }
        }
    }
}

/// A place in the body. Every method takes what it is named for with the white space before it, or nothing when something
/// else stands there; then nobody asks this cursor again.
struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// No backslash comes before it.
    backslash: usize,
    text_bytes_max: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte that is no white space.
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        match *self.bytes.get(self.at)? {
            byte @ b'!'.. => {
                self.at += 1;
                Some(byte)
            }
            _ => self.byte_behind_space(),
        }
    }

    #[inline(never)]
    fn byte_behind_space(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'!'.. => return Some(byte),
                b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => return None,
            }
        }
    }

    #[expect(clippy::inline_always, reason = "eighty times a span")]
    #[inline(always)]
    fn expect(&mut self, expected: u8) -> Option<()> {
        if self.bytes.get(self.at) == Some(&expected) {
            self.at += 1;
            return Some(());
        }
        (self.byte_behind_space()? == expected).then_some(())
    }

    /// Takes a byte if it is this one.
    #[inline]
    fn skip(&mut self, expected: u8) -> bool {
        let at = self.at;
        let is_it = self.byte() == Some(expected);
        if !is_it {
            self.at = at;
        }
        is_it
    }

    /// Whether this text stands here, between quotes.
    #[expect(clippy::inline_always, reason = "for each tag of each span")]
    #[inline(always)]
    fn is_text(&self, text: &[u8]) -> bool {
        let here = self.bytes.get(self.at..).and_then(|rest| rest.get(..text.len() + 2));
        matches!(here, Some([b'"', here @ .., b'"']) if same_name(here, text))
    }

    /// Whether this name stands here, with its colon.
    #[expect(clippy::inline_always, reason = "for each tag of each span")]
    #[inline(always)]
    fn is_name(&self, name: &[u8]) -> bool {
        let here = self.bytes.get(self.at..).and_then(|rest| rest.get(..name.len() + 3));
        matches!(here, Some([b'"', here @ .., b'"', b':']) if same_name(here, name))
    }

    /// The digits of an id as nearly all are: so many, and no space before them.
    #[inline]
    fn digits<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        if N > self.text_bytes_max {
            return None;
        }
        let rest = self.bytes.get(self.at..)?.strip_prefix(b"\"")?;
        let (digits, [b'"', ..]) = rest.split_first_chunk()? else { return None };
        self.at += N + 2;
        Some(digits)
    }

    #[inline]
    fn trace_id(&mut self) -> Option<TraceId> {
        let at = self.at;
        if let Some(digits) = self.digits::<32>()
            && let Some((high, low)) = digits.split_first_chunk::<16>()
            && let (Some(high), Some(low)) = (hex_word(high), hex_word(low))
            && high | low != 0
        {
            return Some(TraceId::from_halves(high, low));
        }
        self.at = at;
        parse_trace_id(self.string()?).ok()
    }

    /// The digits of a span's id, if they are sixteen.
    #[inline]
    fn span_id(&mut self, other: fn(&str) -> Result<SpanId, DecodeFault>) -> Option<SpanId> {
        let at = self.at;
        if let Some(word) = self.digits::<16>().and_then(|digits| hex_word(digits)).filter(|&word| word != 0) {
            return Some(SpanId::new(word));
        }
        self.at = at;
        other(self.string()?).ok()
    }

    /// Whether a list or object ends here; otherwise a comma is taken.
    #[inline]
    fn ends(&mut self, end: u8) -> Option<bool> {
        match self.byte()? {
            b',' => Some(false),
            byte if byte == end => Some(true),
            _ => None,
        }
    }

    /// The name of a span's field and its colon.
    #[inline]
    fn field(&mut self) -> Option<SpanField> {
        self.expect(b'"')?;
        let (field, len) = SpanField::at_start_of(self.bytes.get(self.at..)?)?;
        self.at += len;
        self.expect(b':')?;
        Some(field)
    }

    /// A name and its colon.
    #[inline]
    fn name(&mut self) -> Option<&'a [u8]> {
        let name = self.bytes()?;
        self.expect(b':')?;
        Some(name)
    }

    #[inline]
    fn string(&mut self) -> Option<&'a str> {
        let len = self.bytes()?.len();
        let end = self.at - 1;
        Some(&self.text[end - len..end])
    }

    /// A text; `None` inside if it had escapes and lies decoded in `scratch`.
    #[expect(clippy::option_option, reason = "two questions")]
    #[inline]
    fn text(&mut self, scratch: &mut String) -> Option<Option<&'a str>> {
        let at = self.at;
        match self.string() {
            Some(text) => Some(Some(text)),
            None => {
                self.at = at;
                self.escaped(scratch).map(|()| None)
            }
        }
    }

    #[inline(never)]
    fn escaped(&mut self, scratch: &mut String) -> Option<()> {
        self.expect(b'"')?;
        let start = self.at;
        let backslash = find_quote_or_backslash(self.bytes, start).filter(|&at| self.bytes[at] == b'\\')?;
        scratch.clear();
        self.at = unescape(self.text, start, backslash, scratch).ok()?;
        self.backslash = next_backslash(self.bytes, self.at);
        (self.at - 1 - start <= self.text_bytes_max).then_some(())
    }

    /// A text without escapes.
    #[expect(clippy::inline_always, reason = "for each text of each span")]
    #[inline(always)]
    fn bytes(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let end = find_quote(self.bytes, self.at)?;
        if end > self.backslash {
            return None;
        }
        let text = &self.bytes[self.at..end];
        self.at = end + 1;
        (text.len() <= self.text_bytes_max).then_some(text)
    }

    /// A whole number that is not negative.
    #[inline]
    fn number(&mut self) -> Option<i64> {
        self.byte()?;
        self.at -= 1;
        let rest = self.bytes.get(self.at..)?;
        let mut number = 0;
        let mut len = 0;
        while let Some(eight) =
            rest.get(len..).and_then(|rest| rest.first_chunk()).and_then(|&eight| eight_digits(eight))
        {
            if len + 8 > DIGITS_MAX {
                return None;
            }
            number = number * 100_000_000 + eight;
            len += 8;
        }
        while let Some(digit) = rest.get(len).map(|byte| byte.wrapping_sub(b'0')).filter(|&digit| digit <= 9) {
            if len == DIGITS_MAX {
                return None;
            }
            number = number * 10 + i64::from(digit);
            len += 1;
        }
        let begins_with_zero = rest.first() == Some(&b'0') && len > 1;
        // What follows is looked at by who takes it: a fraction or an exponent is neither a comma nor an end.
        self.at += len;
        (len > 0 && !begins_with_zero).then_some(number)
    }

    #[inline]
    fn flag(&mut self) -> Option<bool> {
        let first = self.byte()?;
        let (flag, rest): (bool, &[u8]) = if first == b't' { (true, b"rue") } else { (false, b"alse") };
        let is_it = (first == b't' || first == b'f') && self.bytes.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        is_it.then_some(flag)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::{decode_json, decode_json_by_reader};
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    const BODY: &str = r#"[{"traceId":"2713ce4d5b1b3bd7ace79064ac868c0e","id":"c6b24a44f19d44f5","parentId":"3f15da8fc83ef25d",
"kind":"CLIENT","name":"getUser","timestamp":1795282126536504,"duration":1845,"localEndpoint":{"serviceName":"api","ipv4":
"10.1.2.12","port":8080},"remoteEndpoint":{"serviceName":"Users"},"tags":{"http.method":"POST","a":"1","http.method":"GET"}},
{"traceId":"1","id":"2","name":"getUser","localEndpoint":{"serviceName":"api"},"remoteEndpoint":{"serviceName":"Users"},
"annotations":[{"timestamp":2,"value":"b"},{"value":"a","timestamp":1}],"tags":{},"debug":true,"shared":false},
{"id":"3","traceId":"1","tags":{"http.method":"GET","a":"2"},"annotations":[],"unknown":[[1,{"a":null}],2],"duration":0}]"#;

    /// With and without the plain way: the same answer, the same spans, the same names.
    fn check(body: &[u8], limits: &Limits) {
        let (mut batch, mut expected) = (SpanBatch::new(), SpanBatch::new());
        let answers = (decode_json(body, limits, &mut batch), decode_json_by_reader(body, limits, &mut expected));
        assert_eq!(answers.0, answers.1, "{}", String::from_utf8_lossy(body));
        assert_eq!((batch.len(), batch.interned_len()), (expected.len(), expected.interned_len()));
        for (span, expected) in batch.spans().zip(expected.spans()) {
            assert!(span.same(expected), "{span:?}\n{expected:?}\n{}", String::from_utf8_lossy(body));
        }
    }

    /// How many spans went the plain way.
    fn taken(body: &str) -> usize {
        let limits = Limits::default();
        let (mut batch, mut plain) = (SpanBatch::new(), PlainSpans::new(body, &limits));
        body.match_indices(r#"{"traceId"#).filter(|(at, _)| plain.take(at + 1, &mut batch).is_some()).count()
    }

    #[test]
    fn usual_spans_go_the_plain_way_and_others_come_to_the_same() {
        check(BODY.as_bytes(), &Limits::default());
        assert_eq!(taken(BODY), 2);
        for (usual, other) in [
            ("getUser", r"get\u0055ser"),
            (":1845", r#":"1845""#),
            ("1845", "18.0"),
            ("true", "TRUE"),
            ("1845", "null"),
        ] {
            let body = BODY.replace(usual, other);
            check(body.as_bytes(), &Limits::default());
            assert!(taken(&body) < 2, "{other}");
        }
        let escaped = [("POST", r#"P\u004f\"ST"#), (r#""b""#, r#""\n\u0041""#), ("GET", r"\\")];
        let spaced = [(",", " , "), (":", "\t:\r\n"), ("POST", "\u{1f980}"), ("1845", "999999999999999999")];
        for (usual, other) in spaced.into_iter().chain(escaped) {
            let body = BODY.replace(usual, other);
            check(body.as_bytes(), &Limits::default());
            assert_eq!(taken(&body), 2, "{other}");
        }
    }

    #[test]
    fn errors_and_limits_are_those_of_the_reader() {
        let of = |change: fn(&mut Limits)| {
            let mut limits = Limits::default();
            change(&mut limits);
            limits
        };
        for limits in [
            of(|limits| limits.tags_max_per_span = 2),
            of(|limits| limits.annotations_max_per_span = 1),
            of(|limits| limits.string_bytes_max = 12),
            of(|limits| limits.depth_max = 3),
            of(|limits| limits.spans_max = 1),
        ] {
            check(BODY.as_bytes(), &limits);
        }
        for at in 0..BODY.len() {
            check(&BODY.as_bytes()[..at], &Limits::default());
            for byte in *b"\"}]{[,:\\ 0n\xff" {
                let mut body = BODY.as_bytes().to_vec();
                body[at] = byte;
                check(&body, &Limits::default());
            }
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/zipkin_v2_json");
        for entry in std::fs::read_dir(folder).unwrap() {
            check(&std::fs::read(entry.unwrap().path()).unwrap(), &Limits::default());
        }
    }

    #[test]
    fn who_sends_nothing_plain_is_soon_not_tried() {
        let spans = vec![r#"{"traceId":"1","id":"2","name":"a\u0062"}"#; 1000];
        let body = format!("[{}]", spans.join(","));
        let limits = Limits::default();
        let (mut batch, mut plain) = (SpanBatch::new(), PlainSpans::new(&body, &limits));
        for (at, _) in body.match_indices(r#"{"traceId"#) {
            assert_eq!(plain.take(at + 1, &mut batch).map(|_| ()), None);
        }
        assert_eq!(plain.given_up, GIVEN_UP_MAX + 1);
        check(body.as_bytes(), &limits);
    }

    proptest! {
        #[test]
        fn any_pieces_in_any_order_come_to_the_same(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
            check(format!("[{{{}}}]", pieces.concat()).as_bytes(), &Limits::default());
        }
    }

    const PIECES: [&str; 24] = [
        r#""traceId":"1""#,
        r#""id":"2""#,
        r#""parentId":"2""#,
        r#""name":"A""#,
        r#""kind":"SERVER""#,
        r#""timestamp":5"#,
        r#""localEndpoint":{"serviceName":"}"}"#,
        r#""remoteEndpoint":{"ipv4":"1.2.3.4","x":{"y":1}}"#,
        r#""tags":{"b":"1","a":"2"}"#,
        r#""annotations":[{"timestamp":1,"value":"x"}]"#,
        r#""annotations":[]"#,
        r#""shared":true"#,
        r#""other":[[{"a":1}]]"#,
        ",",
        ",",
        ",",
        ",",
        ",",
        ",",
        r#"},{"traceId":"3","id":"4","#,
        "{",
        "}",
        "[",
        ":",
    ];
}
