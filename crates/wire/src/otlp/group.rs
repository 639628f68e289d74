//! Spans of an answer by resource and scope, in the order these are first met: OTLP says once what many spans share.

use super::names::{MISSING_SERVICE_NAME, SERVICE_NAME};
use std::collections::HashMap;
use std::ptr;
use tracewell_model::{SpanRef, ValueRef};

/// Spans of one resource.
pub(super) struct ResourceGroup<'a> {
    /// The resource as the format has it.
    pub(super) head: Vec<u8>,
    pub(super) scopes: Vec<ScopeGroup<'a>>,
}

/// Spans of one scope.
pub(super) struct ScopeGroup<'a> {
    /// The scope as the format has it.
    pub(super) head: Vec<u8>,
    pub(super) spans: Vec<SpanRef<'a>>,
}

/// Groups spans. `resource` and `scope` append those of a span in the format that is asked for: they are the same where
/// their bytes are, in whatever batches they lie.
pub(super) fn group<'a>(
    spans: impl IntoIterator<Item = SpanRef<'a>>,
    resource: impl Fn(SpanRef<'a>, &mut Vec<u8>),
    scope: impl Fn(SpanRef<'a>, &mut Vec<u8>),
) -> Vec<ResourceGroup<'a>> {
    let mut groups: Vec<ResourceGroup<'a>> = Vec::new();
    let mut rows = HashMap::new();
    let mut resources: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut scopes: HashMap<(usize, Vec<u8>), usize> = HashMap::new();
    let mut last = None;
    for span in spans {
        let row = (ptr::from_ref(span.batch()), span.resource_id(), span.local_id(), span.scope_id());
        let place = match last {
            Some((last_row, place)) if last_row == row => place,
            _ => *rows.entry(row).or_insert_with(|| {
                let mut head = Vec::new();
                resource(span, &mut head);
                let at = *resources.entry(head).or_insert_with_key(|head| {
                    groups.push(ResourceGroup { head: head.clone(), scopes: Vec::new() });
                    groups.len() - 1
                });
                let mut head = Vec::new();
                scope(span, &mut head);
                let of_resource = &mut groups[at].scopes;
                let inner = *scopes.entry((at, head)).or_insert_with_key(|(_, head)| {
                    of_resource.push(ScopeGroup { head: head.clone(), spans: Vec::new() });
                    of_resource.len() - 1
                });
                (at, inner)
            }),
        };
        last = Some((row, place));
        groups[place.0].scopes[place.1].spans.push(span);
    }
    groups
}

/// The attributes of a span's resource. Where the resource does not name the service, the span's local endpoint does.
pub(super) fn resource_attributes<'a>(span: SpanRef<'a>) -> impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone {
    let own = span.resource().map(|resource| resource.attributes);
    let named = own.is_some_and(|own| own.iter().any(|(key, _)| key == SERVICE_NAME));
    let service = Some(span.service_name()).filter(|name| !named && !name.is_empty() && *name != MISSING_SERVICE_NAME);
    let service = service.map(|name| (SERVICE_NAME, ValueRef::Str(name)));
    service.into_iter().chain(own.into_iter().flat_map(|own| own.iter()))
}
