//! What many spans share, while it is being read: OTLP is free in its order, and Go's collector writes a resource behind its
//! spans. So spans are committed as they come, and get their resource and scope when both are known.

use super::names::{EMPTY_SERVICE_NAME, MISSING_SERVICE_NAME, WRONG_TYPE_SERVICE_NAME};
use tracewell_model::{Endpoint, ResourceId, ScopeId, SpanBatch, StrId, ValueRef};

/// Where an attribute goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Tag,
    Resource,
    Scope,
    Detail,
    Link,
}

impl Target {
    #[inline]
    pub(super) fn push(self, batch: &mut SpanBatch, key: StrId, value: ValueRef<'_>) {
        match self {
            Self::Tag => batch.tag(key, value),
            Self::Resource => batch.resource_attribute(key, value),
            Self::Scope => batch.scope_attribute(key, value),
            Self::Detail => batch.annotation_detail(key, value),
            Self::Link => batch.link_attribute(key, value),
        }
    }
}

/// A resource and where its spans begin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resource {
    first_row: usize,
    id: ResourceId,
    /// The service it names, once it does.
    service: Option<StrId>,
    pub(super) dropped_attributes: u32,
    pub(super) schema_url: StrId,
}

impl Resource {
    pub(super) fn begin(batch: &SpanBatch) -> Self {
        Self { first_row: batch.len(), ..Self::default() }
    }

    /// The resource's own message begins; one that comes twice counts as it came last.
    pub(super) fn begin_message(&mut self, batch: &mut SpanBatch) {
        *self = Self {
            id: batch.push_resource(StrId::EMPTY, 0),
            service: None,
            dropped_attributes: 0,
            first_row: self.first_row,
            schema_url: self.schema_url,
        };
    }

    /// The attribute `service.name`; of several the first counts.
    pub(super) fn set_service(&mut self, batch: &mut SpanBatch, value: ValueRef<'_>) {
        if self.service.is_none() {
            self.service = Some(match value {
                ValueRef::Str("") => batch.intern(EMPTY_SERVICE_NAME),
                ValueRef::Str(name) => batch.intern(name),
                _ => batch.intern(WRONG_TYPE_SERVICE_NAME),
            });
        }
    }

    pub(super) fn end(self, batch: &mut SpanBatch) {
        if self.first_row == batch.len() {
            return;
        }
        let mut id = self.id;
        if id.0 == 0 && self.schema_url != StrId::EMPTY {
            id = batch.push_resource(self.schema_url, 0);
        }
        batch.describe_resource(id, self.schema_url, self.dropped_attributes);
        if batch.resource(id).is_some_and(|resource| {
            resource.attributes.is_empty() && resource.schema_url.is_empty() && resource.dropped_attributes == 0
        }) {
            id = ResourceId(0);
        }
        let service = self.service.unwrap_or_else(|| batch.intern(MISSING_SERVICE_NAME));
        let local = batch.intern_endpoint(Endpoint { service, ..Endpoint::default() });
        batch.assign_resource(self.first_row, id, local);
    }
}

/// An instrumentation scope and where its spans begin.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scope {
    first_row: usize,
    id: ScopeId,
    pub(super) name: StrId,
    pub(super) version: StrId,
    pub(super) dropped_attributes: u32,
    pub(super) schema_url: StrId,
}

impl Scope {
    pub(super) fn begin(batch: &SpanBatch) -> Self {
        Self { first_row: batch.len(), ..Self::default() }
    }

    /// The scope's own message begins; one that comes twice counts as it came last.
    pub(super) fn begin_message(&mut self, batch: &mut SpanBatch) {
        let id = batch.push_scope(StrId::EMPTY, StrId::EMPTY, StrId::EMPTY, 0);
        *self = Self { id, first_row: self.first_row, schema_url: self.schema_url, ..Self::default() };
    }

    pub(super) fn end(self, batch: &mut SpanBatch) {
        if self.first_row == batch.len() {
            return;
        }
        let Self { name, version, schema_url, dropped_attributes, .. } = self;
        let mut id = self.id;
        if id.0 == 0 && schema_url != StrId::EMPTY {
            id = batch.push_scope(name, version, schema_url, dropped_attributes);
        }
        batch.describe_scope(id, name, version, schema_url, dropped_attributes);
        let has_attributes = batch.scope(id).is_some_and(|scope| !scope.attributes.is_empty());
        let texts = [name, version, schema_url];
        if !has_attributes && dropped_attributes == 0 && texts.iter().all(|&text| text == StrId::EMPTY) {
            id = ScopeId(0);
        }
        batch.assign_scope(self.first_row, id);
    }
}
