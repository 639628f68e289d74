//! Zipkin v1, JSON and thrift: what `POST /api/v1/spans` takes, and what Jaeger's agent took on UDP port 5775.
//!
//! A span of version 1 tells what happened by annotations with well-known values (`cs`, `sr`, …), each with the endpoint that
//! recorded it, and may hold the client's and the server's half of a call. It becomes one span of version 2 for each of these.

mod agent;
mod convert;
mod encode_json;
mod encode_thrift;
mod json;
mod shape;
mod source;
mod thrift;

pub use agent::{AgentMessageError, decode_agent_message};
pub use encode_json::{encode_json, encode_json_span};
pub use encode_thrift::{encode_thrift, encode_thrift_span};
pub use json::decode_json;
pub use thrift::decode_thrift;
