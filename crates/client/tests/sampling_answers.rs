//! What the server's encoder writes about sampling, the client reads: both spellings, with operations and without.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where something is not as it should be")]

use tracewell::sampler::{OperationStrategies, RemoteSampler, Strategy, StrategyForm};
use tracewell_wire::jaeger::{
    OperationSampling, SamplingRule, SamplingStrategy, SamplingTypeForm, encode_sampling_json,
};

fn encoded(strategy: &SamplingStrategy, form: SamplingTypeForm) -> Vec<u8> {
    let mut json = vec![];
    encode_sampling_json(strategy, form, &mut json);
    json
}

#[test]
fn answers_are_read_as_they_are_meant() {
    let rates = vec![("GET \"/\" \u{e4}".to_owned(), 0.00001), ("never".to_owned(), 0.0)];
    let lower_bound = 0.0167;
    let operations = OperationSampling {
        default_rate: 0.001,
        lower_bound_traces_per_second: lower_bound,
        upper_bound_traces_per_second: 0.0,
        rates: rates.clone(),
    };
    let rates = rates.into_iter().map(|(operation, rate)| (operation.into(), rate)).collect();
    let per_operation = OperationStrategies { default_rate: 0.001, lower_bound, operations: rates };
    let (share, limit) = (SamplingRule::Probabilistic(0.25), SamplingRule::RateLimiting(7));
    for (rule, operations, expected) in [
        (share, None, Strategy::Probabilistic { rate: 0.25 }),
        (limit, None, Strategy::RateLimiting { traces_per_second: 7.0 }),
        (share, Some(operations.clone()), Strategy::PerOperation(per_operation.clone())),
        (limit, Some(operations), Strategy::PerOperation(per_operation)),
    ] {
        let told = SamplingStrategy { rule, operations };
        for (written, read) in
            [(SamplingTypeForm::Names, StrategyForm::Names), (SamplingTypeForm::Numbers, StrategyForm::Numbers)]
        {
            assert_eq!(Strategy::from_json(&encoded(&told, written), read).unwrap(), expected);
        }
        RemoteSampler::default().update_from_json(&encoded(&told, SamplingTypeForm::Names)).unwrap();
    }
}
