//! `sampler FILE`: trace ids, clocks and strategies in; decisions, tags and balances out.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tracewell::sampler::{
    AnySampler, ConstSampler, DEFAULT_LOWER_BOUND, DEFAULT_SAMPLING_RATE, Decision, GuaranteedThroughputSampler,
    OPERATIONS_MAX, OperationStrategies, PerOperationSampler, ProbabilisticSampler, RateLimitingSampler, RemoteSampler,
    RemoteUpdate, Sampler, SamplerParam, SamplerTags, Strategy, StrategyForm,
};
use tracewell::{Clock, DebugThrottler, TraceId};

use crate::compare::{difference, list, number, text};
use crate::tally::Tally;

pub(crate) fn check(vectors: &Value) -> anyhow::Result<Tally> {
    type Check = fn(&str, &Value, &mut Tally) -> anyhow::Result<()>;
    const SECTIONS: [(&str, Check); 7] = [
        ("const", check_const),
        ("probabilistic", check_probabilistic),
        ("ratelimiting", check_rate_limiting),
        ("guaranteed_throughput", check_guaranteed_throughput),
        ("adaptive", check_adaptive),
        ("remote", check_remote),
        ("config", check_config),
    ];
    let mut tally = Tally::default();
    for (section, check) in SECTIONS {
        for (index, entry) in list(vectors, section)?.iter().enumerate() {
            let name = format!("{section}[{index}]");
            if let Err(error) = check(&name, entry, &mut tally) {
                tally.case(name, Some(format!("{error:#}")));
            }
        }
    }
    check_throttler(list(vectors, "throttler")?, &mut tally)?;
    if !vectors["aiozipkin"].is_null() {
        tally.leave_out("aiozipkin: Python's random numbers for a seed, which no trace id enters into");
    }
    Ok(tally)
}

/// A clock that stands where a recorded run had it.
struct RecordedClock(Mutex<f64>);

impl RecordedClock {
    /// Where the recorded runs began.
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(1000.0)))
    }

    fn advance(&self, step: &Value) -> anyhow::Result<()> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += number(step, "dt")?;
        Ok(())
    }
}

impl Clock for RecordedClock {
    fn seconds(&self) -> f64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_const(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let sampler = ConstSampler::new(entry["decision"].as_bool().context("decision should be true or false")?);
    tally.case(name, difference(&decision_of(entry), &decision_in_words(sampler.sample(TraceId::new(1), ""))));
    Ok(())
}

fn check_probabilistic(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let sampler = match (entry["constructor"].is_null(), ProbabilisticSampler::new(number(entry, "rate")?)) {
        (false, made) => {
            tally.case(name, made.ok().map(|sampler| format!("expected an error, found {sampler}")));
            return Ok(());
        }
        (true, made) => made?,
    };
    for case in list(entry, "cases")? {
        let id = text(case, "trace_id_hex")?;
        let expected = json!({"sampled": case["sampled"], "tags": entry["tags"]});
        let found = decision_in_words(sampler.sample(trace_id(case)?, ""));
        tally.case(format!("{name} rate {} id {id}", sampler.rate()), difference(&expected, &found));
    }
    Ok(())
}

fn check_rate_limiting(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let rate = number(entry, "max_traces_per_second")?;
    if !entry["constructor"].is_null() {
        let made = RateLimitingSampler::new(rate);
        tally.case(name, made.ok().map(|sampler| format!("expected an error, found {sampler}")));
        return Ok(());
    }
    let clock = RecordedClock::new();
    let filled = number(entry, "random_for_initial_balance")?;
    let sampler = RateLimitingSampler::with_clock(rate, Arc::clone(&clock) as Arc<dyn Clock>, filled)?;
    tally.case(format!("{name} at first"), difference(&balance(entry, "initial_balance")?, &json!(sampler.balance())));
    let steps = list(entry, "sequence")?;
    let mut decided = None;
    for (index, step) in steps.iter().enumerate() {
        let name = format!("{name} step {index}");
        if !step["update_to"].is_null() {
            let changed = sampler.update(number(step, "update_to")?)?;
            let expected = json!({"changed": step["changed"], "balance": balance(step, "balance_after")?});
            tally.case(name, difference(&expected, &json!({"changed": changed, "balance": sampler.balance()})));
            continue;
        }
        clock.advance(step)?;
        let decision = sampler.sample(TraceId::new(1), "");
        decided = Some(decision);
        let expected = json!({"sampled": step["sampled"], "balance": balance(step, "balance")?});
        tally.case(name, difference(&expected, &json!({"sampled": decision.sampled, "balance": sampler.balance()})));
    }
    // The file has the tags that held at the end.
    let tags = decided.map(|decision| tags_in_words(decision.tags)).context("a sequence should have a decision")?;
    tally.case(format!("{name} tags"), difference(&entry["tags"], &tags));
    Ok(())
}

fn check_guaranteed_throughput(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let clock = RecordedClock::new();
    let filled = number(entry, "random_for_initial_balance")?;
    let (lower_bound, rate) = (number(entry, "lower_bound")?, number(entry, "rate")?);
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let sampler = GuaranteedThroughputSampler::with_clock(lower_bound, rate, shared, filled)?;
    for (index, step) in list(entry, "sequence")?.iter().enumerate() {
        if !step["update"].is_null() {
            sampler.update(number(&step["update"], "lower_bound")?, number(&step["update"], "rate")?)?;
            continue;
        }
        clock.advance(step)?;
        let mut expected = decision_of(step);
        expected["balance"] = balance(step, "lower_bound_balance")?;
        let mut found = decision_in_words(sampler.sample(trace_id(step)?, ""));
        found["balance"] = json!(sampler.lower_bound().balance());
        tally.case(format!("{name} step {index}"), difference(&expected, &found));
    }
    tally.case(format!("{name} in words"), different_words(text(entry, "str")?, &sampler.to_string()));
    Ok(())
}

fn check_adaptive(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let clock = RecordedClock::new();
    let operations_max = entry["max_operations"].as_u64().map_or(OPERATIONS_MAX, |max| max as usize);
    let filled = match entry["random_for_initial_balance"].as_f64() {
        Some(1.0) => || 1.0,
        None | Some(0.0) => || 0.0,
        Some(other) => bail!("buckets filled to {other} are not provided for"),
    };
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let sampler = PerOperationSampler::with_clock(&operations(&entry["strategies"])?, operations_max, shared, filled)?;
    for (index, step) in list(entry, "sequence")?.iter().enumerate() {
        let name = format!("{name} step {index}");
        if !step["update"].is_null() {
            sampler.update(&operations(&entry["strategies2"])?)?;
            let failure = different_words(text(step, "str")?, &sampler.to_string());
            let names = difference(&step["known_operations"], &json!(sampler.operation_names()));
            tally.case(name, failure.or(names));
            continue;
        }
        clock.advance(step)?;
        let mut expected = decision_of(step);
        expected["operations"] = step["known_operations"].clone();
        let mut found = decision_in_words(sampler.sample(trace_id(step)?, text(step, "operation")?));
        found["operations"] = json!(sampler.operation_names());
        tally.case(name, difference(&expected, &found));
    }
    if let Some(expected) = entry["str"].as_str() {
        tally.case(format!("{name} in words"), different_words(expected, &sampler.to_string()));
    }
    if !entry["is_sampled_max_id"].is_null() {
        let expected = json!({"sampled": entry["is_sampled_max_id"], "tags": entry["tags"]});
        let found = decision_in_words(sampler.sample(TraceId::new(u128::from(u64::MAX)), "op"));
        tally.case(format!("{name} highest id"), difference(&expected, &found));
    }
    Ok(())
}

fn check_remote(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = RecordedClock::new();
    let before = entry["before"].as_str().unwrap_or("ProbabilisticSampler(0.001)");
    let sampler = RemoteSampler::with_clock(sampler_in_words(before)?, OPERATIONS_MAX, clock, || 0.0);
    // An answer in words stands for one that is no JSON.
    let answer = entry["response"].as_str().map_or_else(|| entry["response"].to_string(), str::to_owned);
    let outcome = sampler.update_from_json(answer.as_bytes());
    let metric = |name: &str| entry["metrics"][name].as_u64().unwrap_or(0);
    let expected = json!({
        "changed": entry["changed"].as_bool().unwrap_or(false),
        "update_failed": metric("jaeger:sampler_updates.result_err") > 0,
        "query_failed": metric("jaeger:sampler_queries.result_err") > 0,
    });
    let found = json!({
        "changed": matches!(outcome, Ok(RemoteUpdate::Changed)),
        "update_failed": outcome.as_ref().is_err_and(|error| !error.is_query_failure()),
        "query_failed": outcome.as_ref().is_err_and(|error| error.is_query_failure()),
    });
    let words = different_words(text(entry, "after")?, &sampler.to_string());
    tally.case(name, difference(&expected, &found).or(words));
    Ok(())
}

fn check_config(name: &str, entry: &Value, tally: &mut Tally) -> anyhow::Result<()> {
    let expected = text(entry, "sampler")?;
    let param = match &entry["config"]["param"] {
        Value::Null => None,
        Value::String(param) => Some(param.clone()),
        other => Some(other.to_string()),
    };
    let found = match entry["config"]["type"].as_str() {
        None => "None".to_owned(),
        Some(kind) => match AnySampler::from_config(kind, param.as_deref()) {
            Ok(sampler) => sampler.to_string(),
            Err(error) if expected.contains("Error: ") => {
                let unknown_type = expected.contains("Unknown sampler type");
                let said = error.to_string();
                tally.case(name, (unknown_type != said.contains("unknown sampler type")).then_some(said));
                return Ok(());
            }
            Err(error) => error.to_string(),
        },
    };
    tally.case(name, different_words(expected, &found));
    Ok(())
}

/// Steps of one throttler: `is_allowed(operation)`, where `credits` are those before it.
fn check_throttler(steps: &[Value], tally: &mut Tally) -> anyhow::Result<()> {
    let throttler = DebugThrottler::default();
    for (index, step) in steps.iter().enumerate() {
        let name = format!("throttler[{index}]");
        for (operation, credits) in step["credits"].as_object().into_iter().flatten() {
            let credits = credits.as_f64().context("credits should be numbers")?;
            let given = credits - throttler.balance(operation);
            let answer = json!({"balances": [{"operation": operation, "balance": given}]});
            if given > 0.0 {
                throttler.add_credits(answer.to_string().as_bytes())?;
            }
            let left = difference(&json!(credits), &json!(throttler.balance(operation)));
            tally.case(format!("{name} credits of {operation}"), left);
        }
        let op = text(step, "op")?;
        let asked = op.strip_prefix("is_allowed(").and_then(|rest| rest.split(')').next());
        match (asked, step["result"].as_bool()) {
            (Some(operation), Some(result)) => {
                tally.case(name, difference(&json!(result), &json!(throttler.allow(operation))));
            }
            _ => tally.leave_out(format!("{name}: {op} (no outcome recorded)")),
        }
    }
    Ok(())
}

fn trace_id(case: &Value) -> anyhow::Result<TraceId> {
    Ok(TraceId::new(u128::from_str_radix(text(case, "trace_id_hex")?, 16)?))
}

fn operations(strategies: &Value) -> anyhow::Result<OperationStrategies> {
    if strategies.as_object().is_some_and(serde_json::Map::is_empty) {
        return Ok(OperationStrategies::default());
    }
    let answer = json!({"operationSampling": strategies}).to_string();
    match Strategy::from_json(answer.as_bytes(), StrategyForm::Names)? {
        Strategy::PerOperation(operations) => Ok(operations),
        other => bail!("read as {other:?}"),
    }
}

fn balance(value: &Value, member: &str) -> anyhow::Result<Value> {
    Ok(json!(number(value, member)?))
}

fn decision_of(entry: &Value) -> Value {
    json!({"sampled": entry["sampled"], "tags": entry["tags"]})
}

fn decision_in_words(decision: Decision) -> Value {
    json!({"sampled": decision.sampled, "tags": tags_in_words(decision.tags)})
}

fn tags_in_words(tags: SamplerTags) -> Value {
    let param = match tags.param {
        SamplerParam::Bool(value) => json!(value),
        SamplerParam::Number(value) => json!(value),
    };
    json!({SamplerTags::TYPE_KEY: tags.sampler_type.name(), SamplerTags::PARAM_KEY: param})
}

/// The samplers' own words differ: jaeger-client's have other names, an operation, `True`, and numbers cut to six places.
fn different_words(expected: &str, found: &str) -> Option<String> {
    let normal = |words: &str| -> Option<(String, Vec<f64>)> {
        let (name, arguments) = words.strip_suffix(')')?.split_once('(')?;
        let name = match name {
            "AdaptiveSampler" => "PerOperationSampler",
            "GuaranteedThroughputProbabilisticSampler" => "GuaranteedThroughputSampler",
            name => name,
        };
        let number = |argument: &str| match argument.trim() {
            "True" | "true" => Some(1.0),
            "False" | "false" => Some(0.0),
            number => number.parse().ok(),
        };
        Some((name.to_owned(), arguments.split(',').filter_map(number).collect()))
    };
    let same = match (normal(expected), normal(found)) {
        (Some((name, numbers)), Some((found_name, found_numbers))) => {
            name == found_name
                && numbers.len() == found_numbers.len()
                && numbers.iter().zip(&found_numbers).all(|(a, b)| (a - b).abs() <= 5e-7)
        }
        _ => expected == found,
    };
    (!same).then(|| format!("expected {expected}, found {found}"))
}

fn sampler_in_words(words: &str) -> anyhow::Result<AnySampler> {
    let argument = words.split(['(', ')']).nth(1).unwrap_or_default();
    Ok(match words.split('(').next() {
        Some("ProbabilisticSampler") => ProbabilisticSampler::new(argument.parse()?)?.into(),
        Some("RateLimitingSampler") => RateLimitingSampler::new(argument.parse()?)?.into(),
        Some("ConstSampler") => ConstSampler::new(argument == "True").into(),
        Some("AdaptiveSampler") => {
            let strategies = OperationStrategies {
                default_rate: argument
                    .split(',')
                    .next()
                    .and_then(|rate| rate.parse().ok())
                    .unwrap_or(DEFAULT_SAMPLING_RATE),
                lower_bound: DEFAULT_LOWER_BOUND,
                operations: Vec::new(),
            };
            PerOperationSampler::new(&strategies, OPERATIONS_MAX)?.into()
        }
        _ => bail!("unknown sampler {words}"),
    })
}
