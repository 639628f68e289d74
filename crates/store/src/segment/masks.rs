//! Which rows of a block meet a single condition: a column at a time, without building spans. A mask has an entry a row.

use super::block_columns as columns;
use super::bytes::unzigzag;
use super::column::Column;
use super::dictionary::{Attribute, Role, ValueType};
use super::{Malformed, Segment, SegmentError};
use std::sync::Arc;
use tracewell_model::Time;

/// An entry a row: whether it meets a condition.
pub(super) type Mask = Vec<bool>;

/// The rows of a block, to be asked.
#[derive(Clone, Copy)]
pub(super) struct BlockMasks<'a> {
    pub(super) segment: &'a Segment,
    pub(super) block: u32,
}

impl<'a> BlockMasks<'a> {
    pub(super) fn rows(self) -> usize {
        self.segment.block(self.block).rows as usize
    }

    pub(super) fn all(self, met: bool) -> Mask {
        vec![met; self.rows()]
    }

    /// Rows of which the code in a column is accepted; 0 where the column is left out.
    pub(super) fn of_codes(self, number: u32, accepts: impl Fn(u32) -> bool) -> Result<Mask, SegmentError> {
        let Some(column) = self.segment.column(self.block, number)? else { return Ok(self.all(accepts(0))) };
        let codes = column.u32s().and_then(|codes| self.one_a_row(codes)).map_err(|error| self.malformed(error))?;
        Ok(codes.iter().map(|&code| accepts(code)).collect())
    }

    /// Rows whose endpoint in a column is of a service that is accepted.
    pub(super) fn of_services(self, number: u32, accepts: impl Fn(u32) -> bool) -> Result<Mask, SegmentError> {
        let endpoints = self.segment.footer.dictionary.endpoints.iter();
        let accepted: Vec<bool> = endpoints.map(|endpoint| accepts(endpoint.service)).collect();
        self.of_codes(number, |code| accepted.get(code as usize).copied().unwrap_or(false))
    }

    /// Rows whose name is one of these texts.
    pub(super) fn of_names(self, names: &[u32]) -> Result<Mask, SegmentError> {
        match names {
            &[name] => self.of_codes(columns::NAME, |code| code == name),
            names => self.of_codes(columns::NAME, |code| names.contains(&code)),
        }
    }

    /// Rows whose time in a column is accepted; zero where the column is left out.
    pub(super) fn of_times(self, number: u32, accepts: impl Fn(Time) -> bool) -> Result<Mask, SegmentError> {
        let Some(column) = self.segment.column(self.block, number)? else {
            return Ok(self.all(accepts(Time::from_bits(0))));
        };
        let times = column.u64s().and_then(|times| self.one_a_row(times)).map_err(|error| self.malformed(error))?;
        Ok(times.iter().map(|&time| accepts(Time::from_bits(time))).collect())
    }

    /// Rows that have an attribute, a tag or an annotation's text, whatever its value.
    pub(super) fn with_attribute(self, attribute: u32) -> Result<Mask, SegmentError> {
        self.of_attribute(attribute, None)
    }

    /// Rows with a value of an attribute that equals a text, as Zipkin compares them. `None` where no row has it.
    pub(super) fn with_value(self, attribute: u32, wanted: &WantedText<'_>) -> Result<Option<Mask>, SegmentError> {
        let Some(column) = self.column_of(attribute)? else { return Ok(None) };
        let equal = wanted.equal_entries(&column).map_err(|error| self.malformed(error))?;
        equal.map(|equal| self.of_attribute(attribute, Some(&equal))).transpose()
    }

    fn column_of(self, attribute: u32) -> Result<Option<Arc<Column>>, SegmentError> {
        self.segment.column(self.block, columns::FIRST_ATTRIBUTE.saturating_add(attribute))
    }

    /// Rows with an entry of an attribute: one that is accepted, or any.
    fn of_attribute(self, attribute: u32, accepted: Option<&[bool]>) -> Result<Mask, SegmentError> {
        let dictionary = &self.segment.footer.dictionary;
        let role = dictionary.attribute(attribute).map_err(|error| self.malformed(error))?.key.role;
        let number = if role == Role::Tag { columns::SHAPE } else { columns::ANNOTATION_COUNT };
        let Some(column) = self.segment.column(self.block, number)? else { return Ok(self.all(false)) };
        let codes = column.u32s().and_then(|codes| self.one_a_row(codes)).map_err(|error| self.malformed(error))?;
        let mut times: Vec<Option<u32>> = vec![None; dictionary.shapes.len()];
        let mut times_of = |code: u32| {
            if role != Role::Tag {
                return Ok(code);
            }
            let known = times.get_mut(code as usize).ok_or(Malformed("a shape is not in the dictionary"))?;
            if let Some(times) = *known {
                return Ok(times);
            }
            let times = dictionary.shape(code)?.iter().filter(|&&other| other == attribute).count() as u32;
            Ok(*known.insert(times))
        };
        let mut mask = self.all(false);
        let mut next = 0usize;
        for (met, &code) in mask.iter_mut().zip(codes) {
            let entries = times_of(code).map_err(|error| self.malformed(error))? as usize;
            if entries == 0 {
                continue;
            }
            let end = next.saturating_add(entries);
            *met = match accepted {
                None => true,
                Some(accepted) => {
                    let entries = accepted.get(next..end).ok_or(Malformed("a value is missing"));
                    entries.map_err(|error| self.malformed(error))?.contains(&true)
                }
            };
            next = end;
        }
        Ok(mask)
    }

    fn one_a_row<T>(self, entries: &[T]) -> Result<&[T], Malformed> {
        entries.get(..self.rows()).ok_or(Malformed("a column has too few rows"))
    }

    pub(super) fn malformed(self, error: Malformed) -> SegmentError {
        let offset = self.segment.block(self.block).columns.first().map_or(0, |column| column.offset);
        self.segment.malformed(offset, error)
    }
}

/// A text to compare an attribute's values with.
pub(super) struct WantedText<'a> {
    pub(super) attribute: &'a Attribute,
    pub(super) text: &'a str,
    /// Its number among the attribute's values, if it is there.
    pub(super) code: Option<u32>,
}

impl WantedText<'_> {
    /// Which entries of a column equal it; `None` if none does.
    fn equal_entries(&self, column: &Column) -> Result<Option<Vec<bool>>, Malformed> {
        fn equal<T: Copy>(entries: &[T], accepts: impl Fn(T) -> bool) -> Option<Vec<bool>> {
            let equal: Vec<bool> = entries.iter().map(|&entry| accepts(entry)).collect();
            equal.contains(&true).then_some(equal)
        }
        let Self { attribute, text, code } = self;
        Ok(match attribute.key.value_type {
            ValueType::Str => column.equal_to(text, *code, &attribute.templates)?,
            ValueType::Bool => {
                let wanted = match *text {
                    "true" => 1,
                    "false" => 0,
                    _ => return Ok(None),
                };
                equal(column.u32s()?, |value| u32::from(value != 0) == wanted)
            }
            ValueType::I64 => {
                let Ok(wanted) = text.parse::<i64>() else { return Ok(None) };
                equal(column.u64s()?, |value| unzigzag(value) == wanted)
            }
            ValueType::F64 => {
                let Ok(wanted) = text.parse::<f64>() else { return Ok(None) };
                equal(column.u64s()?, |value| f64::from_bits(value) == wanted)
            }
            ValueType::Bytes | ValueType::Nested => None,
        })
    }
}

/// What both masks have.
pub(super) fn and(mut a: Mask, b: &[bool]) -> Mask {
    a.iter_mut().zip(b).for_each(|(a, &b)| *a &= b);
    a
}

/// What one of the masks has.
pub(super) fn or(mut a: Mask, b: &[bool]) -> Mask {
    a.iter_mut().zip(b).for_each(|(a, &b)| *a |= b);
    a
}
