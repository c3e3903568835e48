"""Nearest neighbours by blocks of matrix products: memory grows with the images, never with their square."""

import numpy as np

_TILE_COLUMNS = 4096


class Nearest:
    """The k nearest images of each of B rows so far, best first.

    `similarity_BK` is the product of unit vectors, negative where the negative of a picture is near; `column_BK` is the
    image, -1 where there are fewer than k; `variant_BK` says which of a row's vectors was nearest.
    """

    def __init__(self, rows: int, k: int, at_least: float) -> None:
        self.similarity_BK = np.zeros((rows, k), np.float32)
        self.column_BK = np.full((rows, k), -1, np.int32)
        self.variant_BK = np.zeros((rows, k), np.int16)
        self._lowest_B = np.full(rows, at_least, np.float32)
        self._at_least = at_least

    def add_products(
        self,
        query_BD: np.ndarray,
        base_ND: np.ndarray,
        own_B: np.ndarray,
        variant: int,
        allowed: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Compare rows with all images, tile by tile; `own_B` are the images that the rows are, none its own neighbour.

        `allowed` = (parts_N, part_B) keeps a row's neighbours to images of its part.
        """
        for start in range(0, len(base_ND), _TILE_COLUMNS):
            products_BT = query_BD @ base_ND[start : start + _TILE_COLUMNS].T
            inside_B = (own_B >= start) & (own_B < start + products_BT.shape[1])
            products_BT[np.flatnonzero(inside_B), own_B[inside_B] - start] = 0
            rows_M, columns_M = np.nonzero(np.abs(products_BT) > self._lowest_B[:, None])
            products_M, columns_M = products_BT[rows_M, columns_M], columns_M + start
            if allowed is not None:
                chosen_M = allowed[0][columns_M] == allowed[1][rows_M]
                rows_M, columns_M, products_M = rows_M[chosen_M], columns_M[chosen_M], products_M[chosen_M]
            if len(rows_M):
                self._merge(rows_M, columns_M, products_M, variant)

    def _merge(self, rows_M: np.ndarray, columns_M: np.ndarray, products_M: np.ndarray, variant: int) -> None:
        """Put hits into the lists; an image that is there already keeps its better variant."""
        num_rows, k = self.column_BK.shape
        old_rows, old_slots = np.nonzero(self.column_BK >= 0)
        rows = np.concatenate([old_rows, rows_M])
        columns = np.concatenate([self.column_BK[old_rows, old_slots], columns_M])
        products = np.concatenate([self.similarity_BK[old_rows, old_slots], products_M])
        variants = np.concatenate([self.variant_BK[old_rows, old_slots], np.full(len(rows_M), variant, np.int16)])
        near = np.abs(products)
        order = np.lexsort((-near, columns, rows))
        is_first = np.ones(len(order), bool)
        is_first[1:] = (np.diff(rows[order]) != 0) | (np.diff(columns[order]) != 0)
        order = order[is_first]
        order = order[np.lexsort((columns[order], -near[order], rows[order]))]
        place = np.arange(len(order)) - np.searchsorted(rows[order], np.arange(num_rows))[rows[order]]
        order, place = order[place < k], place[place < k]
        self.similarity_BK[rows[order], place] = products[order]
        self.column_BK[rows[order], place] = columns[order]
        self.variant_BK[rows[order], place] = variants[order]
        full_B = self.column_BK[:, -1] >= 0
        self._lowest_B = np.where(full_B, np.abs(self.similarity_BK[:, -1]), np.float32(self._at_least))
