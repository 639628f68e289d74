//! Record spans in a service.
//!
//! So far: which traces are recorded ([`sampler`]), how their ids travel between services ([`propagation`]), and
//! credits for debug traces ([`DebugThrottler`]).

mod clock;
pub mod sampler;
mod throttler;

pub use clock::{Clock, MonotonicClock};
pub use throttler::{CreditsError, DebugThrottler};
pub use tracewell_model::{Kind, SpanId, TraceId, Value};
pub use tracewell_wire::propagation;
