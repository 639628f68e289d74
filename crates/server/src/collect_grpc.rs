//! What all collectors over gRPC share: a call with one message of spans in, a status out.

use crate::app::App;
use crate::decompress::Coding;
use crate::format::Format;
use crate::grpc::{self, Code, Encoding, Status};
use crate::ingest::{IngestError, Kind, Received};
use crate::metrics::Transport;
use http::HeaderMap;
use hyper::body::Incoming;
use tracewell_store::WriteError;

/// Takes the spans of a call; `Ok` once the store has acknowledged them.
pub(crate) async fn collect(
    app: &App,
    headers: &HeaderMap,
    body: Incoming,
    transport: Transport,
    format: Format,
) -> Result<(), Status> {
    let encoding = grpc::encoding(headers)?;
    let refused = |error: IngestError| status(&error);
    let Received { bytes, reserved } = app.ingest.receive(body, transport).await.map_err(refused)?;
    let message = grpc::message(&bytes, encoding).inspect_err(|_| app.ingest.broken(transport))?;
    let coding = match message.encoding {
        Encoding::Identity => Coding::Plain,
        Encoding::Gzip => Coding::Gzip,
    };
    let received = Received { bytes: message.bytes, reserved };
    app.ingest.accept(received, Kind { transport, format, coding }).await.map_err(refused)
}

/// A refusal in gRPC's terms. A message that cannot be read is INTERNAL, as grpc-go has it.
pub(crate) fn status(error: &IngestError) -> Status {
    let text = error.to_string();
    match error {
        IngestError::Malformed(_) => Status::new(Code::Internal, format!("grpc: error unmarshalling request: {text}")),
        IngestError::Gunzip(_) | IngestError::Decompress(_) => {
            Status::new(Code::Internal, format!("grpc: failed to decompress the received message: {text}"))
        }
        IngestError::BodyBroken(_) => Status::new(Code::Internal, text),
        IngestError::BodyTooLarge { .. } | IngestError::Write(WriteError::TooLarge { .. }) => {
            Status::new(Code::ResourceExhausted, text)
        }
        IngestError::BodyTooSlow(_) => Status::new(Code::DeadlineExceeded, text),
        IngestError::MemorySpent | IngestError::Write(WriteError::Overloaded) => {
            Status::try_again(Code::ResourceExhausted, text)
        }
        IngestError::Write(WriteError::DiskFull(_) | WriteError::Closed) => Status::try_again(Code::Unavailable, text),
        IngestError::Write(WriteError::Failed(_)) | IngestError::DecoderPanicked => {
            tracing::error!(%error, "spans were not kept");
            Status::new(Code::Internal, text)
        }
    }
}
