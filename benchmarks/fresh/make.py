"""Writes the fresh collection: one folder per set with its train.csv, and datasets.json as in shared/datasets.

    python benchmarks/fresh/make.py FOLDER [--record]

list.json says what each set is, and rows, columns and a hash of the file when it was recorded. A difference is told: the
tables from Python itself change with its version. `--record` writes what is found here into list.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import from_python
import from_sklearn
import from_statsmodels

LIST = Path(__file__).with_name("list.json")
MAKERS = {**from_sklearn.MAKERS, **from_statsmodels.MAKERS, **from_python.MAKERS}


def made(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """Write one set's file and return its entry with what was found."""
    table = MAKERS[entry["name"]]()
    assert entry["target"] in table, f"{entry['name']} has no column {entry['target']!r}"
    path = folder / entry["name"] / "train.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = table.to_csv(index=False, lineterminator="\n").encode()
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()[:16]
    found = {"rows": len(table), "columns": table.shape[1], "sha256": digest}
    if any(entry.get(name) != value for name, value in found.items()):
        print(f"{entry['name']}: {found}, recorded { ({name: entry.get(name) for name in found}) }")
    return {**entry, **found}


def main() -> None:
    """Make every set of the list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--record", action="store_true", help="write rows, columns and hashes into list.json")
    options = parser.parse_args()
    entries = [made(options.folder, entry) for entry in json.loads(LIST.read_text())]
    if options.record:
        LIST.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    told = [{**entry, "file": f"{entry['name']}/train.csv"} for entry in entries]
    # Last, so that a collection with this file is whole.
    (options.folder / "datasets.json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(told)} sets in {options.folder}")


if __name__ == "__main__":
    main()
