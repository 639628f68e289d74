//! Spans of requests, made where a framework lets one in between: servers, clients, queries.
//!
//! | feature | what | for |
//! |---|---|---|
//! | `tower` | `tower::ServerLayer`, `tower::ClientLayer` | hyper, tonic, anything built of tower's services |
//! | `axum` | the same, with axum's routes and peer addresses | axum |
//! | `reqwest` | `reqwest::ReqwestTracing` | reqwest, by way of reqwest-middleware |
//! | `actix` | `actix::ActixTracing` | actix-web |
//! | `sqlx` (`sqlx-offline` where sqlx has `macros`) | `sqlx::SqlTracing` | queries of sqlx, whatever the database |
//!
//! What is told about a request is set in one place for all servers ([`ServerTracing`]) and in one for all clients
//! ([`ClientTracing`]): how a trace is continued, names, tags ([`TagSet`]), which requests are left out, when the span
//! ends. While a handler runs, its span is the current one, so clients and queries within find their parent.
//!
//! A request that ends in no answer ends its span too: a panic, a connection that was cut, a future that was dropped.

#[cfg(feature = "actix")]
pub mod actix;
mod client;
mod grpc;
mod head;
mod in_flight;
#[cfg(feature = "reqwest")]
pub mod reqwest;
mod server;
#[cfg(feature = "sqlx")]
pub mod sqlx;
mod tags;
#[cfg(feature = "tower")]
pub mod tower;

pub use client::{ClientTracing, UrlTemplate};
pub use head::RequestHead;
pub use server::{Continuing, ServerTracing};
pub use tags::{SpanEnd, TagSet};
