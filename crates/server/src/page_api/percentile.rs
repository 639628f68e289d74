//! `GET percentile`: where a span's duration stands among those of its operation.

use super::asked::{Answered, LOOKBACK_US, Range, Refused, now_us, number};
use super::figures::{Counted, Quantiles};
use super::scan::{Limits, Searched, Taker, run, scan};
use crate::zipkin::{Asked, ZipkinApi};
use serde::Serialize;
use tracewell_model::{Condition, Pattern, SpanFilter, SpanRef};
use tracewell_store::DependencyWindow;

#[derive(Serialize)]
struct Percentile {
    count: u64,
    percentile: Option<f64>,
    #[serde(flatten)]
    quantiles: Quantiles,
    searched: Searched,
}

pub(super) async fn percentile(api: &ZipkinApi, asked: &Asked<'_>) -> Answered {
    let parameters = &asked.parameters;
    let pattern = |name: &str| {
        let text = parameters.get(name).ok_or_else(|| Refused::Bad(format!("{name} is missing")))?;
        Ok::<_, Refused>(Pattern::literal(text))
    };
    let (service, name) = (Condition::Service(pattern("service")?), Condition::Name(pattern("name")?));
    if parameters.get("duration").is_none() {
        return Err(Refused::Bad("duration is missing".to_owned()));
    }
    let duration_us = number(parameters, "duration", 0, 0, u64::MAX)?;
    let end_us = number(parameters, "end", now_us(), 0, u64::MAX)?;
    let lookback_us = number(parameters, "lookback", LOOKBACK_US, 0, u64::MAX)?;
    let window = DependencyWindow { start_us: end_us.saturating_sub(lookback_us), end_us };
    let filter = SpanFilter::and([service.into(), name.into()]);
    let range = Range { filter, window, grouping: api.grouping() };
    run(api, asked, move |store, stop| {
        let mut counts = Counts { range: &range, duration_us, not_longer: 0, counted: Counted::default() };
        let searched = scan(store, &range, Limits::ANSWER, stop, &mut counts)?;
        let count = counts.counted.count;
        let percentile = (count > 0).then(|| counts.not_longer as f64 * 100.0 / count as f64);
        Ok(Percentile { count, percentile, quantiles: counts.counted.quantiles(), searched })
    })
    .await
}

struct Counts<'r> {
    range: &'r Range,
    duration_us: u64,
    not_longer: u64,
    counted: Counted,
}

impl Taker for Counts<'_> {
    fn take(&mut self, spans: &[SpanRef<'_>], _: u64) {
        let search = self.range.search();
        for span in spans.iter().filter(|span| search.matches(**span)) {
            let Some(duration) = span.duration() else { continue };
            self.not_longer += u64::from(duration.as_micros() <= self.duration_us);
            self.counted.add(duration.as_nanos(), span.is_error());
        }
    }
}
