//! The messages of an answer, each behind its prefix, and the trailers with the status behind them all.

use super::{PREFIX_BYTES, Status};
use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What is still to be sent.
pub(crate) enum Messages {
    /// This frame, then success.
    One(Bytes),
    /// What comes.
    Many(mpsc::Receiver<Result<Vec<u8>, Status>>),
    /// The trailers of a success.
    Succeeded,
    /// Nothing.
    Ended,
}

impl Messages {
    pub(super) fn one(message: &[u8]) -> Self {
        Self::One(frame(message))
    }

    pub(super) fn many(messages: mpsc::Receiver<Result<Vec<u8>, Status>>) -> Self {
        Self::Many(messages)
    }

    pub(crate) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        let (now, next) = match self {
            Self::One(message) => (Frame::data(std::mem::take(message)), Self::Succeeded),
            Self::Many(messages) => match messages.poll_recv(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(message))) => return Poll::Ready(Some(Frame::data(frame(&message)))),
                Poll::Ready(Some(Err(status))) => (trailers(&status), Self::Ended),
                Poll::Ready(None) => (trailers(&Status::OK), Self::Ended),
            },
            Self::Succeeded => (trailers(&Status::OK), Self::Ended),
            Self::Ended => return Poll::Ready(None),
        };
        *self = next;
        Poll::Ready(Some(now))
    }
}

fn frame(message: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + message.len());
    bytes.push(0);
    // Longer ones are not made: a query's answer is bounded far below.
    bytes.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(message);
    Bytes::from(bytes)
}

fn trailers(status: &Status) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    status.write_to(&mut trailers);
    Frame::trailers(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::Code;
    use std::task::Waker;

    fn sent(mut messages: Messages) -> (Vec<Bytes>, Vec<String>) {
        let mut context = Context::from_waker(Waker::noop());
        let (mut data, mut statuses) = (vec![], vec![]);
        while let Poll::Ready(Some(frame)) = messages.poll_frame(&mut context) {
            match frame.into_data() {
                Ok(bytes) => data.push(bytes),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    statuses.push(trailers["grpc-status"].to_str().unwrap().to_owned());
                }
            }
        }
        (data, statuses)
    }

    #[test]
    fn the_status_comes_behind_the_messages() {
        let ok = vec!["0".to_owned()];
        assert_eq!(sent(Messages::one(b"ab")), (vec![Bytes::from_static(b"\0\0\0\0\x02ab")], ok.clone()));
        let (sender, receiver) = mpsc::channel(4);
        sender.try_send(Ok(vec![])).unwrap();
        sender.try_send(Ok(vec![7])).unwrap();
        drop(sender);
        let frames = vec![Bytes::from_static(b"\0\0\0\0\0"), Bytes::from_static(b"\0\0\0\0\x01\x07")];
        assert_eq!(sent(Messages::many(receiver)), (frames, ok));
        let (sender, receiver) = mpsc::channel(4);
        sender.try_send(Err(Status::new(Code::NotFound, "no"))).unwrap();
        sender.try_send(Ok(vec![])).unwrap();
        assert_eq!(sent(Messages::many(receiver)), (vec![], vec!["5".to_owned()]));
    }
}
