//! Tags that a collector adds to what it takes: more attributes for the resources of a batch.

use crate::{ResourceId, SpanBatch, SpanFlags, StrId, Value, ValueRef};

impl SpanBatch {
    /// Adds texts to the attributes of every resource (Jaeger's process), but for those that it has with the same value, and
    /// sorts its attributes by key, as Jaeger's collector does with its tags. A span that came in Jaeger's format without a
    /// process gets one; one that came in Zipkin's has none and stays as it is.
    pub fn tag_resources(&mut self, tags: &[(String, String)]) {
        if tags.is_empty() {
            return;
        }
        for at in 0..self.resources.len() {
            let id = ResourceId(at as u32 + 1);
            let Some(resource) = self.resource(id) else { continue };
            let mut attributes: Vec<(String, Value)> =
                resource.attributes.iter().map(|(key, value)| (key.to_owned(), value.to_value())).collect();
            for (key, value) in tags {
                if !attributes.iter().any(|(known, text)| known == key && text.as_ref() == ValueRef::Str(value)) {
                    attributes.push((key.clone(), Value::Str(value.clone())));
                }
            }
            attributes.sort_by(|a, b| a.0.cmp(&b.0));
            let row = self.resources[at];
            self.push_resource(row.schema_url, row.dropped_attributes);
            for (key, value) in &attributes {
                let key = self.intern(key);
                self.resource_attribute(key, value.as_ref());
            }
            // The new one takes the old one's place.
            self.resources.swap_remove(at);
        }
        self.tag_spans_without_resource(tags);
    }

    fn tag_spans_without_resource(&mut self, tags: &[(String, String)]) {
        let jaegers = |flags: u16| SpanFlags(flags).contains(SpanFlags::JAEGER);
        let rows = self.span_resources.iter().zip(&self.flags).enumerate();
        let rows: Vec<usize> =
            rows.filter(|(_, (id, flags))| **id == 0 && jaegers(**flags)).map(|(row, _)| row).collect();
        if rows.is_empty() {
            return;
        }
        let resource = self.push_resource(StrId::default(), 0);
        let mut tags: Vec<_> = tags.iter().collect();
        tags.sort();
        for (key, value) in tags {
            let key = self.intern(key);
            self.resource_attribute(key, ValueRef::Str(value));
        }
        rows.into_iter().for_each(|row| self.span_resources[row] = resource.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SpanRow;

    fn attributes(batch: &SpanBatch, row: usize) -> Vec<(&str, ValueRef<'_>)> {
        batch.span(row).resource().map(|resource| resource.attributes.iter().collect()).unwrap_or_default()
    }

    #[test]
    fn every_resource_gets_them_once_and_sorted() {
        let mut batch = SpanBatch::new();
        for (resource, flags) in [(true, SpanFlags::NONE), (true, SpanFlags::JAEGER), (false, SpanFlags::JAEGER)] {
            let key = batch.intern("zone");
            let resource = if resource { batch.push_resource(StrId::default(), 3) } else { ResourceId::default() };
            if resource.0 == 1 {
                batch.resource_attribute(key, ValueRef::Str("z1"));
            } else if resource.0 == 2 {
                batch.resource_attribute(key, ValueRef::I64(7));
            }
            batch.commit(SpanRow { resource, flags, ..SpanRow::default() }).unwrap();
        }
        batch.commit(SpanRow::default()).unwrap();
        let tags = [("zone".to_owned(), "z1".to_owned()), ("env".to_owned(), "lab".to_owned())];
        batch.tag_resources(&tags);
        let (env, zone) = (("env", ValueRef::Str("lab")), ("zone", ValueRef::Str("z1")));
        assert_eq!(attributes(&batch, 0), [env, zone]);
        assert_eq!(attributes(&batch, 1), [env, ("zone", ValueRef::I64(7)), zone]);
        assert_eq!(attributes(&batch, 2), [env, zone]);
        assert_eq!(attributes(&batch, 3), []);
        assert_eq!(batch.span(1).resource().unwrap().dropped_attributes, 3);
    }
}
