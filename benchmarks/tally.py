"""Counts of what each thread of a team does between two gates, and of the lines of the cache that move to it."""

from collections import Counter

import numpy as np

from fastdbn.backends.cpu.simd import LINE


class Tally:
    """What each thread does in each stage, between two gates.

    stages[thread][stage] is a Counter: "multiplications" that dense products would take, "bytes" read and written of weights and
    states, "draws", "moved" bytes, and numbers of what takes time. Lines of the cache move that are read and that another thread
    wrote, or that are written and that another thread has read or written. `labels` names the operations of a stage.
    `cells[label]` are the parts of matrices that it covered: stage, thread, rectangle.
    """

    def __init__(self):
        self.stages, self.labels, self.cells, self.seen, self.thread = [], {}, {}, {}, 0

    def begin(self, thread):
        self.thread = thread
        self.stages.append([Counter()])

    def gate(self):
        self.stages[-1].append(Counter())

    def add(self, label, rectangle=None, **amounts):
        stage = len(self.stages[-1]) - 1
        self.labels.setdefault(stage, {})[label] = None
        if rectangle is not None:
            self.cells.setdefault(label, []).append((stage, self.thread, *map(int, rectangle)))
        for name, amount in amounts.items():
            self.stages[-1][stage][name] += float(amount)

    def touch(self, x, rows, columns, write=False):
        """Count the bytes of a part of a matrix, and those that move to the thread."""
        place = x.ctypes.data
        if place not in self.seen:
            self.seen[place] = np.full((2, *x.shape), -1, np.int16)
        self._touch(self.seen[place][:, slice(*rows), slice(*columns)], x.itemsize, write)

    def touch_row(self, row):
        """`touch` of a part of a row of some matrix, written; its state is in another, cut the same way."""
        for start, seen in self.seen.items():
            offset = (row.ctypes.data - start) // row.itemsize
            if 0 <= offset < seen[0].size:
                part = seen.reshape(2, 1, -1)[:, :, offset : offset + len(row)]
                self._touch(part, 2 * row.itemsize, True)

    def _touch(self, part, itemsize, write):
        """part[0] are the threads that wrote last, part[1] those that read or wrote last."""
        writer, last = part
        foreign = (last >= 0) & (last != self.thread)
        if not write:
            foreign &= writer != self.thread
        lines = -(-foreign.sum(axis=1) * itemsize // LINE)
        self.stages[-1][-1]["bytes"] += float(last.size * itemsize)
        self.stages[-1][-1]["moved"] += float(lines.sum() * LINE)
        part[0 if write else 1 :] = self.thread
