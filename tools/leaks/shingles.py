"""Texts that are nearly the same: normalised, cut into overlapping pieces, compared by MinHash.

Broder, On the resemblance and containment of documents, SEQUENCES 1997; bands as in Leskovec, Rajaraman, Ullman,
Mining of Massive Datasets, chapter 3. What MinHash proposes is verified by the resemblance itself.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESEMBLANCE = 0.8
"""Share of common pieces from which two texts count as nearly the same."""
LEAST_PIECES = 12
"""Shorter texts resemble each other by accident; for them only equality counts."""
MOST_CHARS = 2_000
"""A longer text is compared by its beginning."""
_BANDS, _ROWS = 16, 4
_CROWD = 64
"""Members of one bucket that are compared; a template used more often needs no more evidence."""
_PRIME = np.uint64((1 << 61) - 1)

Pieces = NDArray[np.uint64]


def normalised(text: str, *, words: bool) -> str:
    """A text without what does not change its meaning: case, runs of white space and, for prose, punctuation.

    Punctuation stays where it is most of the text: `:-)` and `:-(` are different.
    """
    plain = re.sub(r"\s+", " ", text).strip().casefold()
    if not words:
        return plain
    bare = re.sub(r"\s+", " ", re.sub(r"[^\w\s]+", " ", plain)).strip()
    return bare if len(bare) >= 0.6 * len(plain) else plain


def near_codes(texts: list[str], most: int) -> NDArray[np.int64]:
    """A number per text, equal for texts that are equal or nearly the same as the first of their number.

    At most so many different texts are compared, evenly spaced; the others are told apart by equality alone. Cost: one
    pass over their characters and a few comparisons each.
    """
    place: dict[str, int] = {}
    codes = np.fromiter((place.setdefault(text, len(place)) for text in texts), dtype=np.int64, count=len(texts))
    distinct = list(place)
    chosen = np.unique(np.linspace(0, len(distinct) - 1, min(len(distinct), most)).astype(np.int64))
    length = _piece_length([distinct[number] for number in chosen])
    pieces = {int(number): _pieces(distinct[number], length) for number in chosen}
    pieces = {number: found for number, found in pieces.items() if len(found) >= LEAST_PIECES}
    leader = np.arange(len(distinct))
    for one, other in _proposals(pieces):
        first = int(leader[one])
        if first != other and leader[other] == other and _resemblance(pieces[first], pieces[other]) >= RESEMBLANCE:
            leader[other] = first
    return np.asarray(leader[codes], dtype=np.int64)


def _piece_length(texts: list[str]) -> int:
    """So long that two unrelated texts share few pieces: an alphabet of four letters needs longer ones than prose."""
    sample = "".join(text[:200] for text in texts[:200])
    if not sample:
        return 5
    _, counts = np.unique(np.frombuffer(sample.encode("utf-32-le"), dtype=np.uint32), return_counts=True)
    shares = counts / counts.sum()
    letters = max(2.0, 2.0 ** float(-(shares * np.log2(shares)).sum()))
    mean = float(np.mean([min(len(text), MOST_CHARS) for text in texts]))
    return int(np.clip(math.ceil(math.log(100 * max(2.0, mean)) / math.log(letters)), 5, 16))


def _pieces(text: str, length: int) -> Pieces:
    """Hashes of the different pieces of so many characters."""
    letters = np.frombuffer(text[:MOST_CHARS].encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    if len(letters) < length:
        return np.empty(0, dtype=np.uint64)
    mixed = np.zeros(len(letters) - length + 1, dtype=np.uint64)
    for offset in range(length):
        mixed = mixed * np.uint64(0x100000001B3) + letters[offset : offset + len(mixed)]
    mixed ^= mixed >> np.uint64(29)
    return np.unique((mixed * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(32))


def _proposals(pieces: dict[int, Pieces]) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of texts that share a band of their signatures."""
    numbers = sorted(pieces)
    if len(numbers) < 2:
        return []
    rng = np.random.default_rng(0)
    factors = rng.integers(1, 1 << 29, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    offsets = rng.integers(0, 1 << 60, size=(_BANDS * _ROWS, 1), dtype=np.uint64)
    signatures = np.stack([((factors * pieces[number] + offsets) % _PRIME).min(axis=1) for number in numbers])
    pairs: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        buckets: dict[Any, list[int]] = defaultdict(list)
        for number, part in zip(numbers, signatures[:, band * _ROWS : (band + 1) * _ROWS], strict=True):
            buckets[part.tobytes()].append(number)
        for members in buckets.values():
            pairs.update((members[0], other) for other in members[1:])
            pairs.update(pairwise(members[:_CROWD]))
    return sorted(pairs)


def _resemblance(one: Pieces, other: Pieces) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
