//! What a span says of the library that recorded it is a matter of its process.

use super::super::trace::UiTrace;
use super::order;

const MOVED: [&str; 5] = [
    "telemetry.sdk.language",
    "telemetry.sdk.name",
    "telemetry.sdk.version",
    "telemetry.distro.name",
    "telemetry.distro.version",
];

/// See the module's text.
pub(super) fn move_to_process(trace: &mut UiTrace) {
    for span in &mut trace.spans {
        let moved = span.tags.extract_if(.., |tag| MOVED.contains(&tag.key.as_str()));
        span.process.tags.extend(moved);
        order::sort(&mut span.process.tags);
    }
}
