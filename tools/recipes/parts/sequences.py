"""Biological sequences as numbers: k-mers, positions, composition, and how two sequences pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from tools.recipes.parts.columns import texts_of


def letter_codes(X: pd.DataFrame, column: str, letters: str) -> np.ndarray:
    """One row per sequence, the position of each letter in `letters`; -1 for other letters and beyond the end."""
    texts = [text.upper().replace("U", "T") if letters == "ACGT" else text.upper() for text in texts_of(X, column)]
    table = np.full(256, -1, dtype=np.int8)
    table[np.frombuffer(letters.encode(), dtype=np.uint8)] = np.arange(len(letters))
    codes = np.full((len(texts), max(1, max(map(len, texts), default=1))), -1, dtype=np.int8)
    for row, text in enumerate(texts):
        codes[row, : len(text)] = table[np.frombuffer(text.encode("latin-1", "replace"), dtype=np.uint8)]
    return codes


def kmer_counts(codes: np.ndarray, k: int, size: int, both_strands: bool = False) -> sparse.csr_matrix:
    """Share of each k-mer among a sequence's k-mers; with both strands a k-mer and its reverse complement are one."""
    width = codes.shape[1] - k + 1
    if width < 1:
        return sparse.csr_matrix((len(codes), size**k), dtype=np.float32)
    value = np.zeros((len(codes), width), dtype=np.int32)
    other, known = value.copy(), np.ones(value.shape, dtype=bool)
    for place in range(k):
        letter = codes[:, place : place + width].astype(np.int32)
        value += letter * size ** (k - 1 - place)
        other += (size - 1 - letter) * size**place
        known &= letter >= 0
    if both_strands:
        value = np.minimum(value, other)
    rows, places = np.nonzero(known)
    share = 1.0 / np.maximum(known.sum(axis=1), 1)
    entries = (share[rows].astype(np.float32), (rows, value[rows, places]))
    return sparse.csr_matrix(sparse.coo_matrix(entries, shape=(len(codes), size**k)))


def position_letters(codes: np.ndarray, length: int, size: int) -> np.ndarray:
    """Which letter stands at each of the first `length` positions, one column per position and letter."""
    padded = np.full((len(codes), length), -1, dtype=np.int8)
    shared = min(length, codes.shape[1])
    padded[:, :shared] = codes[:, :shared]
    same = padded[:, :, None] == np.arange(size, dtype=np.int8)
    return np.asarray(same.reshape(len(codes), length * size), dtype=np.float32)


def composition(codes: np.ndarray, size: int, parts: int) -> np.ndarray:
    """Length, and the share of each letter in each of `parts` equal stretches."""
    known = codes >= 0
    lengths = known.sum(axis=1)
    stretch = np.minimum(np.cumsum(known, axis=1) * parts // np.maximum(lengths, 1)[:, None], parts - 1)
    columns: list[Any] = [lengths]
    for part in range(parts):
        inside = known & (stretch == part)
        count = np.maximum(inside.sum(axis=1), 1)
        columns += [((codes == letter) & inside).sum(axis=1) / count for letter in range(size)]
    return np.column_stack(columns).astype(np.float32)


def stacking_energy(codes: np.ndarray, length: int) -> np.ndarray:
    """Nearest-neighbour stacking energies (kcal/mol) of a nucleotide duplex along its first `length` bases.

    Columns: the energy of each step, their sum, and the energy of the first four steps less that of the last four.
    """
    energies = np.array([-0.93, -2.24, -2.08, -1.10, -2.11, -3.26, -2.36, -2.08])  # AA AC AG AT CA CC CG CT
    energies = np.concatenate([energies, [-2.35, -3.42, -3.26, -2.24, -1.33, -2.35, -2.11, -0.93]])  # GA … GT, TA … TT
    padded = np.full((len(codes), length), -1, dtype=np.int64)
    shared = min(length, codes.shape[1])
    padded[:, :shared] = codes[:, :shared]
    first, second = padded[:, :-1], padded[:, 1:]
    steps = np.where((first >= 0) & (second >= 0), energies[np.maximum(first, 0) * 4 + np.maximum(second, 0)], 0.0)
    ends = steps[:, :4].sum(axis=1) - steps[:, -4:].sum(axis=1)
    return np.column_stack([steps, steps.sum(axis=1), ends]).astype(np.float32)


def pairing(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How well `one` pairs with `other` read backwards: most pairs at any offset, their share, where, the length."""
    short, long = (one, other) if one.shape[1] <= other.shape[1] else (other, one)
    opposite = np.where(long >= 0, 3 - long, -9)[:, ::-1]
    width, offsets = short.shape[1], long.shape[1] - short.shape[1] + 1
    matches = np.stack([(short == opposite[:, at : at + width]).sum(axis=1) for at in range(offsets)], axis=1)
    best = matches.argmax(axis=1)
    length = np.maximum((short >= 0).sum(axis=1), 1)
    top = matches[np.arange(len(short)), best]
    return np.column_stack([top, top / length, best, length]).astype(np.float32)


def protein_properties(codes: np.ndarray) -> np.ndarray:
    """Means over the amino acids ACDEFGHIKLMNPQRSTVWY: hydropathy, charge, mass, volume, aromatic and small share."""
    hydropathy = [1.8, 2.5, -3.5, -3.5, 2.8, -0.4, -3.2, 4.5, -3.9, 3.8, 1.9, -3.5, -1.6, -3.5, -4.5, -0.8, -0.7, 4.2]
    charge = [0, 0, -1, -1, 0, 0, 0.1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    mass = [71, 103, 115, 129, 147, 57, 137, 113, 128, 113, 131, 114, 97, 128, 156, 87, 101, 99, 186, 163]
    volume = [89, 109, 111, 138, 190, 60, 153, 167, 169, 167, 163, 114, 113, 144, 174, 89, 116, 140, 228, 194]
    aromatic = [float(letter in "FHWY") for letter in "ACDEFGHIKLMNPQRSTVWY"]
    small = [float(letter in "ACDGNPSTV") for letter in "ACDEFGHIKLMNPQRSTVWY"]
    table = np.array([[*hydropathy, -0.9, -1.3], charge, mass, volume, aromatic, small], dtype=np.float32)
    known = codes >= 0
    values = np.where(known[:, None, :], table[:, np.maximum(codes, 0)].transpose(1, 0, 2), 0.0)
    return np.asarray(values.sum(axis=2) / np.maximum(known.sum(axis=1), 1)[:, None])
