//! Durations as Go prints them, because they stand in the texts of warnings: `5.025s`, `-50ms`, `1h0m3s`.

use std::fmt::Write as _;

/// A number of nanoseconds as Go's `time.Duration` prints it.
pub fn go_duration_text(nanos: i128) -> String {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let fraction = |unit: u128| -> String {
        let (whole, rest) = (size / unit, size % unit);
        let digits = unit.ilog10() as usize;
        let text = format!("{whole}.{rest:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let minutes = size / 60_000_000_000;
            let seconds = size % 60_000_000_000;
            let mut text = sign.to_owned();
            // Writing to a text does not fail.
            if minutes >= 60 {
                write!(text, "{}h", minutes / 60).ok();
            }
            if minutes > 0 {
                write!(text, "{}m", minutes % 60).ok();
            }
            let rest = format!("{}.{:09}", seconds / 1_000_000_000, seconds % 1_000_000_000);
            write!(text, "{}s", rest.trim_end_matches('0').trim_end_matches('.')).ok();
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_does() {
        let cases: [(i128, &str); 10] = [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (-50_000_000, "-50ms"),
            (2_200_000, "2.2ms"),
            (5_025_000_000, "5.025s"),
            (60_000_000_000, "1m0s"),
            (305_000_000_001, "5m5.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
            (-7_200_000_000_000 - 90_500_000_000, "-2h1m30.5s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(go_duration_text(nanos), text);
        }
    }
}
