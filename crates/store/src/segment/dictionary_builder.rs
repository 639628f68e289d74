//! The dictionaries of a segment that is being written: filled with all spans before the first block is written, so that
//! what is kept of them is known by then.

use super::bytes::{put_bytes, put_varint};
use super::codes::{Codes, ListCodes, TextCodes};
use super::dictionary::{AttributeKey, EndpointEntry, Role, ValueType};
use super::templates::Templates;
use hashbrown::HashMap;

/// A key has a dictionary of its values up to this many ...
const VALUES_MAX: usize = 65_535;
/// ... of this many bytes, ...
const VALUES_BYTES_MAX: usize = 16 << 20;
/// ... and while each stands for at least so many values on average, ...
const USES_MIN: usize = 3;
/// ... or there are next to none. Whether they are too many is known when there were so many.
const VALUES_FREE: usize = 8;
const VALUES_FREE_AT_FIRST: usize = 1_000;

/// The values of a key.
#[derive(Debug, Default)]
pub(crate) struct ValueCodes {
    pub(crate) codes: TextCodes,
    uses: usize,
    /// Values are to be answered by completion: the dictionary is kept though most values are used once.
    wanted: bool,
    /// What had numbers when the dictionary was given up.
    given_up: Option<TextCodes>,
    pub(crate) templates: Templates,
}

impl ValueCodes {
    /// The number of a value; none once the dictionary is given up.
    #[inline]
    pub(crate) fn code(&mut self, value: &str) -> Option<u32> {
        if self.given_up.is_some() {
            return None;
        }
        self.uses += 1;
        let known = self.codes.len();
        let code = self.codes.code(value);
        if self.codes.len() > known && (known + 1).is_multiple_of(VALUES_FREE_AT_FIRST) {
            self.give_up_if(known + 1);
        }
        Some(code)
    }

    /// A value was met again whose number is known.
    #[inline]
    pub(crate) fn count_use(&mut self) {
        self.uses += 1;
    }

    /// The value of a number, be the dictionary given up or not.
    pub(crate) fn value(&self, code: u32) -> &str {
        self.given_up.as_ref().unwrap_or(&self.codes).get(code)
    }

    /// Whether values go to the dictionary.
    pub(crate) fn in_use(&self) -> bool {
        self.given_up.is_none()
    }

    fn end(&mut self) {
        if !self.in_use() {
            return;
        }
        let values = self.codes.len();
        if values > VALUES_FREE {
            self.give_up_if(values);
        }
    }

    fn give_up_if(&mut self, values: usize) {
        let rare = values * USES_MIN > self.uses && !self.wanted;
        if rare || values > VALUES_MAX || self.codes.text_bytes() > VALUES_BYTES_MAX {
            self.given_up = Some(std::mem::take(&mut self.codes));
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct DictionaryBuilder {
    pub(crate) texts: TextCodes,
    pub(crate) endpoints: Codes<EndpointEntry>,
    pub(crate) shapes: ListCodes,
    pub(crate) resources: Codes<Vec<u8>>,
    pub(crate) scopes: Codes<Vec<u8>>,
    attributes: HashMap<AttributeKey, u32>,
    /// One an attribute.
    pub(crate) values: Vec<(AttributeKey, ValueCodes)>,
    wanted_keys: Vec<u32>,
}

impl DictionaryBuilder {
    /// With the keys whose values completion answers.
    pub(crate) fn new(tag_keys: &[String]) -> Self {
        let mut texts = TextCodes::with_empty();
        let wanted_keys = tag_keys.iter().map(|key| texts.code(key)).collect();
        Self {
            texts,
            endpoints: Codes::starting_with(EndpointEntry::default()),
            shapes: ListCodes::with_empty(),
            resources: Codes::starting_with(vec![]),
            scopes: Codes::starting_with(vec![]),
            attributes: HashMap::new(),
            values: vec![],
            wanted_keys,
        }
    }

    pub(crate) fn attribute(&mut self, key: AttributeKey) -> u32 {
        let Self { attributes, values, wanted_keys, .. } = self;
        *attributes.entry(key).or_insert_with(|| {
            let wanted = key.role == Role::Tag && wanted_keys.contains(&key.key);
            values.push((key, ValueCodes { wanted, ..ValueCodes::default() }));
            values.len() as u32 - 1
        })
    }

    /// All spans were seen: decides which attributes keep the dictionary of their values.
    pub(crate) fn end(&mut self) {
        self.values.iter_mut().for_each(|(_, values)| values.end());
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_texts(out, &self.texts);
        put_list(out, &self.endpoints.in_order(), |out, endpoint| {
            out.push(u8::from(endpoint.ipv4.is_some()) | u8::from(endpoint.ipv6.is_some()) << 1);
            put_varint(out, u64::from(endpoint.service));
            out.extend(endpoint.ipv4.iter().flatten());
            out.extend(endpoint.ipv6.iter().flatten());
            out.extend_from_slice(&endpoint.port.to_le_bytes());
            put_varint(out, u64::from(endpoint.ipv4_text));
        });
        put_list(out, &self.values, |out, (key, values)| {
            let complete = values.in_use() && key.value_type == ValueType::Str;
            out.extend_from_slice(&[key.role as u8, key.value_type as u8, u8::from(complete)]);
            put_varint(out, u64::from(key.key));
            put_texts(out, &values.codes);
        });
        put_varint(out, self.shapes.len() as u64);
        for shape in 0..self.shapes.len() as u32 {
            put_list(out, self.shapes.get(shape), |out, &attribute| put_varint(out, u64::from(attribute)));
        }
        put_list(out, &self.resources.in_order(), |out, row| put_bytes(out, row));
        put_list(out, &self.scopes.in_order(), |out, row| put_bytes(out, row));
    }

    /// The templates, of the attributes that have some.
    pub(crate) fn write_templates(&self, out: &mut Vec<u8>) {
        for (attribute, (_, values)) in (0u32..).zip(&self.values) {
            if values.templates.texts.len() > 0 {
                put_varint(out, u64::from(attribute));
                put_texts(out, &values.templates.texts);
            }
        }
    }
}

fn put_texts(out: &mut Vec<u8>, texts: &TextCodes) {
    put_varint(out, texts.len() as u64);
    texts.iter().for_each(|text| put_bytes(out, text.as_bytes()));
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_varint(out, list.len() as u64);
    list.iter().for_each(|item| put(out, item));
}
