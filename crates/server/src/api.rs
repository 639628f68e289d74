//! What a listener serves: an API answers any request that comes over its port.

use crate::answer::Answer;
use http::Request;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;

/// An answer to come. Boxed, so that the code of HTTP exists once and not once for each port.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// A port's requests and what answers them.
pub(crate) trait Api: Send + Sync + 'static {
    /// Answers any request.
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answering;
}
