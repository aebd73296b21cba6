"""Clusters of this machine for measurements."""

import contextlib

import dask
from distributed import Client, LocalCluster


@contextlib.contextmanager
def cluster(n_workers, processes=True):
    """(cluster, client) of workers with a thread each; without processes they are threads of this one."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1h"}),  # or a slow start counts as a lost worker
        LocalCluster(n_workers=n_workers, threads_per_worker=1, processes=processes, dashboard_address=":0") as workers,
        Client(workers) as client,
    ):
        client.wait_for_workers(n_workers, timeout=300)
        yield workers, client
