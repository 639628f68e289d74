//! Tags and annotations in the order of Zipkin's answers, of spans that may hold them in any: without an allocation for as
//! many as spans have.

use crate::jaeger::{is_field_of_zipkin, is_from_jaeger};
use tracewell_model::{SpanView, StatusCode, ValueRef, compare_utf16};

/// Up to so many items are sorted on the stack.
const FEW: usize = 16;
const MANY: usize = 64;

/// Gives out a span's tags sorted by key, of those with one key the last; and OTLP's error status as an `error` tag where
/// there is none. Of a span from Jaeger those tags are left out that Zipkin has another word for.
pub(crate) fn each_tag<'a>(span: impl SpanView<'a>, mut take: impl FnMut(&'a str, ValueRef<'a>)) {
    if is_from_jaeger(span) {
        let shown = span.tags().filter(|(key, value)| !is_field_of_zipkin(span, key, *value));
        each_of(shown, span, &mut take);
    } else {
        each_of(span.tags(), span, take);
    }
}

fn each_of<'a>(
    tags: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone,
    span: impl SpanView<'a>,
    mut take: impl FnMut(&'a str, ValueRef<'a>),
) {
    let (mut count, mut sorted, mut said) = (0, true, false);
    let mut before = None;
    for (key, _) in tags.clone() {
        count += 1;
        said |= key == "error";
        sorted = sorted && before.is_none_or(|before| compare_utf16(before, key).is_lt());
        before = Some(key);
    }
    let failed = span.status() == StatusCode::Error && !said;
    if sorted && !failed {
        tags.for_each(|(key, value)| take(key, value));
        return;
    }
    let error = failed.then(|| ("error", ValueRef::Str(span.status_message())));
    let tags = tags.chain(error);
    let count = count + usize::from(failed);
    if count <= FEW {
        each_sorted::<FEW>(tags, take);
    } else if count <= MANY {
        each_sorted::<MANY>(tags, take);
    } else {
        let mut tags: Vec<_> = tags.collect();
        // Of equal keys the last stays, so it must come first.
        tags.reverse();
        tags.sort_by(|a, b| compare_utf16(a.0, b.0));
        tags.dedup_by_key(|tag| tag.0);
        tags.into_iter().for_each(|(key, value)| take(key, value));
    }
}

/// Sorts at most `N` tags by insertion.
fn each_sorted<'a, const N: usize>(
    tags: impl Iterator<Item = (&'a str, ValueRef<'a>)>,
    mut take: impl FnMut(&'a str, ValueRef<'a>),
) {
    let mut sorted = [("", ValueRef::Bool(false)); N];
    let mut len = 0;
    for tag in tags.take(N) {
        let place = sorted[..len].iter().rposition(|other| compare_utf16(other.0, tag.0).is_le());
        let place = match place {
            Some(at) if sorted[at].0 == tag.0 => {
                sorted[at] = tag;
                continue;
            }
            place => place.map_or(0, |at| at + 1),
        };
        sorted.copy_within(place..len, place + 1);
        sorted[place] = tag;
        len += 1;
    }
    sorted[..len].iter().for_each(|&(key, value)| take(key, value));
}

/// A span's annotations sorted by time, or whatever the key is; equal ones in the order they came.
pub(crate) fn in_order<I: Iterator<Item: Clone> + Clone, K: Ord + Copy + Default>(
    items: I,
    key: impl Fn(&I::Item) -> K,
) -> InOrder<I> {
    if items.clone().is_sorted_by_key(|item| key(&item)) {
        return InOrder::AsTheyCame(items);
    }
    let mut keys = [(K::default(), 0); MANY];
    let count = items.clone().count();
    if count > MANY {
        let mut sorted: Vec<_> = items.collect();
        sorted.sort_by_key(&key);
        return InOrder::Many(sorted.into_iter());
    }
    for (at, (slot, item)) in keys.iter_mut().zip(items.clone()).enumerate() {
        *slot = (key(&item), at as u8);
    }
    keys[..count].sort_unstable();
    InOrder::Few { items, order: keys.map(|(_, at)| at), next: 0, count }
}

/// See [`in_order`].
#[derive(Clone)]
pub(crate) enum InOrder<I: Iterator<Item: Clone>> {
    AsTheyCame(I),
    Few { items: I, order: [u8; MANY], next: usize, count: usize },
    Many(std::vec::IntoIter<I::Item>),
}

impl<I: Iterator<Item: Clone> + Clone> Iterator for InOrder<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        match self {
            Self::AsTheyCame(items) => items.next(),
            Self::Few { items, order, next, count } => {
                let at = order[..*count].get(*next)?;
                *next += 1;
                items.clone().nth(usize::from(*at))
            }
            Self::Many(sorted) => sorted.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{OwnedAnnotation, Span, SpanBatch, Time, Value};

    fn tags_of(keys: &[&str], status: StatusCode) -> Vec<(String, String)> {
        let tags = keys.iter().enumerate();
        let tags = tags.map(|(at, key)| ((*key).to_owned(), Value::Str(at.to_string()))).collect();
        let mut batch = SpanBatch::new();
        batch.push_span(&Span { tags, status, status_message: "why".to_owned(), ..Span::default() }).expect("room");
        let mut found = vec![];
        each_tag(batch.span(0), |key, value| match value {
            ValueRef::Str(value) => found.push((key.to_owned(), value.to_owned())),
            value => panic!("{value:?}"),
        });
        found
    }

    /// What a map keeps of the same tags.
    fn expected(keys: &[&str], failed: bool) -> Vec<(String, String)> {
        let mut map = std::collections::BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            map.insert((*key).to_owned(), at.to_string());
        }
        if failed {
            map.entry("error".to_owned()).or_insert_with(|| "why".to_owned());
        }
        map.into_iter().collect()
    }

    #[test]
    fn tags_are_those_a_map_keeps() {
        for count in [0, 1, 2, 5, FEW - 1, FEW, FEW + 1, MANY - 1, MANY, MANY + 1, 200] {
            let names: Vec<String> = (0..count).map(|at| format!("k{:03}", at * 7 % (count / 2 + 1))).collect();
            let keys: Vec<&str> = names.iter().map(String::as_str).collect();
            for status in [StatusCode::Unset, StatusCode::Error] {
                assert_eq!(tags_of(&keys, status), expected(&keys, status == StatusCode::Error), "{count}");
            }
        }
        let said = ["z", "error", "a"];
        assert_eq!(tags_of(&said, StatusCode::Error), expected(&said, true));
        let sorted = ["a", "b", "c"];
        assert_eq!(tags_of(&sorted, StatusCode::Ok), expected(&sorted, false));
    }

    #[test]
    fn annotations_come_by_time_and_then_as_they_came() {
        for count in [0, 1, 2, 10, MANY, MANY + 1, 200] {
            let annotations: Vec<_> = (0..count)
                .map(|at| OwnedAnnotation {
                    time: Time::from_micros(at as u64 * 13 % 7),
                    value: at.to_string(),
                    details: vec![],
                })
                .collect();
            let mut expected: Vec<_> = annotations.iter().map(|a| (a.time, a.value.clone())).collect();
            expected.sort_by_key(|a| a.0);
            let mut batch = SpanBatch::new();
            batch.push_span(&Span { annotations, ..Span::default() }).expect("room");
            let found = in_order(SpanView::annotations(batch.span(0)), |annotation| annotation.0);
            let found: Vec<_> = found.map(|(time, value, _)| (time, value.to_owned())).collect();
            assert_eq!(found, expected);
        }
    }
}
