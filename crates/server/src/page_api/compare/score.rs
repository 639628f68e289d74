//! How much something tells of which side a unit is on: the part of the question's entropy that it answers.

/// Units of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Sides {
    pub(super) selected: u64,
    pub(super) rest: u64,
}

impl Sides {
    pub(super) fn add(&mut self, selected: bool) {
        *(if selected { &mut self.selected } else { &mut self.rest }) += 1;
    }

    /// How many bits it takes to say of each unit on which side it is.
    pub(super) fn bits(self) -> f64 {
        (self.selected + self.rest) as f64 * entropy(self.selected as f64, self.rest as f64)
    }

    /// From 0, it tells nothing, to 1, it tells all; negative where the rest has it more often. `self` are the units that
    /// have it, of `whole`.
    pub(super) fn score(self, whole: Self) -> f64 {
        let (selected, rest) = (self.selected as f64, self.rest as f64);
        let (without_selected, without_rest) =
            ((whole.selected - self.selected) as f64, (whole.rest - self.rest) as f64);
        let all = (whole.selected + whole.rest) as f64;
        let before = entropy(whole.selected as f64, whole.rest as f64);
        if before == 0.0 {
            return 0.0;
        }
        let after = (selected + rest) / all * entropy(selected, rest)
            + (without_selected + without_rest) / all * entropy(without_selected, without_rest);
        let told = ((before - after) / before).clamp(0.0, 1.0);
        if selected * whole.rest as f64 >= rest * whole.selected as f64 { told } else { -told }
    }
}

/// Of a choice between two, bits.
fn entropy(a: f64, b: f64) -> f64 {
    let part = |x: f64| if x == 0.0 { 0.0 } else { -(x / (a + b)) * (x / (a + b)).log2() };
    part(a) + part(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_what_is_told() {
        let whole = Sides { selected: 10, rest: 90 };
        let score = |selected, rest| Sides { selected, rest }.score(whole);
        assert!((score(10, 0) - 1.0).abs() < 1e-9 && (score(0, 90) + 1.0).abs() < 1e-9);
        assert!(score(1, 9).abs() < 1e-9 && score(10, 90).abs() < 1e-9);
        assert!(score(9, 1) > score(9, 20) && score(9, 20) > 0.0 && score(0, 20) < 0.0);
        assert_eq!(Sides { selected: 3, rest: 0 }.score(Sides { selected: 9, rest: 0 }), 0.0);
    }
}
