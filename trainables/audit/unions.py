"""Which images hang together through pairs: disjoint sets."""

from collections.abc import Iterable

import numpy as np


class Unions:
    """Disjoint sets of 0..n-1 that grow by joining pairs."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def find(self, i: int) -> int:
        """Return the representative of i's set: its smallest member."""
        root = i
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[i] != root:
            self._parent[i], i = root, self._parent[i]
        return root

    def join(self, i: int, j: int) -> bool:
        """Join two sets; False if they were one already."""
        a, b = sorted((self.find(i), self.find(j)))
        self._parent[b] = a
        return a != b

    def joined(self, i: int, j: int) -> bool:
        """Return whether two members are in one set."""
        return self.find(i) == self.find(j)

    def numbers(self) -> np.ndarray:
        """Return numbers_N: the set of every member, numbered in the order of their first members."""
        roots_N = np.array([self.find(i) for i in range(len(self._parent))], dtype=np.int64)
        return np.asarray(np.unique(roots_N, return_inverse=True)[1].astype(np.int64))


def joined(n: int, pairs: Iterable[tuple[int, int]]) -> Unions:
    """Return the sets that pairs make of 0..n-1."""
    unions = Unions(n)
    for i, j in pairs:
        unions.join(i, j)
    return unions
