//! Any kind of headers: two small traits between the formats and the maps that libraries have.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

/// Headers to read. Names are compared without regard to ASCII case.
///
/// One method is enough for a type of your own:
///
/// ```
/// use tracewell_wire::propagation::{HeaderGetter, Propagation};
///
/// struct Message { traceparent: String }
/// impl HeaderGetter for Message {
///     fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
///         visit("traceparent", self.traceparent.as_bytes());
///     }
/// }
/// let message = Message { traceparent: "00-80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-00".to_owned() };
/// assert_eq!(Propagation::default().extract(&message).context.sampled(), Some(false));
/// ```
pub trait HeaderGetter {
    /// Shows every header, repeated ones as often as they came, in their order.
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8]));

    /// The first value under a name, and whether there is more than one. Worth overriding where the map can look up.
    ///
    /// ```
    /// use tracewell_wire::propagation::HeaderGetter;
    /// let headers = [("B3", "0"), ("b3", "1")];
    /// assert_eq!(HeaderGetter::get(&headers[..], "b3"), (Some(&b"0"[..]), true));
    /// ```
    fn get(&self, name: &str) -> (Option<&[u8]>, bool) {
        let (mut first, mut several) = (None, false);
        self.for_each(&mut |key, value| {
            if key.eq_ignore_ascii_case(name) {
                several = first.is_some();
                first = first.or(Some(value));
            }
        });
        (first, several)
    }
}

/// Headers to write.
///
/// ```
/// use tracewell_model::{SpanId, TraceId};
/// use tracewell_wire::propagation::{Format, HeaderSetter, Propagation, TraceContext};
/// #[derive(Default)]
/// struct Message { properties: String }
/// impl HeaderSetter for Message {
///     fn set(&mut self, name: &str, value: &str) {
///         self.properties += &format!("{name}={value};");
///     }
/// }
/// let context = TraceContext::new(TraceId::new(7), SpanId::new(1)).with_sampled(Some(true));
/// let mut message = Message::default();
/// Propagation::new(&[Format::B3Single]).inject(&context, &mut message);
/// assert_eq!(message.properties, "b3=0000000000000007-0000000000000001-1;");
/// ```
pub trait HeaderSetter {
    /// Sets a header to one value, in place of what it had. A name or value that this kind of headers can't hold is
    /// left out. Names come in lower case.
    fn set(&mut self, name: &str, value: &str);
}

impl<T: HeaderGetter + ?Sized> HeaderGetter for &T {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        (**self).for_each(visit);
    }

    fn get(&self, name: &str) -> (Option<&[u8]>, bool) {
        (**self).get(name)
    }
}

impl<T: HeaderSetter + ?Sized> HeaderSetter for &mut T {
    fn set(&mut self, name: &str, value: &str) {
        (**self).set(name, value);
    }
}

impl<K: AsRef<str>, V: AsRef<[u8]>> HeaderGetter for [(K, V)] {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name.as_ref(), value.as_ref());
        }
    }
}

impl<K: AsRef<str>, V: AsRef<[u8]>> HeaderGetter for Vec<(K, V)> {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        self.as_slice().for_each(visit);
    }
}

impl HeaderSetter for Vec<(String, String)> {
    fn set(&mut self, name: &str, value: &str) {
        self.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.push((name.to_owned(), value.to_owned()));
    }
}

impl<V: AsRef<[u8]>, S: BuildHasher> HeaderGetter for HashMap<String, V, S> {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name, value.as_ref());
        }
    }
}

impl<S: BuildHasher> HeaderSetter for HashMap<String, String, S> {
    fn set(&mut self, name: &str, value: &str) {
        if !self.contains_key(name) {
            self.retain(|key, _| !key.eq_ignore_ascii_case(name));
        }
        self.insert(name.to_owned(), value.to_owned());
    }
}

impl<V: AsRef<[u8]>> HeaderGetter for BTreeMap<String, V> {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name, value.as_ref());
        }
    }
}

impl HeaderSetter for BTreeMap<String, String> {
    fn set(&mut self, name: &str, value: &str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
        self.insert(name.to_owned(), value.to_owned());
    }
}

#[cfg(feature = "http")]
impl HeaderGetter for http::HeaderMap {
    fn for_each<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a [u8])) {
        for (name, value) in self {
            visit(name.as_str(), value.as_bytes());
        }
    }

    fn get(&self, name: &str) -> (Option<&[u8]>, bool) {
        let mut values = self.get_all(name).into_iter().map(http::HeaderValue::as_bytes);
        (values.next(), values.next().is_some())
    }
}

#[cfg(feature = "http")]
impl HeaderSetter for http::HeaderMap {
    fn set(&mut self, name: &str, value: &str) {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_str(value)) {
            self.insert(name, value);
        }
    }
}
