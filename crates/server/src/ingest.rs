//! The one bounded way to the store: a body of spans in, an acknowledgement or a typed refusal out. Limits, decompression,
//! decoding, sampling and back pressure are here, whatever the protocol.

use crate::budget::{Budget, Reserved, Spent};
use crate::decompress::{Coding, DecompressError, decompress, expected_bytes};
use crate::format::{Format, Malformed, decode};
use crate::lanes::{self, Joined};
use crate::live::Live;
use crate::metrics::{Metrics, Refusal, Transport};
use crate::options::Options;
use crate::sampling::Sampling;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tracewell_model::{SpanBatch, SpanFlags, SpanRef, TraceId};
use tracewell_store::{Store, WriteError};
use tracewell_wire::{GunzipError, Limits};

/// Bodies up to this long are decoded where they arrived: handing them to another thread costs more than it frees.
const DECODED_IN_PLACE_BYTES_MAX: usize = 256 << 10;
/// A body's buffer is made this large before anything of it has come, whatever its length is said to be.
const FIRST_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Bodies are decoded into one batch up to this many bytes, or to this part of the store's memory.
const TOGETHER_BYTES_MAX: usize = 256 << 10;
const TOGETHER_PART_MAX: usize = 16;
/// What a thread keeps of a batch to decode the next body into.
const KEPT_BATCH_BYTES_MAX: usize = 512 << 10;
/// A sender that is refused may send this much more before its answer, so that it gets to see it.
const DISCARDED_BYTES_MAX: usize = 32 << 20;
const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);

/// Takes bodies of spans.
pub(crate) struct Ingest {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    budget: Arc<Budget>,
    sampler: Sampler,
    sampling: Arc<Sampling>,
    live: Arc<Live>,
    together_bytes_max: usize,
    body_bytes_max: usize,
    body_decompressed_bytes_max: usize,
    body_timeout: Duration,
    /// Added to the processes of what does not come as Zipkin's.
    process_tags: Vec<(String, String)>,
}

/// What a body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) transport: Transport,
    pub(crate) format: Format,
    pub(crate) coding: Coding,
}

/// A body that is here, and the memory that it holds.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) reserved: Reserved,
}

/// The spans of a body.
enum Decoded {
    Alone(Box<SpanBatch>),
    /// They are on their way to the store, with those of others.
    Joined(Joined),
}

/// What is needed to decode a body into the batch of others.
struct Joining {
    store: Arc<dyn Store>,
    sampling: Arc<Sampling>,
    bytes_max: usize,
}

/// Why spans were not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    #[error("the body is larger than {bytes_max} bytes")]
    BodyTooLarge { bytes_max: usize },
    #[error("the body did not arrive within {0:?}")]
    BodyTooSlow(Duration),
    #[error("the body broke off: {0}")]
    BodyBroken(hyper::Error),
    #[error("the server is overloaded, try again later")]
    MemorySpent,
    #[error(transparent)]
    Gunzip(GunzipError),
    #[error("the body cannot be decompressed: {0}")]
    Decompress(std::io::Error),
    #[error(transparent)]
    Malformed(Malformed),
    #[error(transparent)]
    Write(WriteError),
    #[error("decoding failed: this is a mistake in the server")]
    DecoderPanicked,
}

impl IngestError {
    /// How it is counted.
    pub(crate) fn refusal(&self) -> Refusal {
        match self {
            Self::BodyTooLarge { .. } => Refusal::TooLarge,
            Self::BodyTooSlow(_) => Refusal::TooSlow,
            Self::BodyBroken(_) => Refusal::Broken,
            Self::MemorySpent => Refusal::MemorySpent,
            Self::Gunzip(_) | Self::Decompress(_) | Self::Malformed(_) => Refusal::Malformed,
            Self::Write(error) => Refusal::by_store(error),
            Self::DecoderPanicked => Refusal::Failed,
        }
    }
}

impl Ingest {
    pub(crate) fn new(
        options: &Options,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
        sampling: Arc<Sampling>,
        live: Arc<Live>,
    ) -> Self {
        Self {
            store,
            metrics,
            budget: Budget::new(options.bodies_memory_bytes_max()),
            sampler: Sampler::new(options.collector_sample_rate),
            sampling,
            live,
            together_bytes_max: TOGETHER_BYTES_MAX.min(options.store_memory_bytes_max() / TOGETHER_PART_MAX),
            body_bytes_max: options.body_bytes_max.0,
            body_decompressed_bytes_max: options.body_decompressed_bytes_max.0,
            body_timeout: options.body_timeout,
            process_tags: options.jaeger_collector_tags.0.clone(),
        }
    }

    /// Bytes of bodies that are held now.
    pub(crate) fn held_bytes(&self) -> usize {
        self.budget.used_bytes()
    }

    /// Takes a body; `Ok` means that the store has acknowledged its spans.
    pub(crate) async fn take(&self, body: Incoming, kind: Kind) -> Result<(), IngestError> {
        let received = self.receive(body, kind.transport).await?;
        self.accept(received, kind).await
    }

    /// The whole of a body; nothing of it has been looked at.
    pub(crate) async fn receive(&self, body: Incoming, transport: Transport) -> Result<Received, IngestError> {
        let mut reserved = self.budget.reserve();
        let read = self.read(body, &mut reserved).await;
        let metrics = &self.metrics.collector[transport as usize];
        let bytes = read.inspect_err(|error| {
            metrics.messages_dropped.add(1);
            metrics.refused(error.refusal());
        })?;
        metrics.messages.add(1);
        Ok(Received { bytes, reserved })
    }

    /// Takes what was received; `Ok` means that the store has acknowledged its spans. Counts what came and what was dropped as
    /// Zipkin's collector does.
    pub(crate) async fn accept(&self, received: Received, kind: Kind) -> Result<(), IngestError> {
        let metrics = &self.metrics.collector[kind.transport as usize];
        if received.bytes.is_empty() && kind.transport.is_zipkins() {
            metrics.message_bytes.set(0);
            return Ok(());
        }
        let accepted = self.decode_and_write(received, kind).await;
        accepted.inspect_err(|error| metrics.refused(error.refusal()))
    }

    /// Counts a message that came and could not even be taken out of its envelope.
    pub(crate) fn broken(&self, transport: Transport) {
        let metrics = &self.metrics.collector[transport as usize];
        metrics.messages_dropped.add(1);
        metrics.refused(Refusal::Broken);
    }

    /// Room in the memory for what comes; nothing yet.
    pub(crate) fn reserve(&self) -> Reserved {
        self.budget.reserve()
    }

    async fn decode_and_write(&self, received: Received, kind: Kind) -> Result<(), IngestError> {
        let metrics = &self.metrics.collector[kind.transport as usize];
        let decoded = self.decode(received, kind).await;
        let (decoded, body_bytes) = decoded.inspect_err(|_| metrics.messages_dropped.add(1))?;
        metrics.bytes.add(body_bytes);
        metrics.message_bytes.set(body_bytes);
        let decoded = decoded.map_err(|error| {
            // Zipkin counts a body that it began to decode twice, one that does not look like spans once.
            let twice = kind.transport.is_zipkins() && !error.is_wrong_encoding;
            metrics.messages_dropped.add(if twice { 2 } else { 1 });
            IngestError::Malformed(error)
        })?;
        let spans = match &decoded {
            Decoded::Alone(batch) => batch.len() as u64,
            Decoded::Joined(joined) => joined.spans as u64,
        };
        if spans == 0 {
            return Ok(());
        }
        metrics.message_spans.set(spans);
        match decoded {
            Decoded::Alone(batch) => self.keep_and_write(*batch, kind.transport).await,
            Decoded::Joined(joined) => {
                metrics.spans.add(spans);
                let written = joined.answered().await.map_err(IngestError::Write);
                written.inspect_err(|_| metrics.spans_dropped.add(spans))
            }
        }
    }

    /// Whether nothing is to be done with the spans of a body between decoding and writing.
    fn joining(&self, transport: Transport) -> Option<Joining> {
        let changed = !transport.is_zipkins() && !self.process_tags.is_empty();
        if changed || !self.sampler.samples_all() || self.live.watchers() > 0 {
            return None;
        }
        let (store, sampling) = (Arc::clone(&self.store), Arc::clone(&self.sampling));
        Some(Joining { store, sampling, bytes_max: self.together_bytes_max })
    }

    /// Hands those spans to the store that are sampled; `Ok` means that it has acknowledged them.
    pub(crate) async fn keep_and_write(&self, batch: SpanBatch, transport: Transport) -> Result<(), IngestError> {
        let metrics = &self.metrics.collector[transport as usize];
        metrics.spans.add(batch.len() as u64);
        self.sampling.count(&batch, 0);
        let mut kept = self.sampler.keep(batch);
        if !transport.is_zipkins() {
            kept.batch.tag_resources(&self.process_tags);
        }
        let spans = kept.batch.len() as u64;
        metrics.spans_dropped.add(kept.dropped);
        let watched = self.live.look_at(&kept.batch);
        self.write(kept.batch).await.inspect_err(|_| metrics.spans_dropped.add(spans))?;
        watched.show();
        Ok(())
    }

    /// The whole body; what it holds in memory is reserved as it arrives.
    async fn read(&self, mut body: Incoming, reserved: &mut Reserved) -> Result<Bytes, IngestError> {
        let bytes_max = self.body_bytes_max;
        if body.size_hint().lower() > bytes_max as u64 {
            discard(body).await;
            return Err(IngestError::BodyTooLarge { bytes_max });
        }
        let read = timeout(self.body_timeout, read_bounded(&mut body, bytes_max, reserved)).await;
        match read.unwrap_or(Err(IngestError::BodyTooSlow(self.body_timeout))) {
            Err(error @ (IngestError::BodyTooLarge { .. } | IngestError::MemorySpent)) => {
                discard(body).await;
                Err(error)
            }
            read => read,
        }
    }

    /// The spans of a body, or why they are none, and how many bytes it has. Large and compressed bodies are decoded on
    /// another thread.
    async fn decode(&self, received: Received, kind: Kind) -> Result<(Result<Decoded, Malformed>, u64), IngestError> {
        let Received { bytes: body, mut reserved } = received;
        let Kind { format, coding, transport } = kind;
        let joining = self.joining(transport);
        if coding == Coding::Plain {
            let (bytes, counted_bytes) = (body.len(), counted_bytes(&body));
            let decode = move || decode_all(&body, format, reserved, joining);
            return Ok((in_place_or_not(bytes, decode).await?, counted_bytes));
        }
        let bytes_max = self.body_decompressed_bytes_max;
        in_place_or_not(expected_bytes(&body, coding, bytes_max), move || {
            let plain = decompress(&body, coding, bytes_max, &mut reserved).map_err(|error| match error {
                DecompressError::TooLarge { bytes_max } => IngestError::BodyTooLarge { bytes_max },
                DecompressError::MemorySpent => IngestError::MemorySpent,
                DecompressError::Gunzip(error) => IngestError::Gunzip(error),
                DecompressError::Damaged(error) => IngestError::Decompress(error),
            })?;
            Ok((decode_all(&plain, format, reserved, joining), counted_bytes(&plain)))
        })
        .await?
    }

    /// Hands the spans to the store and waits for its answer.
    async fn write(&self, batch: SpanBatch) -> Result<(), IngestError> {
        if batch.is_empty() {
            return Ok(());
        }
        lanes::write(&self.store, batch).await.map_err(IngestError::Write)
    }
}

async fn read_bounded(body: &mut Incoming, bytes_max: usize, reserved: &mut Reserved) -> Result<Bytes, IngestError> {
    let mut whole: Vec<u8> = vec![];
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(IngestError::BodyBroken)?.into_data() else { continue };
        let so_far = whole.len() + first.as_ref().map_or(0, Bytes::len);
        if so_far + data.len() > bytes_max {
            return Err(IngestError::BodyTooLarge { bytes_max });
        }
        reserved.grow(data.len()).map_err(|Spent| IngestError::MemorySpent)?;
        match first.take() {
            None if whole.is_empty() => first = Some(data),
            None => whole.extend_from_slice(&data),
            Some(before) => {
                let known = before.len() + data.len() + body.size_hint().lower() as usize;
                whole.reserve(known.min(FIRST_BUFFER_BYTES_MAX).max(before.len() + data.len()));
                whole.extend_from_slice(&before);
                whole.extend_from_slice(&data);
            }
        }
    }
    // Most bodies come in one piece, which is taken as it is.
    Ok(first.unwrap_or_else(|| Bytes::from(whole)))
}

/// Reads on for a while and forgets what comes: a sender that is still sending would not see the answer otherwise.
async fn discard(mut body: Incoming) {
    let mut left = DISCARDED_BYTES_MAX;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            if bytes > left {
                break;
            }
            left -= bytes;
        }
    };
    // Whether the sender came to its end does not matter.
    drop(timeout(DISCARD_TIME_MAX, reading).await);
}

/// Zipkin's metrics count an empty list as no bytes.
fn counted_bytes(body: &[u8]) -> u64 {
    if body == b"[]" { 0 } else { body.len() as u64 }
}

/// Decodes into the batch of the lane, where it may. Otherwise into a batch that each thread keeps, so that its columns have
/// grown to the size of the traffic, and answers a copy that has the room it needs and no more: it stays in memory until its
/// spans are in a segment.
fn decode_all(body: &[u8], format: Format, reserved: Reserved, joining: Option<Joining>) -> Result<Decoded, Malformed> {
    let joined = joining.and_then(|Joining { store, sampling, bytes_max }| {
        lanes::join(&store, body.len(), bytes_max, |batch| {
            let before = batch.len();
            decode(format, body, &Limits::default(), batch)?;
            sampling.count(batch, before);
            Ok(())
        })
    });
    match joined {
        Some(joined) => joined.map(Decoded::Joined),
        None => decode_alone(body, format, reserved).map(|batch| Decoded::Alone(Box::new(batch))),
    }
}

fn decode_alone(body: &[u8], format: Format, reserved: Reserved) -> Result<SpanBatch, Malformed> {
    thread_local! {
        static KEPT: Cell<SpanBatch> = Cell::default();
    }
    // Large bodies are decoded on threads that are many and soon idle: those keep nothing.
    let keeps = body.len() <= DECODED_IN_PLACE_BYTES_MAX;
    let mut batch = if keeps { KEPT.take() } else { SpanBatch::new() };
    let decoded = decode(format, body, &Limits::default(), &mut batch);
    drop(reserved);
    if !keeps || batch.memory_bytes() > KEPT_BATCH_BYTES_MAX {
        batch.shrink_to_fit();
        return decoded.map(|()| batch);
    }
    let decoded = decoded.map(|()| batch.clone());
    batch.clear();
    KEPT.set(batch);
    decoded
}

async fn in_place_or_not<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, IngestError> {
    if bytes <= DECODED_IN_PLACE_BYTES_MAX {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| IngestError::DecoderPanicked)
}

/// Keeps a share of the traces, the same on every server: Zipkin's boundary sampler.
#[derive(Debug, Clone, Copy)]
struct Sampler {
    boundary: i64,
}

struct Kept {
    batch: SpanBatch,
    dropped: u64,
}

impl Sampler {
    fn new(rate: f32) -> Self {
        // In single precision, as Zipkin computes it.
        Self { boundary: (i64::MAX as f32 * rate) as i64 }
    }

    fn samples_all(self) -> bool {
        self.boundary == i64::MAX
    }

    fn samples(self, trace_id: TraceId) -> bool {
        let low = trace_id.low() as i64;
        // The smallest number has no absolute value.
        self.boundary > 0 && low.checked_abs().unwrap_or(i64::MAX) <= self.boundary
    }

    fn keep(self, batch: SpanBatch) -> Kept {
        let keeps = |span: &SpanRef<'_>| span.flags().contains(SpanFlags::DEBUG) || self.samples(span.trace_id());
        if self.samples_all() || batch.spans().all(|span| keeps(&span)) {
            return Kept { batch, dropped: 0 };
        }
        let mut kept = SpanBatch::new();
        for span in batch.spans().filter(keeps) {
            if kept.push_copy(span).is_err() {
                break; // cannot be: a part of a batch fits where the whole did
            }
        }
        let dropped = (batch.len() - kept.len()) as u64;
        Kept { batch: kept, dropped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracewell_model::{Span, SpanId};

    #[test]
    fn the_sampler_keeps_a_share_of_the_traces_and_all_debug_spans() {
        let id = |low: u64| TraceId::new(u128::from(low));
        assert!(Sampler::new(1.0).samples(id(1 << 63)));
        assert!(!Sampler::new(0.0).samples(id(0)));
        let half = Sampler::new(0.5);
        assert!(half.samples(id(1)) && half.samples(id(u64::MAX)), "-1 is near 0");
        assert!(!half.samples(id(i64::MAX as u64)) && !half.samples(id(1 << 63)));
        let mut batch = SpanBatch::new();
        for (low, debug) in [(1, false), (i64::MAX as u64, true), (i64::MAX as u64, false)] {
            let span = Span { trace_id: id(low), id: SpanId::new(1), debug, ..Span::default() };
            batch.push_span(&span).unwrap();
        }
        let kept = half.keep(batch);
        assert_eq!((kept.batch.len(), kept.dropped), (2, 1));
    }
}
