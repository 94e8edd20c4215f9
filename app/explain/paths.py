"""Shapley values of trees, path by path, for many rows at once.

They are those of Lundberg et al. 2018 ("Consistent Individualized Feature Attribution for Tree Ensembles",
algorithm 2): a feature that is not known is passed through in the proportion in which the training rows went. The
sum over subsets is written as an integral: with z the share of training rows that follow a path's splits on a
feature, and o whether the row itself does (1 or 0), a leaf of value v adds to feature i

    v (o_i - z_i) * integral over t from 0 to 1 of the product over j != i of (o_j t + z_j (1 - t)),

since |S|! (d - |S| - 1)! / d! is the Beta integral of t^|S| (1 - t)^(d - |S| - 1). The integrand is a polynomial of
degree d - 1 without a negative term, so that Gauss-Legendre quadrature of ceil(d / 2) points gives it exactly, and
nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.signature import Array

# A row's values held at once, for a block of rows (about 32 MB of float64).
_BLOCK_VALUES = 4_000_000


@dataclass(frozen=True)
class Nodes:
    """The nodes of some trees in one table; leaves have the left child -1.

    Attributes
    ----------
    feature, left, right: shape (n_nodes,).
    cover: how many training rows came to each node.
    values: what each leaf adds, shape (n_nodes, k).
    goes_left: tells for rows (n, n_features) and nodes (m,) whether a row goes left there, shape (n, m).
    """

    feature: Array
    left: Array
    right: Array
    cover: Array
    values: Array
    goes_left: Callable[[Array, Array], Array]


class Paths:
    """All ways from a root to a leaf, with the splits on a feature put together."""

    def __init__(self, nodes: Nodes, origins: Array, n_columns: int) -> None:
        self._nodes = nodes
        self._leaves = np.flatnonzero(nodes.left < 0)
        leaf, node, left, share = _edges(nodes, self._leaves)
        key = leaf * (int(nodes.feature.max(initial=0)) + 1) + nodes.feature[node]
        order = np.argsort(key, kind="stable")
        self._starts = np.flatnonzero(np.diff(key[order], prepend=-1))
        self._asked, self._place = np.unique(node[order], return_inverse=True)
        self._left = left[order]
        # From here on one entry for each leaf and feature on the way to it.
        leaf, feature = leaf[order][self._starts], nodes.feature[node[order]][self._starts]
        self._share = np.multiply.reduceat(share[order], self._starts) if len(order) else np.empty(0)
        self._groups = _by_length(leaf, len(self._leaves))
        values = nodes.values[self._leaves]
        reached = np.ones(len(self._leaves))
        np.multiply.at(reached, leaf, self._share)
        self.base: Array = reached @ values
        self._adding = _adding(values[leaf], origins[feature] if len(feature) else feature, n_columns)
        self._shape = (n_columns, values.shape[1])

    def contributions(self, X: Array) -> Array:
        """Return what each column adds for rows (n, n_features), shape (n, n_columns, k)."""
        block = max(1, _BLOCK_VALUES // max(1, len(self._left)))
        parts = [self._of_block(X[start : start + block]) for start in range(0, len(X), block)]
        return np.concatenate(parts)

    def _of_block(self, X: Array) -> Array:
        if not len(self._starts):
            return np.zeros((len(X), *self._shape))
        went = self._nodes.goes_left(X, self._asked)[:, self._place] == self._left
        follows = np.logical_and.reduceat(went, self._starts, axis=1)
        weights = np.empty(follows.shape)
        for entries in self._groups:
            own, share = follows[:, entries].astype(np.float64), self._share[entries]
            weights[:, entries] = _integral(own, share) * (own - share)
        return np.asarray((self._adding @ weights.T).T).reshape(len(X), *self._shape)


def _edges(nodes: Nodes, leaves: Array) -> tuple[Array, Array, Array, Array]:
    """Return every step on the way to every leaf: the leaf's place, the node, whether it goes left, and z."""
    parent = np.full(len(nodes.left), -1, dtype=np.intp)
    is_left = np.zeros(len(nodes.left), dtype=bool)
    inner = np.flatnonzero(nodes.left >= 0)
    parent[nodes.left[inner]] = parent[nodes.right[inner]] = inner
    is_left[nodes.left[inner]] = True
    place, current = np.arange(len(leaves)), leaves
    found: list[tuple[Array, Array, Array, Array]] = []
    while len(current):
        above = parent[current]
        inside = above >= 0
        place, current, above = place[inside], current[inside], above[inside]
        # No training row may have come here where all that did weigh nothing.
        share = np.maximum(nodes.cover[current], 1e-12) / np.maximum(nodes.cover[above], 1e-12)
        found.append((place, above, is_left[current], share))
        current = above
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))  # type: ignore[return-value]


def _by_length(leaf: Array, n_leaves: int) -> list[Array]:
    """Return the entries of the leaves that have equally many, shape (n_leaves, d), for each d."""
    lengths = np.bincount(leaf, minlength=n_leaves)
    starts = np.cumsum(lengths) - lengths
    return [
        starts[lengths == length][:, None] + np.arange(length) for length in np.unique(lengths).tolist() if length > 0
    ]


def _integral(own: Array, share: Array) -> Array:
    """Integrate, for each feature of each leaf, the product over the others; shapes (n, leaves, d) and (leaves, d)."""
    points, weights = np.polynomial.legendre.leggauss((own.shape[-1] + 1) // 2)
    out = np.zeros_like(own)
    for point, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factors = own * point + share * (1 - point)
        out += weight * factors.prod(axis=-1, keepdims=True) / factors
    return out


def _adding(values: Array, columns: Array, n_columns: int) -> Any:
    """Return the sparse matrix that takes weights of entries to contributions, shape (n_columns * k, n_entries)."""
    from scipy import sparse

    entry, output = np.nonzero(values)
    place = columns[entry] * values.shape[1] + output
    shape = (n_columns * values.shape[1], len(values))
    return sparse.csr_array((values[entry, output], (place, entry)), shape=shape)
