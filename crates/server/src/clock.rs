//! The time of day: the only place of the server that asks for it. What it decides takes it as a value, so that tests can choose.
//! And the date of a time.

use std::time::SystemTime;

/// The current time.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Year, month and day of the day so many days behind 1970-01-01.
pub(crate) fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March, so that a leap day is the last of its year: eras of 400 years, 146,097 days each.
    let shifted = days.saturating_add(719_468);
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
