//! A request between its head and its end: the open span, and the rules by which its outcome is told.

use std::fmt;

use super::grpc::{self, GrpcStatus};
use super::tags::TagSet;
use crate::propagation::HeaderGetter;
use crate::{Kind, Span};

/// Ends its span when it is dropped; without an outcome before that, the request was cancelled.
pub(crate) struct InFlight {
    pub(crate) span: Span,
    pub(crate) tags: TagSet,
    pub(crate) kind: Kind,
    /// From this HTTP status on it failed.
    pub(crate) error_from: u16,
    pub(crate) is_grpc: bool,
    /// The span's name should the answer be that there is no such thing.
    pub(crate) name_if_not_found: Option<Box<str>>,
    /// Whether how it ended is known.
    pub(crate) has_outcome: bool,
}

impl InFlight {
    pub(crate) fn new(span: Span, tags: TagSet, kind: Kind) -> Self {
        let error_from = if kind == Kind::Server { 500 } else { 400 };
        Self { span, tags, kind, error_from, is_grpc: false, name_if_not_found: None, has_outcome: false }
    }

    /// Runs with this span as the current one.
    pub(crate) fn scope<R>(&mut self, run: impl FnOnce() -> R) -> R {
        self.span.in_scope(run)
    }

    /// Leaves the span among the request's extensions.
    #[cfg(feature = "tower")]
    pub(crate) fn announce(&self, extensions: &mut http::Extensions) {
        extensions.insert(self.span.context().clone());
    }

    /// The head of the response. True: it is a gRPC call whose status is still to come, in the trailers.
    pub(crate) fn response(&mut self, status: u16, headers: &dyn HeaderGetter) -> bool {
        self.has_outcome = true;
        if !self.span.is_recorded() {
            return false;
        }
        if self.is_grpc && status == 200 {
            return match headers.get("grpc-status").0 {
                Some(code) => {
                    self.grpc_status(code, headers.get("grpc-message").0);
                    false
                }
                None => {
                    self.has_outcome = false;
                    true
                }
            };
        }
        self.tags.response(&mut self.span, status, headers);
        if status >= self.error_from {
            let text = status.to_string();
            if self.tags == TagSet::OpenTelemetry {
                self.span.tag("error.type", text.as_str());
            }
            self.span.error_message(if self.tags == TagSet::Starlette { "true" } else { &text });
        }
        if let (404, Some(name)) = (status, self.name_if_not_found.take()) {
            self.span.name(&name);
        }
        false
    }

    /// The trailers of a gRPC call.
    pub(crate) fn trailers(&mut self, trailers: &dyn HeaderGetter) {
        if let (Some(code), true) = (trailers.get("grpc-status").0, self.is_grpc) {
            self.grpc_status(code, trailers.get("grpc-message").0);
        }
    }

    /// It ended without a response: the service's error, in its own words.
    pub(crate) fn failed(&mut self, error: &dyn fmt::Display) {
        self.has_outcome = true;
        if self.span.is_recorded() {
            self.span.error_message(&error.to_string());
        }
    }

    fn grpc_status(&mut self, code: &[u8], message: Option<&[u8]>) {
        self.has_outcome = true;
        let status = GrpcStatus::read(code);
        match self.tags {
            TagSet::OpenTelemetry => self.span.tag("rpc.grpc.status_code", status.number()),
            _ => self.span.tag("grpc.status_code", status.name()),
        };
        if status.is_failure(self.kind == Kind::Server) {
            match message.filter(|message| !message.is_empty()) {
                Some(message) => self.span.error_message(&format!("{}: {}", status.name(), grpc::message(message))),
                None => self.span.error_message(status.name()),
            };
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.has_outcome && self.span.is_recorded() {
            // The thread unwinds through the future of the handler that panicked.
            self.span.error_message(if std::thread::panicking() { "panicked" } else { "cancelled" });
        }
        self.span.finish();
    }
}

/// The context of the span that is current.
pub(crate) fn current_context() -> Option<crate::propagation::TraceContext> {
    crate::current().context()
}
