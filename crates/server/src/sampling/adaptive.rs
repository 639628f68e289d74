//! Adaptive sampling: from the roots that arrived, a probability for each operation by which about so many traces a second
//! come from it as were asked for.
//!
//! In the spirit of Jaeger's: one initial probability, a tolerance, slow steps up, any step down at once. Each root tells the
//! probability by which it was sampled, so the traces behind it are estimated root by root (one of probability p stands for
//! 1/p traces), and it does not matter which clients have taken over the last answer already. Roots by a probability that was
//! not answered lately are somebody else's decision and do not count.
//!
//! Nothing is kept over a restart: the roots tell what their clients were told. A function of what it is given, no clock.

use super::roots::{OPERATIONS_MAX, Roots, Sampled};
use crate::options::Options;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tracewell_wire::jaeger::{OperationSampling, SamplingRule, SamplingStrategy};

/// Operations of one service: as many as clients keep samplers for.
const SERVICE_OPERATIONS_MAX: usize = 2000;
/// Rounds without a root after which an operation is forgotten. Its clients keep what they were told.
const FORGOTTEN_ROUNDS: u32 = 10;
/// Probabilities from before that still count: clients ask once a minute, and spans take their time.
const FORMER_PROBABILITIES: usize = 3;
/// Against too many traces, probabilities grow by this factor a round at most.
const GROWTH_MAX: f64 = 1.5;
/// Where nothing was sampled by the probability, there is nothing to compute from.
const BLIND_GROWTH: f64 = 2.0;
/// Some clients print their tags with few digits.
const EQUAL_WITHIN: f64 = 1e-3;

/// What adaptive sampling aims at.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdaptiveSettings {
    pub(super) target_traces_per_second: f64,
    pub(super) initial_probability: f64,
    pub(super) min_probability: f64,
    pub(super) min_traces_per_second: f64,
    pub(super) delta_tolerance: f64,
}

/// The probabilities of all operations.
#[derive(Debug)]
pub(super) struct Adaptive {
    settings: AdaptiveSettings,
    services: BTreeMap<Box<str>, BTreeMap<Box<str>, Operation>>,
    operations: usize,
}

/// What services are told.
#[derive(Debug)]
pub(super) struct Answers {
    services: HashMap<Box<str>, Arc<SamplingStrategy>>,
    other: Arc<SamplingStrategy>,
}

#[derive(Debug, Clone, Copy)]
struct Operation {
    probability: f64,
    former: [f64; FORMER_PROBABILITIES],
    idle_rounds: u32,
}

impl AdaptiveSettings {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            target_traces_per_second: options.sampling_target_traces_per_second.0,
            initial_probability: options.sampling_initial_probability,
            min_probability: options.sampling_min_probability,
            min_traces_per_second: options.sampling_min_traces_per_second.0,
            delta_tolerance: options.sampling_delta_tolerance,
        }
    }
}

impl Answers {
    pub(super) fn of_service(&self, service: &str) -> Arc<SamplingStrategy> {
        Arc::clone(self.services.get(service).unwrap_or(&self.other))
    }
}

impl Adaptive {
    pub(super) fn new(settings: AdaptiveSettings) -> Self {
        Self { settings, services: BTreeMap::new(), operations: 0 }
    }

    /// How many operations have a probability of their own.
    pub(super) fn operations(&self) -> usize {
        self.operations
    }

    /// One round: the roots that arrived within a time. How many operations had no place.
    pub(super) fn recalculate(&mut self, roots: &Roots, passed: Duration) -> u64 {
        let seconds = passed.as_secs_f64();
        let mut dropped = 0;
        for operation in self.services.values_mut().flat_map(BTreeMap::values_mut) {
            operation.idle_rounds += 1;
        }
        for (service, operations) in &roots.services {
            for (name, sampled) in operations {
                let settings = self.settings;
                match self.operation(service, name, sampled) {
                    Some(operation) => operation.follow(sampled, seconds, &settings),
                    None => dropped += 1,
                }
            }
        }
        self.services.retain(|_, operations| {
            operations.retain(|_, operation| operation.idle_rounds < FORGOTTEN_ROUNDS);
            !operations.is_empty()
        });
        self.operations = self.services.values().map(BTreeMap::len).sum();
        dropped
    }

    /// What every service is to be told now.
    pub(super) fn answers(&self) -> Answers {
        let strategy = |rates| {
            let AdaptiveSettings { initial_probability, min_traces_per_second, .. } = self.settings;
            Arc::new(SamplingStrategy {
                rule: SamplingRule::Probabilistic(initial_probability),
                operations: Some(OperationSampling {
                    default_rate: initial_probability,
                    lower_bound_traces_per_second: min_traces_per_second,
                    upper_bound_traces_per_second: 0.0,
                    rates,
                }),
            })
        };
        let services = self.services.iter().map(|(service, operations)| {
            let rates = operations.iter().map(|(name, operation)| (name.to_string(), operation.probability));
            (service.clone(), strategy(rates.collect()))
        });
        Answers { services: services.collect(), other: strategy(vec![]) }
    }

    /// A known operation, or a new one that begins with what its roots were sampled by.
    fn operation(&mut self, service: &str, name: &str, sampled: &[Sampled]) -> Option<&mut Operation> {
        let of_service = self.services.get(service);
        if !of_service.is_some_and(|operations| operations.contains_key(name)) {
            let has_place = of_service.is_none_or(|operations| operations.len() < SERVICE_OPERATIONS_MAX);
            if self.operations == OPERATIONS_MAX || !has_place {
                return None;
            }
            let probability = sampled.iter().max_by_key(|sampled| sampled.count)?.probability;
            let former = [probability; FORMER_PROBABILITIES];
            let operation = Operation { probability, former, idle_rounds: 0 };
            self.services.entry(service.into()).or_default().insert(name.into(), operation);
            self.operations += 1;
        }
        self.services.get_mut(service)?.get_mut(name)
    }
}

impl Operation {
    /// The next probability, from what was sampled by this one and those before it.
    fn follow(&mut self, sampled: &[Sampled], seconds: f64, settings: &AdaptiveSettings) {
        let mine: Vec<&Sampled> = sampled.iter().filter(|sampled| self.was_told(sampled.probability)).collect();
        if mine.is_empty() {
            return;
        }
        self.idle_rounds = 0;
        let by_probability = mine.iter().filter(|sampled| !sampled.guaranteed);
        let traces: f64 = by_probability.map(|sampled| sampled.count as f64 / sampled.probability).sum();
        let next = match traces {
            0.0 => self.probability * BLIND_GROWTH,
            _ => self.next(traces / seconds * self.probability, settings),
        };
        let next = next.max(settings.min_probability).min(1.0);
        if next != self.probability {
            self.former.rotate_right(1);
            self.former[0] = self.probability;
            self.probability = next;
        }
    }

    /// `rate` is how many traces a second this probability would give.
    fn next(&self, rate: f64, settings: &AdaptiveSettings) -> f64 {
        let target = settings.target_traces_per_second;
        let exact = self.probability * target / rate;
        match rate {
            _ if (rate - target).abs() < target * settings.delta_tolerance => self.probability,
            _ => exact.min(self.probability * GROWTH_MAX),
        }
    }

    fn was_told(&self, probability: f64) -> bool {
        let equal = |told: f64| (told - probability).abs() <= told * EQUAL_WITHIN;
        equal(self.probability) || self.former.into_iter().any(equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::roots::Tally;

    const ROUND: Duration = Duration::from_secs(60);

    fn adaptive() -> Adaptive {
        Adaptive::new(AdaptiveSettings::new(&Options::default()))
    }

    fn told(adaptive: &Adaptive, operation: &str) -> f64 {
        let strategy = adaptive.answers().of_service("shop");
        let operations = strategy.operations.as_ref().unwrap();
        let own = operations.rates.iter().find(|(name, _)| name == operation);
        own.map_or(operations.default_rate, |(_, rate)| *rate)
    }

    /// Numbers that look random and are the same each time.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        /// About so many, a whole number.
        fn about(&mut self, expected: f64) -> u64 {
            let spread = expected.sqrt() * (self.roll() + self.roll() + self.roll() - 1.5) * 2.0;
            (expected + spread + self.roll()).max(0.0) as u64
        }
    }

    /// What clients send in a round: half of it by what they were told in the round before.
    fn clients(
        tally: &mut Tally<'_>,
        dice: &mut Dice,
        operation: &'static str,
        per_second: f64,
        told: [f64; 2],
    ) -> u64 {
        let mut sampled = 0;
        for probability in told {
            let count = dice.about(per_second * 30.0 * probability);
            *tally.entry(("shop", operation, probability.to_bits(), false)).or_insert(0) += count;
            sampled += count;
        }
        if sampled == 0 {
            *tally.entry(("shop", operation, told[1].to_bits(), true)).or_insert(0) += 1;
        }
        tally.retain(|_, count| *count > 0);
        sampled
    }

    fn rounds(adaptive: &mut Adaptive, count: u32, mut traffic: impl FnMut(&mut Tally<'_>, &Adaptive)) {
        for _ in 0..count {
            let mut tally = Tally::new();
            traffic(&mut tally, adaptive);
            let mut roots = Roots::default();
            roots.add(&tally);
            assert_eq!(adaptive.recalculate(&roots, ROUND), 0);
        }
    }

    #[test]
    fn operations_of_any_traffic_come_to_the_target() {
        for (operation, per_second, expected) in
            [("rare", 0.2, 1.0), ("one", 1.0, 1.0), ("some", 40.0, 0.025), ("many", 20_000.0, 0.00005)]
        {
            let (mut adaptive, mut dice, mut before) = (adaptive(), Dice(7), 0.001);
            let (mut sampled, mut round) = (0, 0);
            rounds(&mut adaptive, 60, |tally, adaptive| {
                let now = told(adaptive, operation);
                let count = clients(tally, &mut dice, operation, per_second, [before, now]);
                before = now;
                round += 1;
                sampled += if round > 30 { count } else { 0 };
            });
            let found = told(&adaptive, operation);
            assert!((0.6..1.7).contains(&(found / expected)), "{operation}: {found}");
            let rate = sampled as f64 / (30.0 * 60.0);
            let target = per_second.min(1.0);
            assert!((0.6..1.5).contains(&(rate / target)), "{operation}: {rate} traces a second");
        }
    }

    #[test]
    fn a_burst_is_met_at_once_and_its_end_slowly() {
        let (mut adaptive, mut dice) = (adaptive(), Dice(1));
        let mut at = |adaptive: &mut Adaptive, per_second: f64, count: u32| {
            rounds(adaptive, count, |tally, adaptive| {
                let now = told(adaptive, "op");
                clients(tally, &mut dice, "op", per_second, [now, now]);
            });
            told(adaptive, "op")
        };
        let calm = at(&mut adaptive, 10.0, 40);
        assert!((0.07..0.15).contains(&calm), "{calm}");
        let burst = at(&mut adaptive, 1000.0, 1);
        assert!((0.0007..0.0015).contains(&burst), "{burst}");
        let after = at(&mut adaptive, 10.0, 1);
        assert!(after <= burst * 2.0, "{after}");
        let calm = at(&mut adaptive, 10.0, 40);
        assert!((0.07..0.15).contains(&calm), "{calm}");
    }

    #[test]
    fn a_restart_goes_on_with_what_clients_were_told() {
        let mut adaptive = adaptive();
        rounds(&mut adaptive, 1, |tally, _| {
            tally.insert(("shop", "op", 0.25f64.to_bits(), false), 60);
        });
        assert_eq!(told(&adaptive, "op"), 0.25);
        assert_eq!(told(&adaptive, "another"), 0.001);
    }

    #[test]
    fn roots_sampled_by_another_rule_do_not_count() {
        let (mut adaptive, mut dice) = (adaptive(), Dice(3));
        rounds(&mut adaptive, 30, |tally, adaptive| {
            let now = told(adaptive, "op");
            clients(tally, &mut dice, "op", 100.0, [now, now]);
        });
        let alone = told(&adaptive, "op");
        rounds(&mut adaptive, 5, |tally, adaptive| {
            let now = told(adaptive, "op");
            clients(tally, &mut dice, "op", 100.0, [now, now]);
            tally.insert(("shop", "op", 0.5f64.to_bits(), false), 1_000_000);
        });
        assert!((0.7..1.4).contains(&(told(&adaptive, "op") / alone)));
    }

    #[test]
    fn what_is_silent_keeps_its_probability_until_it_is_forgotten() {
        let mut adaptive = adaptive();
        rounds(&mut adaptive, 1, |tally, _| {
            tally.insert(("shop", "op", 0.25f64.to_bits(), false), 60);
        });
        rounds(&mut adaptive, FORGOTTEN_ROUNDS - 1, |_, _| {});
        assert_eq!((told(&adaptive, "op"), adaptive.operations()), (0.25, 1));
        rounds(&mut adaptive, 1, |_, _| {});
        assert_eq!((told(&adaptive, "op"), adaptive.operations()), (0.001, 0));
    }

    #[test]
    fn a_service_has_so_many_operations_and_no_more() {
        let names: Vec<String> = (0..SERVICE_OPERATIONS_MAX + 5).map(|at| at.to_string()).collect();
        let tally: Tally<'_> = names.iter().map(|name| (("shop", name.as_str(), 1f64.to_bits(), false), 60)).collect();
        let mut roots = Roots::default();
        roots.add(&tally);
        let mut adaptive = adaptive();
        assert_eq!(adaptive.recalculate(&roots, ROUND), 5);
        assert_eq!(adaptive.operations(), SERVICE_OPERATIONS_MAX);
    }

    #[test]
    fn probabilities_stay_in_their_bounds() {
        let mut adaptive = adaptive();
        rounds(&mut adaptive, 1, |tally, _| {
            tally.insert(("shop", "flood", 1f64.to_bits(), false), u64::MAX / 4);
            tally.insert(("shop", "calm", 1f64.to_bits(), false), 1);
        });
        assert_eq!((told(&adaptive, "flood"), told(&adaptive, "calm")), (1e-5, 1.0));
    }
}
