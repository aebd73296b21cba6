"""Training on many machines, by Dask: estimators like the local ones, whose X is a dask array or data frame.

shard.py    a shard of the rows on a worker, and what is computed of it
shards.py   the rows as the client sees them; it stands where a local fit has X
rounds.py   rounds of work over shards, merged in a fixed order; cd.py and backprop.py say what the work is
cluster.py  tasks, workers that die and join
"""

from fastdbn.dask.estimators import DaskDBN, DaskDBNClassifier, DaskDBNRegressor, DaskRBM
from fastdbn.dask.evaluate import ais

__all__ = ["DaskDBN", "DaskDBNClassifier", "DaskDBNRegressor", "DaskRBM", "ais"]
