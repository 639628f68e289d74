//! `GET live`: spans as they arrive, as server-sent events.

use super::asked::{Answered, Refused, filter};
use super::search::streaming;
use crate::live::{Waiting, Watch};
use crate::zipkin::{Asked, ZipkinApi};
use bytes::Bytes;
use http::HeaderValue;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Between two messages.
const INTERVAL: Duration = Duration::from_millis(200);
/// Proxies close what says nothing for long.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Messages that wait for the client; then its spans wait, and are lost.
const MESSAGES_WAITING: usize = 2;
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

pub(super) fn live(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let filter = filter(&asked.parameters, "q")?;
    let Some(watch) = api.app().live.watch(filter) else {
        return Err(Refused::Busy("too many watch already, or the server is being stopped"));
    };
    let (sender, receiver) = mpsc::channel(MESSAGES_WAITING);
    tokio::spawn(send(watch, sender));
    Ok(streaming(EVENT_STREAM, receiver))
}

/// Sends what waits until the client goes away or the server is stopped.
async fn send(watch: Watch, sender: mpsc::Sender<Bytes>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_sent = Instant::now();
    // So that the client's connection is seen to be open.
    let mut message = ": watching\n\n".to_owned();
    loop {
        if message.is_empty() && last_sent.elapsed() >= SILENCE_MAX {
            message.push_str(":\n\n");
        }
        if !message.is_empty() {
            let sent = tokio::select! {
                sent = sender.send(std::mem::take(&mut message).into()) => sent.is_ok(),
                () = watch.closed() => false,
            };
            if !sent {
                return;
            }
            last_sent = Instant::now();
        }
        tokio::select! {
            _ = ticks.tick() => {}
            () = sender.closed() => return,
            () = watch.closed() => return,
        }
        message = events(&watch.take());
    }
}

fn events(waiting: &Waiting) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    if !waiting.spans.is_empty() {
        write!(text, "event: spans\ndata: {}\n\n", json!(waiting.spans)).ok();
    }
    if waiting.lost > 0 {
        write!(text, "event: lost\ndata: {}\n\n", json!({ "spans": waiting.lost })).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told() {
        assert_eq!(events(&Waiting::default()), "");
        assert_eq!(events(&Waiting { spans: vec![], lost: 5 }), "event: lost\ndata: {\"spans\":5}\n\n");
    }
}
