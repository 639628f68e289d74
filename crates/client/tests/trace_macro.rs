//! The attribute on functions of all kinds: each compiles, each has its span, and what they return is what they returned.
#![cfg(feature = "macros")]

use std::fmt::Display;
use std::future::Future;
use std::num::ParseIntError;
use std::pin::Pin;

use tracewell::sampler::ConstSampler;
use tracewell::{InMemoryReporter, InSpanExt, Kind, StatusCode, Tracer, Value, current, trace};

#[trace]
fn plain() {}

/// With a doc, an attribute, generics that hold arrows, and a `where`.
#[trace(name = "generic", kind = "server", tags(text, "twice" = number * 2))]
#[must_use]
pub(crate) fn generic<'a, 'b, const N: usize, F: Fn(u8) -> u8>(text: &'a str, number: i64, map: F) -> Vec<&'b str>
where
    'a: 'b,
{
    let _ = map(1);
    vec![text; N]
}

#[trace(err)]
fn fails(text: &str) -> Result<i32, ParseIntError> {
    if text.is_empty() {
        return Ok(0);
    }
    let number: i32 = text.parse()?;
    Ok(number)
}

#[trace(name = format!("task {number}").as_str(), err)]
async fn task(number: u32, text: String) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    current().tag("number", number);
    tokio::task::yield_now().await;
    inner().await;
    let parsed: u32 = text.parse()?;
    Ok(parsed + number)
}

#[trace(kind = Consumer)]
async fn inner() -> impl Display + Send {
    tokio::task::yield_now().await;
    "shown"
}

struct Shop {
    sold: u32,
}

impl Shop {
    #[trace(tags("sold" = self.sold))]
    async fn sell(&mut self, r#type: &str) -> usize {
        self.sold += 1;
        r#type.len()
    }

    #[trace(err)]
    fn borrow<'a>(&'a mut self) -> Result<&'a mut u32, String> {
        self.sold += 1;
        Ok(&mut self.sold)
    }

    /// As async-trait makes it.
    #[trace(err, name = "boxed")]
    fn boxed<'a>(&'a self) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send + 'a>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            current().tag("in", "box");
            if self.sold > 0 { Err("sold out".to_owned()) } else { Ok(1) }
        })
    }
}

#[expect(clippy::expect_used, reason = "without a runtime the test has failed")]
fn recorded(work: impl Future<Output = ()>) -> Vec<tracewell_model::Span> {
    let reporter = InMemoryReporter::default();
    let tracer = Tracer::builder("shop").sampler(ConstSampler::new(true)).build(reporter.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(work.in_span(tracer.new_trace("root")));
    tracer.flush();
    reporter.spans()
}

#[test]
fn functions_have_spans_under_the_current_one() {
    let spans = recorded(async {
        plain();
        assert_eq!(generic::<2, _>("a", 21, |byte| byte), ["a", "a"]);
        assert_eq!(fails(""), Ok(0));
        assert!(fails("x").is_err());
    });
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["plain", "generic", "fails", "fails", "root"]);
    assert!(spans[..4].iter().all(|span| span.parent == Some(spans[4].id)));
    assert_eq!(spans[1].kind, Kind::Server);
    let tags = [("text".to_owned(), Value::Str("a".into())), ("twice".to_owned(), Value::I64(42))];
    assert_eq!(spans[1].tags, tags);
    assert_eq!((spans[2].status, spans[3].status), (StatusCode::Unset, StatusCode::Error));
    assert_eq!(spans[3].status_message, "invalid digit found in string");
}

#[test]
fn async_functions_have_spans_across_awaits() {
    let spans = recorded(async {
        let spawned = tokio::spawn(task(2, "x".to_owned()).in_current_span());
        assert_eq!(task(1, "41".to_owned()).await.unwrap(), 42);
        assert!(spawned.await.unwrap().is_err());
        let mut shop = Shop { sold: 0 };
        assert_eq!(shop.boxed().await, Ok(1));
        assert_eq!(shop.sell("book").await, 4);
        *shop.borrow().unwrap() += 1;
        assert!(shop.boxed().await.is_err());
    });
    let of = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let root = of("root")[0].id;
    for name in ["task 1", "task 2", "sell", "borrow", "boxed"] {
        assert!(of(name).iter().all(|span| span.parent == Some(root)), "{name}");
    }
    assert_eq!(of("inner").len(), 2);
    assert!(of("inner").iter().all(|inner| inner.kind == Kind::Consumer && inner.parent != Some(root)));
    assert_eq!((of("task 1")[0].status, of("task 2")[0].status), (StatusCode::Unset, StatusCode::Error));
    assert_eq!(of("task 2")[0].tags[0], ("number".to_owned(), Value::I64(2)));
    assert_eq!(of("sell")[0].tags[0], ("sold".to_owned(), Value::I64(0)));
    let boxed = of("boxed");
    assert_eq!((boxed[0].status, boxed[1].status_message.as_str()), (StatusCode::Unset, "sold out"));
    assert_eq!(boxed[1].tags[0].0, "in");
}

#[test]
fn nothing_happens_where_nothing_is_current() {
    plain();
    assert!(fails("x").is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(task(1, "1".to_owned())).unwrap(), 2);
    assert!(current().is_none());
}
