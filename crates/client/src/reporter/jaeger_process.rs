//! The process of Jaeger's batches, written once as long as it stays the same.

use std::net::Ipv4Addr;

use tracewell_model::ValueRef;
use tracewell_wire::jaeger::{BatchEncoder, BatchForm};

use crate::resource::Resource;

/// A [`BatchEncoder`] that knows whose spans it writes.
pub(super) struct ProcessEncoder {
    encoder: BatchEncoder,
    process: Option<Resource>,
}

impl ProcessEncoder {
    pub(super) fn new(form: BatchForm) -> Self {
        Self { encoder: BatchEncoder::new(form), process: None }
    }

    /// For a batch of this process. Its address is the tag `ip`, as Jaeger's clients have it, unless there is one.
    pub(super) fn begin(&mut self, resource: &Resource) -> &mut BatchEncoder {
        if self.process.as_ref() == Some(resource) {
            self.encoder.clear();
            return &mut self.encoder;
        }
        let has_ip = resource.tags.iter().any(|(key, _)| key == "ip");
        let address = resource.endpoint.ipv4.filter(|_| !has_ip).map(|ipv4| Ipv4Addr::from(ipv4).to_string());
        let ip = address.as_deref().map(|address| ("ip", ValueRef::Str(address)));
        let tags = resource.tags.iter().map(|(key, value)| (key.as_str(), value.as_ref()));
        self.encoder.set_process(&resource.endpoint.service, tags.chain(ip));
        self.process = Some(resource.clone());
        &mut self.encoder
    }
}
