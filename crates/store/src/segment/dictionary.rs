//! What the rows of a segment share and name by number: texts, endpoints, attributes with their values, lists of
//! attributes ("shapes"), resources and scopes. Built while a segment is written, kept in memory while it is open.

use super::bytes::{Malformed, Reader, put_bytes, put_varint};
use hashbrown::HashMap;
use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::OnceLock;
use tracewell_model::ValueRef;

/// A key has a dictionary of its values up to this many ...
const DICTIONARY_VALUES_MAX: usize = 65_535;
/// ... and, once it has this many, only while each stands for at least [`DICTIONARY_USES_MIN`] values on average.
const DICTIONARY_VALUES_FREE: usize = 1_000;
const DICTIONARY_USES_MIN: usize = 4;

/// What an attribute belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Role {
    /// A span's tag.
    Tag = 0,
    /// The text of annotations, which has no key.
    AnnotationValue = 1,
    /// An annotation's attribute.
    AnnotationDetail = 2,
}

/// A value's type, as numbered in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum ValueType {
    Str = 0,
    Bool = 1,
    I64 = 2,
    F64 = 3,
    Bytes = 4,
    Nested = 5,
}

impl ValueType {
    pub(crate) fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Str(_) => Self::Str,
            ValueRef::Bool(_) => Self::Bool,
            ValueRef::I64(_) => Self::I64,
            ValueRef::F64(_) => Self::F64,
            ValueRef::Bytes(_) => Self::Bytes,
            ValueRef::Nested(_) => Self::Nested,
        }
    }

    pub(crate) fn from_u8(value: u8) -> Option<Self> {
        Some(match value {
            0 => Self::Str,
            1 => Self::Bool,
            2 => Self::I64,
            3 => Self::F64,
            4 => Self::Bytes,
            5 => Self::Nested,
            _ => return None,
        })
    }
}

/// A column of values: which key of which thing, of which type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct AttributeKey {
    pub(crate) role: Role,
    pub(crate) key: u32,
    pub(crate) value_type: ValueType,
}

/// An endpoint, its names as codes of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct EndpointEntry {
    pub(crate) service: u32,
    pub(crate) ipv4: Option<[u8; 4]>,
    pub(crate) ipv6: Option<[u8; 16]>,
    pub(crate) port: u16,
    pub(crate) ipv4_text: u32,
}

/// Texts by number.
#[derive(Debug, Default)]
pub(crate) struct TextTable {
    ends: Vec<u32>,
    text: String,
    /// Numbers in the order of their texts.
    sorted: Vec<u32>,
    /// Numbers of the texts with upper-case letters, in the order of these texts in lower case. Made by the first search.
    folded: OnceLock<Vec<u32>>,
}

/// The dictionaries of an open segment.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// Names of services and spans, keys. 0 is the empty text.
    pub(crate) texts: TextTable,
    /// 0 is "none".
    pub(crate) endpoints: Vec<EndpointEntry>,
    pub(crate) attributes: Vec<Attribute>,
    /// Lists of attributes; 0 is the empty list.
    pub(crate) shapes: Vec<Box<[u32]>>,
    /// 0 is "none"; see `rare.rs` for their bytes.
    pub(crate) resources: Vec<Box<[u8]>>,
    /// 0 is "none".
    pub(crate) scopes: Vec<Box<[u8]>>,
}

/// A column of values, with the dictionary of its texts.
#[derive(Debug)]
pub(crate) struct Attribute {
    pub(crate) key: AttributeKey,
    /// Every value of the segment is in `values`.
    pub(crate) complete: bool,
    pub(crate) values: TextTable,
}

impl TextTable {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count()?;
        let mut table = Self::default();
        for _ in 0..count {
            table.text.push_str(reader.text()?);
            let end = u32::try_from(table.text.len()).map_err(|_| Malformed("a dictionary is too large"))?;
            table.ends.push(end);
        }
        table.ends.shrink_to_fit();
        table.text.shrink_to_fit();
        let mut sorted: Vec<u32> = (0..table.ends.len() as u32).collect();
        sorted.sort_by(|&a, &b| table.get(a).cmp(&table.get(b)));
        table.sorted = sorted;
        Ok(table)
    }

    pub(crate) fn get(&self, code: u32) -> Option<&str> {
        let code = code as usize;
        let end = *self.ends.get(code)? as usize;
        let start = code.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        let at = self.sorted.binary_search_by(|&code| self.get(code).cmp(&Some(text))).ok()?;
        Some(self.sorted[at])
    }

    /// All texts that are this one, which is given in lower case, whatever their case.
    pub(crate) fn find_any_case(&self, lower: &str) -> Vec<u32> {
        let folded = self.folded.get_or_init(|| {
            let has_case = |code: &u32| self.get(*code).is_some_and(|text| text.chars().any(char::is_uppercase));
            let mut codes: Vec<u32> = (0..self.len() as u32).filter(has_case).collect();
            codes.sort_by_cached_key(|&code| self.lower(code));
            codes
        });
        let from = folded.partition_point(|&code| self.lower(code).as_str() < lower);
        let same = folded[from..].iter().take_while(|&&code| self.lower(code) == lower);
        self.find(lower).into_iter().chain(same.copied()).collect()
    }

    fn lower(&self, code: u32) -> String {
        self.get(code).unwrap_or_default().to_lowercase()
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).filter_map(|code| self.get(code))
    }
}

impl Dictionary {
    pub(crate) fn text(&self, code: u32) -> Result<&str, Malformed> {
        self.texts.get(code).ok_or(Malformed("a name is not in the dictionary"))
    }

    pub(crate) fn endpoint(&self, code: u32) -> Result<&EndpointEntry, Malformed> {
        self.endpoints.get(code as usize).ok_or(Malformed("an endpoint is not in the dictionary"))
    }

    pub(crate) fn shape(&self, code: u32) -> Result<&[u32], Malformed> {
        Ok(self.shapes.get(code as usize).ok_or(Malformed("a shape is not in the dictionary"))?)
    }

    pub(crate) fn attribute(&self, code: u32) -> Result<&Attribute, Malformed> {
        self.attributes.get(code as usize).ok_or(Malformed("an attribute is not in the dictionary"))
    }

    /// The columns of a span's tag, one a type.
    pub(crate) fn tag_columns(&self, key: &str) -> impl Iterator<Item = (u32, &Attribute)> {
        let key = self.texts.find(key);
        let attributes = (0u32..).zip(&self.attributes);
        attributes.filter(move |(_, a)| a.key.role == Role::Tag && Some(a.key.key) == key)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut Reader::new(bytes);
        let dictionary = Self {
            texts: TextTable::read(reader)?,
            endpoints: read_list(reader, read_endpoint)?,
            attributes: read_list(reader, read_attribute)?,
            shapes: read_list(reader, |reader| Ok(read_list(reader, |reader| reader.varint_u32())?.into()))?,
            resources: read_list(reader, |reader| Ok(reader.bytes()?.into()))?,
            scopes: read_list(reader, |reader| Ok(reader.bytes()?.into()))?,
        };
        reader.end()?;
        dictionary.check()?;
        Ok(dictionary)
    }

    /// Every code that the dictionaries hold themselves points inside.
    fn check(&self) -> Result<(), Malformed> {
        let texts = self.texts.len() as u32;
        let attributes = self.attributes.len() as u32;
        let ok = self.texts.get(0) == Some("")
            && self.endpoints.iter().all(|endpoint| endpoint.service < texts && endpoint.ipv4_text < texts)
            && self.attributes.iter().all(|attribute| attribute.key.key < texts)
            && self.shapes.iter().all(|shape| shape.iter().all(|&at| at < attributes))
            && [self.endpoints.len(), self.shapes.len(), self.resources.len(), self.scopes.len()]
                .iter()
                .all(|&n| n > 0);
        if ok { Ok(()) } else { Err(Malformed("the dictionaries are inconsistent")) }
    }
}

fn read_list<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = reader.count()?;
    (0..count).map(|_| read(reader)).collect()
}

fn read_endpoint(reader: &mut Reader<'_>) -> Result<EndpointEntry, Malformed> {
    let has = reader.u8()?;
    Ok(EndpointEntry {
        service: reader.varint_u32()?,
        ipv4: if has & 1 != 0 { Some(reader.array()?) } else { None },
        ipv6: if has & 2 != 0 { Some(reader.array()?) } else { None },
        port: u16::from_le_bytes(reader.array()?),
        ipv4_text: reader.varint_u32()?,
    })
}

fn read_attribute(reader: &mut Reader<'_>) -> Result<Attribute, Malformed> {
    let role = match reader.u8()? {
        0 => Role::Tag,
        1 => Role::AnnotationValue,
        2 => Role::AnnotationDetail,
        _ => return Err(Malformed("an attribute's role is unknown")),
    };
    let value_type = ValueType::from_u8(reader.u8()?).ok_or(Malformed("an attribute's type is unknown"))?;
    let complete = reader.u8()? != 0;
    let key = reader.varint_u32()?;
    Ok(Attribute { key: AttributeKey { role, key, value_type }, complete, values: TextTable::read(reader)? })
}

/// Numbers given in the order of first use.
#[derive(Debug)]
pub(crate) struct Codes<T> {
    codes: HashMap<T, u32>,
}

impl<T: Hash + Eq> Codes<T> {
    /// With one thing that has the number 0.
    pub(crate) fn starting_with(zero: T) -> Self {
        Self { codes: HashMap::from_iter([(zero, 0)]) }
    }

    pub(crate) fn code<Q>(&mut self, thing: &Q) -> u32
    where
        T: Borrow<Q>,
        Q: ToOwned<Owned = T> + Hash + Eq + ?Sized,
    {
        if let Some(&code) = self.codes.get(thing) {
            return code;
        }
        let code = self.codes.len() as u32;
        self.codes.insert(thing.to_owned(), code);
        code
    }

    pub(crate) fn len(&self) -> usize {
        self.codes.len()
    }

    fn in_order(&self) -> Vec<&T> {
        let mut things: Vec<(u32, &T)> = self.codes.iter().map(|(thing, &code)| (code, thing)).collect();
        things.sort_unstable_by_key(|(code, _)| *code);
        things.into_iter().map(|(_, thing)| thing).collect()
    }
}

impl<T: Hash + Eq> Default for Codes<T> {
    fn default() -> Self {
        Self { codes: HashMap::new() }
    }
}

/// The values of a key while a segment is written.
#[derive(Debug, Default)]
pub(crate) struct ValueCodes {
    codes: Codes<String>,
    uses: usize,
    /// Values are to be answered by completion: the dictionary is kept though most values are used once.
    wanted: bool,
    given_up: bool,
}

impl ValueCodes {
    pub(crate) fn code(&mut self, value: &str) -> u32 {
        self.uses += 1;
        self.codes.code(value)
    }

    /// Whether values go to the dictionary. Changes between blocks only.
    pub(crate) fn in_use(&self) -> bool {
        !self.given_up
    }

    pub(crate) fn end_block(&mut self) {
        let values = self.codes.len();
        let rare = values > DICTIONARY_VALUES_FREE && values * DICTIONARY_USES_MIN > self.uses;
        self.given_up |= values > DICTIONARY_VALUES_MAX || rare && !self.wanted;
    }
}

/// The dictionaries of a segment that is being written.
#[derive(Debug)]
pub(crate) struct DictionaryBuilder {
    pub(crate) texts: Codes<String>,
    pub(crate) endpoints: Codes<EndpointEntry>,
    pub(crate) shapes: Codes<Vec<u32>>,
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
        let mut texts = Codes::starting_with(String::new());
        let wanted_keys = tag_keys.iter().map(|key| texts.code(key.as_str())).collect();
        Self {
            texts,
            endpoints: Codes::starting_with(EndpointEntry::default()),
            shapes: Codes::starting_with(vec![]),
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

    pub(crate) fn end_block(&mut self) {
        self.values.iter_mut().for_each(|(_, values)| values.end_block());
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_list(out, &self.texts.in_order(), |out, text| put_bytes(out, text.as_bytes()));
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
            put_list(out, &values.codes.in_order(), |out, value| put_bytes(out, value.as_bytes()));
        });
        put_list(out, &self.shapes.in_order(), |out, shape| {
            put_list(out, shape, |out, &attribute| put_varint(out, u64::from(attribute)));
        });
        put_list(out, &self.resources.in_order(), |out, row| put_bytes(out, row));
        put_list(out, &self.scopes.in_order(), |out, row| put_bytes(out, row));
    }
}

fn put_list<T>(out: &mut Vec<u8>, list: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_varint(out, list.len() as u64);
    list.iter().for_each(|item| put(out, item));
}
