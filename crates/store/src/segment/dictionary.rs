//! What the rows of a segment share and name by number: texts, endpoints, attributes with their values, lists of
//! attributes ("shapes"), resources and scopes, as an open segment has them in memory.

use super::bytes::{Malformed, Reader};
use std::sync::{LazyLock, OnceLock};
use tracewell_model::ValueRef;

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
    /// Numbers in the order of their texts. Made by the first search: whoever reads a trace has no use for it.
    sorted: OnceLock<Vec<u32>>,
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
    /// See `templates.rs`.
    pub(crate) templates: TextTable,
}

/// About what an allocation costs beside its bytes.
const ALLOCATION_BYTES: usize = 16;

impl TextTable {
    fn memory_bytes(&self) -> usize {
        // What a search adds is counted before it does.
        self.text.capacity() + (self.ends.capacity() + self.ends.len()) * 4
    }

    /// One without any.
    pub(crate) fn none() -> &'static Self {
        static NONE: LazyLock<TextTable> = LazyLock::new(TextTable::default);
        &NONE
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.count()?;
        let mut table = Self::default();
        for _ in 0..count {
            table.text.push_str(reader.text()?);
            let end = u32::try_from(table.text.len()).map_err(|_| Malformed("a dictionary is too large"))?;
            table.ends.push(end);
        }
        table.ends.shrink_to_fit();
        table.text.shrink_to_fit();
        Ok(table)
    }

    fn sorted(&self) -> &[u32] {
        self.sorted.get_or_init(|| {
            let mut sorted: Vec<u32> = (0..self.ends.len() as u32).collect();
            sorted.sort_by(|&a, &b| self.get(a).cmp(&self.get(b)));
            sorted
        })
    }

    pub(crate) fn get(&self, code: u32) -> Option<&str> {
        let code = code as usize;
        let end = *self.ends.get(code)? as usize;
        let start = code.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        let sorted = self.sorted();
        let at = sorted.binary_search_by(|&code| self.get(code).cmp(&Some(text))).ok()?;
        Some(sorted[at])
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
    /// About how many bytes it holds.
    pub(super) fn memory_bytes(&self) -> usize {
        let tables = self
            .attributes
            .iter()
            .map(|a| size_of::<Attribute>() + a.values.memory_bytes() + a.templates.memory_bytes());
        let shapes = self.shapes.iter().map(|shape| size_of::<Box<[u32]>>() + ALLOCATION_BYTES + shape.len() * 4);
        let rare =
            self.resources.iter().chain(&self.scopes).map(|b| size_of::<Box<[u8]>>() + ALLOCATION_BYTES + b.len());
        self.texts.memory_bytes()
            + self.endpoints.capacity() * size_of::<EndpointEntry>()
            + tables.sum::<usize>()
            + shapes.sum::<usize>()
            + rare.sum::<usize>()
    }

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

    /// Adds the templates of attributes, which lie in a section of their own.
    pub(crate) fn read_templates(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let reader = &mut Reader::new(bytes);
        while !reader.is_empty() {
            let attribute = self.attributes.get_mut(reader.varint_u32()? as usize);
            let attribute = attribute.ok_or(Malformed("templates of an attribute that is not there"))?;
            attribute.templates = TextTable::read(reader)?;
        }
        Ok(())
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
    let values = TextTable::read(reader)?;
    Ok(Attribute { key: AttributeKey { role, key, value_type }, complete, values, templates: TextTable::default() })
}
