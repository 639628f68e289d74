//! What tells most of which side a unit is on, first.
//!
//! Each explanation is weighed by how many bits of the question it answers, less the bits it takes to name it among all that
//! was looked at: with many keys and values, some tell a little by chance, and a value out of five hundred must tell more
//! than one out of two; so must two things together than one of them. What then differs by less than it takes to point at one
//! unit is the same; of it, what all could have differently goes before what only some have at all, and then where the time is
//! lost.

use super::features::{Feature, Features, What};
use super::score::Sides;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// What fewer units have, and a smaller part of the selected, is chance.
const UNITS_MIN: u64 = 3;
/// What tells less is not worth reading.
const SCORE_MIN: f64 = 0.01;
/// Of how many features, the most telling, two are looked at together.
const PAIRED_MAX: usize = 64;

/// An explanation: one feature, or two that one span has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) feature: u32,
    pub(super) and: Option<u32>,
    pub(super) units: Sides,
    /// The part of the question that is answered, negative where the rest has it more often.
    pub(super) score: f64,
    /// The part that is answered less that which it takes to name it.
    net: f64,
}

/// The most telling first. `time_lost` is the part of what the selected take longer that is a service's.
pub(super) fn rank(features: &Features, whole: Sides, time_lost: &HashMap<&str, f64>) -> Vec<Told> {
    let bits = whole.bits();
    if bits == 0.0 {
        return vec![];
    }
    let ranking = Ranking { features, whole, bits, costs: costs(features), time_lost };
    let mut told = ranking.singles();
    told.extend(ranking.pairs(&told));
    told.retain(|told| told.net > 0.0 && told.score.abs() >= SCORE_MIN);
    ranking.sort(&mut told);
    ranking.drop_repetitions(&mut told);
    told
}

struct Ranking<'a> {
    features: &'a Features,
    whole: Sides,
    /// Of the whole question.
    bits: f64,
    costs: Vec<f64>,
    time_lost: &'a HashMap<&'a str, f64>,
}

/// Bits to name each feature: which group, and which of it.
fn costs(features: &Features) -> Vec<f64> {
    let mut groups: HashMap<u64, f64> = HashMap::new();
    for feature in features.all() {
        *groups.entry(feature.group).or_default() += 1.0;
    }
    let of_group = (groups.len().max(1) as f64).log2();
    features.all().iter().map(|feature| of_group + groups[&feature.group].log2()).collect()
}

impl Ranking<'_> {
    fn feature(&self, index: u32) -> &Feature {
        &self.features.all()[index as usize]
    }

    fn told(&self, feature: u32, and: Option<u32>, units: Sides) -> Told {
        let score = units.score(self.whole);
        let cost = self.costs[feature as usize] + and.map_or(0.0, |and| self.costs[and as usize]);
        Told { feature, and, units, score, net: score.abs() - cost / self.bits }
    }

    fn singles(&self) -> Vec<Told> {
        let all = self.features.all().iter().enumerate();
        let counts = all.filter(|(_, feature)| {
            self.is_no_chance(feature.units) && !self.features.is_id(feature) && !self.is_its_name(feature)
        });
        counts.map(|(index, feature)| self.told(index as u32, None, feature.units)).collect()
    }

    /// Enough of the selected have it; or lack it, where the rest has it more often.
    fn is_no_chance(&self, units: Sides) -> bool {
        let lack = self.whole.selected - units.selected;
        let least = UNITS_MIN.min(self.whole.selected);
        if units.score(self.whole) < 0.0 { lack >= least } else { units.selected >= least }
    }

    /// What all spans of a name have, and no others, says no more than the name does.
    fn is_its_name(&self, feature: &Feature) -> bool {
        matches!(feature.what, What::Value(..) | What::Key(_) | What::Remote(_))
            && feature.name.is_some_and(|name| self.feature(name).units == feature.units)
    }

    /// What two features of one span tell, where that is more than either does.
    fn pairs(&self, singles: &[Told]) -> Vec<Told> {
        let pairs_with = |told: &&Told| {
            told.score > 0.0 && matches!(self.feature(told.feature).what, What::Value(..) | What::Name(_))
        };
        let mut some: Vec<&Told> = singles.iter().filter(pairs_with).collect();
        some.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.feature.cmp(&b.feature)));
        some.truncate(PAIRED_MAX);
        let indices: Vec<u32> = some.iter().map(|told| told.feature).collect();
        let Some(pairs) = self.features.pairs(&indices) else { return vec![] };
        let told = pairs.into_iter().filter_map(|((a, b), units)| {
            let told = self.told(indices[a], Some(indices[b]), units);
            (told.score > 0.0 && units.selected >= UNITS_MIN && told.net > some[a].net.max(some[b].net)).then_some(told)
        });
        told.collect()
    }

    fn sort(&self, told: &mut [Told]) {
        told.sort_by(|a, b| b.net.total_cmp(&a.net).then((a.feature, a.and).cmp(&(b.feature, b.and))));
        let all = (self.whole.selected + self.whole.rest) as f64;
        let same = all.log2() / self.bits;
        let mut from = 0;
        while from < told.len() {
            let least = told[from].net - same;
            let to = from + told[from..].iter().take_while(|told| told.net >= least).count();
            told[from..to].sort_by(|a, b| self.among_same(a).cmp(&self.among_same(b)));
            from = to;
        }
    }

    fn among_same<'a>(&'a self, told: &Told) -> impl Ord + use<'a> {
        let feature = self.feature(told.feature);
        let time_lost = self.time_lost.get(feature.service.as_str()).copied().unwrap_or(0.0);
        (
            told.score < 0.0,
            told.and.is_some(),
            feature.what.order(),
            Reverse((time_lost * 100.0).round() as i64),
            Reverse((told.net * 1000.0).round() as i64),
            (&feature.service, feature.what.named(&feature.service)),
            told.and,
        )
    }

    /// A key says nothing that a value of it has said of the same units; of steps of a number one is enough; a pair of which one
    /// part is already in a pair that tells more adds little.
    fn drop_repetitions(&self, told: &mut Vec<Told>) {
        let mut values: HashSet<(u64, Sides)> = HashSet::new();
        let mut numbers: HashSet<u64> = HashSet::new();
        let mut paired: HashSet<u32> = HashSet::new();
        told.retain(|told| {
            let feature = self.feature(told.feature);
            if let Some(and) = told.and {
                return paired.insert(told.feature) & paired.insert(and);
            }
            match &feature.what {
                What::Value(..) => {
                    values.insert((feature.key, feature.units));
                    true
                }
                What::Key(_) => !values.contains(&(feature.key, feature.units)),
                What::Times(..) => numbers.insert(feature.group),
                _ => true,
            }
        });
    }
}
