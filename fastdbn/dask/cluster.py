"""A Dask cluster as training sees it: pure tasks, a place for each shard, and results that killed workers cannot change.

A task is a function of its arguments alone, so it may run twice, anywhere, and gives the same bits. Dask runs the tasks of a
worker that died on another one. If it gives up, because workers died too often under one task, all is submitted anew.
"""

import contextlib
import uuid
import warnings
from concurrent.futures import CancelledError

from distributed import Client, get_client
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

RETRIES = 3
"""How often Dask repeats a task that raised an error."""
TRIES = 10
"""How often tasks are submitted before the error of a cluster becomes that of the fit."""
LOST = CancelledError, CommClosedError, KilledWorker
"""Errors that say that a cluster lost results, not that a task is wrong."""


def client_of(client):
    """A client: the given one, or that of the present process.

    Raises
    ------
    ValueError
        if there is none.
    """
    if client is None:
        with contextlib.suppress(ValueError):
            return get_client()
        raise ValueError("client=None, and this process has no Dask client: make one by dask.distributed.Client(address)")
    if not isinstance(client, Client):
        raise ValueError(f"client={client!r}: give a dask.distributed.Client, or None for that of this process")
    return client


def forget(futures):
    """Let a scheduler forget tasks, or it gives up at once on all that needs those on which it gave up before.

    References alone do not do that: an error holds futures in a circle.
    """
    for future in futures or ():
        future.release()


def _same(x):
    return x


class Cluster:
    """The workers behind a client, each of which has some shards.

    Parameters
    ----------
    client : distributed.Client
    n_shards : int
    """

    def __init__(self, client, n_shards):
        self.client, self.places = client, [None] * n_shards

    def results(self, build, renew):
        """The results of tasks.

        Parameters
        ----------
        build : callable of no arguments
            Submits the tasks and returns a list of futures.
        renew : callable of no arguments
            Called before another try, because what the tasks take may be lost too.
        """
        left = TRIES
        while True:
            futures = []
            try:
                self._place()
                futures = build()
                return self.client.gather(futures)
            except LOST:
                left -= 1
                if not left or self.client.status != "running":
                    raise
            forget(futures)
            renew()

    def submit(self, function, *arguments, shard=None):
        """The future of a task; that of a shard runs where the shard is, if that worker lives."""
        place = None if shard is None else self.places[shard]
        where = {} if place is None else {"workers": [place], "allow_other_workers": True}
        key = f"{function.__name__.strip('_')}-{uuid.uuid4().hex}"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")  # parameters, once in a while
            return self.client.submit(function, *arguments, key=key, pure=False, retries=RETRIES, **where)

    def put(self, x):
        """The future of an object. Unlike scattered data it is never lost, because the scheduler can make it again."""
        return self.submit(_same, x)

    def _place(self):
        """Give each shard a worker: the one that it had, unless that died or has more than its share."""
        threads = self.client.nthreads()
        if not threads:
            return
        share = -(-len(self.places) // sum(threads.values()))
        free = {worker: share * n for worker, n in sorted(threads.items())}
        for shard, worker in enumerate(self.places):
            if free.get(worker, 0):
                free[worker] -= 1
            else:
                self.places[shard] = None
        for shard in [shard for shard, worker in enumerate(self.places) if worker is None]:
            worker = max(free, key=free.__getitem__)
            self.places[shard] = worker
            free[worker] -= 1
