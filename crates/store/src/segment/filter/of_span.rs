//! Which rows of a block may meet a filter on single spans: what it asks of every match, as far as single columns tell.

use super::super::SegmentError;
use super::super::block_columns as columns;
use super::super::links::failed_rows;
use super::super::masks::{BlockMasks, Mask, and};
use tracewell_model::{Comparison, Condition, Pattern, SpanFilter, SpanFlags, SpanStatus, Time};

/// Every row that meets the filter is among these.
pub(super) fn rows_that_may_meet(filter: &SpanFilter, masks: BlockMasks<'_>) -> Result<Mask, SegmentError> {
    let mut may = masks.all(true);
    for condition in filter.required() {
        if let Some(mask) = rows_of(condition, masks)? {
            may = and(may, &mask);
        }
        if !may.contains(&true) {
            break;
        }
    }
    Ok(may)
}

/// The rows that meet a condition, if single columns tell.
fn rows_of(condition: &Condition, masks: BlockMasks<'_>) -> Result<Option<Mask>, SegmentError> {
    let texts = &masks.segment.footer.dictionary.texts;
    let is_like = |pattern: &Pattern, text: u32| {
        let text = texts.get(text).unwrap_or_default();
        if text.is_empty() { pattern.exact() == Some("") } else { pattern.matches_any_case(text) }
    };
    Ok(Some(match condition {
        Condition::Service(pattern) => masks.of_services(columns::LOCAL, |service| is_like(pattern, service))?,
        Condition::RemoteService(pattern) => masks.of_services(columns::REMOTE, |service| is_like(pattern, service))?,
        Condition::Name(pattern) => {
            let names: Vec<bool> = (0..texts.len() as u32).map(|name| is_like(pattern, name)).collect();
            masks.of_codes(columns::NAME, |name| names.get(name as usize).copied().unwrap_or(false))?
        }
        Condition::Kind(kind) => masks.of_codes(columns::KIND, |code| code & 7 == *kind as u32)?,
        Condition::Status(status) => {
            let failed = failed_rows(masks.segment, masks.block).map_err(|error| error.of(masks))?;
            let wanted = *status == SpanStatus::Error;
            failed.into_iter().map(|failed| failed == wanted).collect()
        }
        Condition::Duration(comparison, wanted) => {
            timed(masks, columns::DURATION, SpanFlags::HAS_DURATION, *comparison, *wanted)?
        }
        Condition::Start(comparison, wanted) => {
            timed(masks, columns::START, SpanFlags::HAS_START, *comparison, *wanted)?
        }
        Condition::Tag { .. } | Condition::Has(_) | Condition::Text(_) => return Ok(None),
    }))
}

fn timed(
    masks: BlockMasks<'_>,
    number: u32,
    flag: SpanFlags,
    comparison: Comparison,
    wanted: Time,
) -> Result<Mask, SegmentError> {
    let has = masks.of_codes(columns::KIND, |code| SpanFlags((code >> 3) as u16).contains(flag))?;
    Ok(and(has, &masks.of_times(number, |time| comparison.met_by(time.cmp(&wanted)))?))
}
