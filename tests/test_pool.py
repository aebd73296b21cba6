"""Threads of kernels: a team that waits at a gate, regions of blocks, both from many Python threads, after failures and forks."""

import multiprocessing
import threading

import numpy as np
import pytest
from test_threads import run_threads

from fastdbn.backends.cpu import pool
from fastdbn.backends.cpu.gate import wait
from fastdbn.backends.cpu.jit import kernel

MODULUS = 1_000_003
sizes = pytest.mark.parametrize("size", [1, 2, 3, 8])


@kernel
def take_turns(thread, size, gate, rounds, number, seen):
    """In each round another thread changes the number, by its old value; all look at it then."""
    turn = 0
    for t in range(rounds):
        if t % size == thread:
            number[0] = (3 * number[0] + t) % MODULUS
        turn = wait(gate, size, turn)
        seen[thread, t] = number[0]
        turn = wait(gate, size, turn)


@kernel
def pass_on(thread, size, gate, rounds, row):
    """In each round every thread writes down its neighbour's number, and then adds it to its own."""
    turn = 0
    for _ in range(rounds):
        left = row[(thread + 1) % size]
        turn = wait(gate, size, turn)
        row[thread] = (row[thread] + left) % MODULUS
        turn = wait(gate, size, turn)


@kernel
def mark(first, last, blocks):
    for t in range(first, last):
        blocks[t] += 1


@kernel
def wait_once(thread, size, gate, passed):
    wait(gate, size, 0)
    passed[thread] = 1


def check_team(size, rounds=100):
    """What threads write before a gate the others read behind it, every time."""
    number, seen, expected, x = np.ones(1, np.int64), np.zeros((size, rounds), np.int64), [], 1
    pool.team(size, take_turns, rounds, number, seen)
    for t in range(rounds):
        x = (3 * x + t) % MODULUS
        expected.append(x)
    assert (seen == expected).all()
    row = np.arange(size)
    pool.team(size, pass_on, rounds, row)
    x = np.arange(size)
    for _ in range(rounds):
        x = (x + np.roll(x, -1)) % MODULUS
    assert np.array_equal(row, x)


@sizes
def test_team(size):
    check_team(size)


@sizes
@pytest.mark.parametrize("blocks", [1, 2, 7, 100])
def test_run_does_every_block_once(size, blocks, split_everything):
    done = np.zeros(blocks, np.int64)
    pool.run(size, mark, blocks, 1e9, done)
    assert (done == 1).all()


def test_run_keeps_little_work_together(monkeypatch):
    """A region is not split for less than its threads are worth."""
    monkeypatch.setattr(pool, "_get_executor", None)
    done = np.zeros(100, np.int64)
    pool.run(8, mark, 100, 2 * pool.WORK_PER_THREAD - 1, done)
    assert (done == 1).all()


def test_teams_at_once(split_everything):
    """Teams of many sizes and regions, started from several Python threads, never wait for each other's workers."""

    def teams(size):
        for _ in range(10):
            check_team(size, 20)

    def regions():
        for _ in range(60):
            done = np.zeros(50, np.int64)
            pool.run(4, mark, 50, 1e9, done)
            assert (done == 1).all()

    works = [lambda size=size: teams(size) for size in (2, 3, 5, 2, 8, 3)]
    run_threads(*works, regions, regions)


@pytest.mark.parametrize("who", [0, 1, 4])
def test_a_thread_that_fails_releases_the_others(who):
    """Its error is raised once all have ended, and the next team works."""
    passed = np.zeros(5, np.int64)

    def fails(thread, size, gate, passed):
        if thread == who:
            raise RuntimeError(f"thread {thread} of {size}")
        wait_once(thread, size, gate, passed)

    def work():
        with pytest.raises(RuntimeError, match=f"thread {who} of 5"):
            pool.team(5, fails, passed)

    run_threads(work)
    assert passed.sum() == 4
    run_threads(lambda: check_team(5))


def test_workers_that_cannot_be_had_release_the_others(monkeypatch):
    """A team that cannot be completed fails; those who had begun end."""
    passed, submit = np.zeros(3, np.int64), []
    executor = pool._get_executor(3)

    class Short:
        def submit(self, *work):
            if submit:
                raise RuntimeError("cannot schedule new futures")
            submit.append(executor.submit(*work))
            return submit[0]

    monkeypatch.setattr(pool, "_get_executor", lambda n: Short())

    def work():
        with pytest.raises(RuntimeError, match="cannot schedule"):
            pool.team(3, wait_once, passed)

    run_threads(work)
    assert submit[0].done()
    assert list(passed) == [0, 1, 0]


def child(queue):
    check_team(3, 20)
    done = np.zeros(9, np.int64)
    pool.run(3, mark, 9, 1e9, done)
    queue.put(int(done.sum()))


def test_after_a_fork(split_everything):
    """A child forked from a process with workers, at rest or in the midst of teams, has teams of its own."""
    check_team(3)
    enough = threading.Event()
    context = multiprocessing.get_context("fork")

    def busy():
        while not enough.is_set():
            check_team(2, 50)

    def fork():
        queue = context.Queue()
        process = context.Process(target=child, args=(queue,), daemon=True)
        process.start()
        try:
            assert queue.get(timeout=60) == 9
        finally:
            process.join(10)
            process.kill()

    fork()
    thread = threading.Thread(target=busy, daemon=True)
    thread.start()
    try:
        fork()
    finally:
        enough.set()
        thread.join(60)
    assert not thread.is_alive()
