"""Every estimator on odd inputs, in short; ``python -m benchmarks.robustness inputs`` tries more."""

import odd_inputs
from hypothesis import HealthCheck, given, seed, settings


@seed(0)
@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(odd_inputs.estimators, odd_inputs.inputs(), odd_inputs.inputs())
def test_odd_inputs(number, rows, others):
    odd_inputs.outcome(number, rows, others)
