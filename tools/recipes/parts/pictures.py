"""Pictures as numbers: pixels, oriented gradients, colours and textures, each a plain array per picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA


def pixels_of(X: pd.DataFrame, column: str, side: int) -> np.ndarray:
    """A column of pictures as (rows, side, side, 3) from 0 to 1; a missing one is grey all over."""
    pixels = np.full((len(X), side, side, 3), 0.5)
    for row, cell in enumerate(X[column]):
        if not isinstance(cell, str) or not cell.startswith("image:"):
            continue
        size, _, content = cell.removeprefix("image:").partition(":")
        channels = int(size.rpartition("x")[2])
        values = np.frombuffer(base64.b64decode(content), dtype=np.uint8)
        if len(values) == side * side * channels:
            pixels[row] = values.reshape(side, side, channels) / 255.0
    return pixels


def oriented_gradients(pixels: np.ndarray, cells: int, directions: int = 9) -> np.ndarray:
    """Histograms of oriented gradients in cells × cells parts, each normalised with its neighbours; (rows, width).

    (Dalal and Triggs, Histograms of oriented gradients for human detection, CVPR 2005.)
    """
    grey = pixels.mean(axis=3)
    down, right = np.zeros_like(grey), np.zeros_like(grey)
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    right[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    size = np.hypot(down, right)
    place = (np.arctan2(down, right) % np.pi) / np.pi * directions
    lower = np.floor(place)
    share, lower = place - lower, lower.astype(np.int64) % directions
    step = grey.shape[1] // cells
    table = np.zeros((len(grey), cells, cells, directions))
    for direction in range(directions):
        weight = np.where(lower == direction, 1 - share, 0) + np.where((lower + 1) % directions == direction, share, 0)
        votes = (size * weight)[:, : step * cells, : step * cells]
        table[..., direction] = votes.reshape(len(grey), cells, step, cells, step).sum(axis=(2, 4))
    blocks = [table[:, row : row + cells - 1, column : column + cells - 1] for row in (0, 1) for column in (0, 1)]
    joined = np.concatenate(blocks, axis=3)
    joined = joined / np.sqrt((joined**2).sum(axis=3, keepdims=True) + 1e-3)
    return np.asarray(joined.reshape(len(grey), -1))


def colours(pixels: np.ndarray) -> np.ndarray:
    """How often each of 64 colours occurs, and mean and spread of red, green and blue in 4 × 4 parts; (rows, 160)."""
    rows, side = len(pixels), pixels.shape[1]
    bins = np.minimum((pixels * 4).astype(np.int64), 3) @ np.array([16, 4, 1])
    places = (np.arange(rows)[:, None] * 64 + bins.reshape(rows, -1)).ravel()
    counts = np.bincount(places, minlength=rows * 64).reshape(rows, 64) / (side * side)
    step = side // 4
    parts = pixels[:, : step * 4, : step * 4].reshape(rows, 4, step, 4, step, 3)
    means, spreads = parts.mean(axis=(2, 4)), parts.std(axis=(2, 4))
    return np.hstack([counts, means.reshape(rows, -1), spreads.reshape(rows, -1)])


def textures(pixels: np.ndarray) -> np.ndarray:
    """Local binary patterns: how often each uniform pattern of brighter neighbours occurs, in all and in 2 × 2 parts.

    (Ojala, Pietikäinen and Mäenpää, IEEE Transactions on Pattern Analysis and Machine Intelligence 24, 2002.)
    """
    grey = pixels.mean(axis=3)
    centre = grey[:, 1:-1, 1:-1]
    around = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    edge = centre.shape[1]
    signs = np.stack([grey[:, y : y + edge, x : x + edge] > centre + 0.01 for y, x in around])
    changes = (signs != np.roll(signs, 1, axis=0)).sum(axis=0)
    codes = np.where(changes <= 2, signs.sum(axis=0), 9)
    half = edge // 2
    parts = [codes, codes[:, :half, :half], codes[:, :half, half:], codes[:, half:, :half], codes[:, half:, half:]]
    return np.hstack([np.stack([(part == code).mean(axis=(1, 2)) for code in range(10)], axis=1) for part in parts])


def few_directions(table: np.ndarray, most: int, seed: int) -> dict[str, np.ndarray]:
    """The main directions of a table, at most so many, as {middle, directions (width, count)}."""
    count = max(1, min(most, len(table) - 1, table.shape[1]))
    found = PCA(count, svd_solver="randomized", random_state=seed).fit(table)
    return {"middle": found.mean_, "directions": np.ascontiguousarray(np.asarray(found.components_).T)}


def along(table: np.ndarray, found: Mapping[str, np.ndarray]) -> np.ndarray:
    """How far each row of a table lies along the directions that were found."""
    return np.asarray((table - found["middle"]) @ found["directions"])


def descriptors(X: pd.DataFrame, column: str, side: int, grey: bool) -> dict[str, np.ndarray]:
    """16 × 16 pixels, gradients, textures and, where there is colour, colours of a column of pictures, row for row."""
    parts: dict[str, list[np.ndarray]] = {}
    for start in range(0, max(len(X), 1), 250):
        pixels = pixels_of(X.iloc[start : start + 250], column, side)
        block, rows = side // 16, len(pixels)
        small = pixels.reshape(rows, 16, block, 16, block, 3).mean(axis=(2, 4))
        parts.setdefault("pixels", []).append((small.mean(axis=3) if grey else small).reshape(rows, -1))
        parts.setdefault("gradients", []).append(oriented_gradients(pixels, {16: 4, 32: 8}.get(side, 8)))
        parts.setdefault("textures", []).append(textures(pixels))
        if not grey:
            parts.setdefault("colours", []).append(colours(pixels))
    return {name: np.concatenate(blocks) for name, blocks in parts.items()}
