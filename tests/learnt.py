"""What models have learnt, to compare exactly."""

import numpy as np
from sklearn.base import BaseEstimator


def learnt(value):
    """All that a model has learnt, as bytes; without parameters and times."""
    if isinstance(value, BaseEstimator):
        parameters = value.get_params(deep=False)
        return {k: learnt(x) for k, x in vars(value).items() if k not in parameters}
    if isinstance(value, dict):
        return {k: learnt(x) for k, x in value.items() if k != "seconds"}
    if isinstance(value, (list, tuple)):
        return [learnt(x) for x in value]
    return (value.dtype.str, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else repr(value)
