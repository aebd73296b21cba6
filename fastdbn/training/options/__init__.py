"""Training options, one in each file; option.py says what an option is.

The order of `OPTIONS` is that in which each hook runs: weights of rows scale what sparsity has changed, and fast weights follow
parameters that L1 and max-norm have changed. The first frozen machine has the initial biases before centering moves them.
"""

from fastdbn.training.options.centering import Centering
from fastdbn.training.options.fast_weights import FastWeights
from fastdbn.training.options.l1 import L1
from fastdbn.training.options.learned_variances import LearnedVariances
from fastdbn.training.options.max_norm import MaxNorm
from fastdbn.training.options.missing_values import MissingValues
from fastdbn.training.options.row_weights import RowWeights
from fastdbn.training.options.sparsity import Sparsity
from fastdbn.training.options.steered_rate import SteeredRate
from fastdbn.training.options.tempering import Tempering
from fastdbn.training.options.totals import Totals
from fastdbn.training.options.trajectory import Trajectory

OPTIONS = (
    LearnedVariances,
    MissingValues,
    Totals,
    Trajectory,
    Centering,
    Sparsity,
    RowWeights,
    L1,
    MaxNorm,
    FastWeights,
    Tempering,
    SteeredRate,
)


def options_of(rbm, visible, hidden):
    """The options that the parameters of an RBM ask for, checked; visible is None where it is not known yet."""
    return tuple(option for option in (kind.of(rbm, visible, hidden) for kind in OPTIONS) if option is not None)
