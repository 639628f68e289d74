//! Who recorded the spans of a tracer: said once, beside the spans, not in each of them.

use tracewell_model::{OwnedEndpoint, Value};

/// The process that records: Jaeger's process, OTLP's resource, Zipkin's local endpoint.
///
/// ```
/// use tracewell::{InMemoryReporter, Tracer, Value};
/// let builder = Tracer::builder("shop").resource_tag("deployment.environment", "prod");
/// let tracer = builder.build(InMemoryReporter::default());
/// assert_eq!(tracer.resource().endpoint.service, "shop");
/// assert_eq!(tracer.resource().tags, [("deployment.environment".to_owned(), Value::Str("prod".into()))]);
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// The service's name and address.
    pub endpoint: OwnedEndpoint,
    /// What else holds for all spans: Jaeger's process tags, OTLP's resource attributes. The service's name is not
    /// repeated here.
    pub tags: Vec<(String, Value)>,
}
