"""Every estimator on odd inputs: a right answer that is finite, a warning of ours, or an error that names the argument."""

import collections
import warnings

import odd_inputs
from hypothesis import HealthCheck, given, seed, settings

COUNT, OF, STEP = 10_000, "odd inputs", 250


def tried(number):
    """(outcomes, failures) of the examples of a seed."""
    found, failures = collections.Counter(), []

    @seed(number)
    @settings(max_examples=STEP, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(odd_inputs.estimators, odd_inputs.inputs(), odd_inputs.inputs())
    def check(estimator, rows, others):
        try:
            found[odd_inputs.outcome(estimator, rows, others)] += 1
        except Exception as error:
            failures.append(f"{odd_inputs.ESTIMATORS[estimator]}, {rows.words}; then {others.words}: {error!r:.200}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check()
    return found, failures


def run(first, count):
    for number in range(first, first + count, STEP):
        found, failures = tried(number)
        yield found.total() + len(failures), found, failures
