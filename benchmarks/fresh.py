"""`make bench-fresh`: the same comparison on a second collection, so that we do not judge on what we tuned.

    python -m benchmarks.fresh [--make-only] [--folder build/fresh] [further options of benchmarks.quality]

The collection is made from what scikit-learn, statsmodels and Python carry inside, by benchmarks/fresh/make.py in the
peers' environment; its files are not committed. Cells, JSON, chart and markers are those of the campaign `fresh`.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from benchmarks import quality
from benchmarks.provenance import ROOT
from benchmarks.toolbox import PEERS_PYTHON

MAKER = ROOT / "benchmarks" / "fresh" / "make.py"


def make(folder: Path) -> None:
    """Make the collection in a folder, unless it is there."""
    if (folder / "datasets.json").is_file():
        return
    if not PEERS_PYTHON.exists():
        raise SystemExit("the peers' environment is missing: `make bench-peers` makes it")
    subprocess.run([PEERS_PYTHON, str(MAKER), str(folder)], check=True)


def main() -> None:
    """Make what is missing, then compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "fresh")
    parser.add_argument("--make-only", action="store_true")
    options, rest = parser.parse_known_args()
    make(options.folder)
    if not options.make_only:
        quality.main(["--data", str(options.folder), "--name", "fresh", *rest])


if __name__ == "__main__":
    main()
