"""What saving and loading a forest costs: pickle, skops, and the plain arrays of a release, side by side in one process.

CPU seconds are the least of a few rounds; bytes are what lies on disk. Pickle is the yardstick of speed and no candidate:
loading one runs code.
"""

from __future__ import annotations

import argparse
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestRegressor

from tools.portable.saving import load_model, save_model

TREES = 300
ROUNDS = 3
Way = tuple[Callable[[Any, Path], Any], Callable[[Path], Any]]


def _skops_load(folder: Path) -> Any:
    file = folder / "model.skops"
    return skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))


WAYS: dict[str, Way] = {
    "pickle": (
        lambda model, folder: (folder / "model.pickle").write_bytes(pickle.dumps(model)),
        lambda folder: pickle.loads((folder / "model.pickle").read_bytes()),
    ),
    "skops": (lambda model, folder: skops.io.dump(model, folder / "model.skops"), _skops_load),
    "arrays": (save_model, load_model),
}


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Twenty columns, a noisy signal in three of them."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(rows, 20)).astype(np.float32)
    return table, table[:, 0] + np.sin(3 * table[:, 1]) * table[:, 2] + rng.normal(size=rows)


def models(rows: int) -> dict[str, Any]:
    """Fitted models of the kinds the recipes make."""
    table, values = data(rows)
    return {
        "forest, values": RandomForestRegressor(TREES, min_samples_leaf=2, random_state=0).fit(table, values),
        "extra trees, classes": ExtraTreesClassifier(TREES, min_samples_leaf=2, random_state=0).fit(table, values > 0),
        "histogram boosting": HistGradientBoostingClassifier(max_iter=TREES, random_state=0).fit(table, values > 0),
    }


def measure(model: Any, way: Way, table: np.ndarray) -> tuple[float, float, int]:
    """Least CPU seconds to save and to load, and bytes on disk. Checks that predictions are equal to the last bit."""
    saving, loading = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(ROUNDS):
            folder = Path(scratch, str(number))
            folder.mkdir()
            began = time.process_time()
            way[0](model, folder)
            saving.append(time.process_time() - began)
            began = time.process_time()
            loaded = way[1](folder)
            loading.append(time.process_time() - began)
            size = sum(file.stat().st_size for file in folder.iterdir())
        assert np.array_equal(model.predict(table), loaded.predict(table))
    return min(saving), min(loading), size


def main() -> None:
    """Print the table of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[700, 20_000])
    options = parser.parse_args()
    print("| model | rows | format | save s | load s | MB | save, of skops | load, of skops |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in options.rows:
        table = data(rows)[0][:200]
        for name, model in models(rows).items():
            found = {way: measure(model, WAYS[way], table) for way in WAYS}
            for way, (save, load, size) in found.items():
                ratios = f"{save / found['skops'][0]:.2f} | {load / found['skops'][1]:.2f}"
                print(
                    f"| {name} | {rows} | {way} | {save:.3f} | {load:.3f} | {size / 1e6:.1f} | {ratios} |", flush=True
                )


if __name__ == "__main__":
    main()
