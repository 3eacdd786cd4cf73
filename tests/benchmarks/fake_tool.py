"""A tool of the quality benchmark with nothing to learn: it predicts what its job's tool is told to, and keeps a diary.

Run as the real ones: `fake_tool.py fit|predict|account JOB.json`. The folder of the training file's parent holds the diary,
so every start of a process leaves a line that a test can count.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    verb, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    diary = Path(os.environ["FAKE_DIARY"])
    with diary.open("a") as file:
        file.write(f"{verb} {job['tool']} {Path(job['train']).parent.name}\n")
    work = Path(job["work"])
    if verb == "fit":
        if job["tool"] == os.environ.get("FAKE_FAILS"):
            sys.exit("the fake tool cannot do this")
        digests = [hashlib.sha256(Path(job[name]).read_bytes()).hexdigest() for name in ("train", "test")]
        (work / "fit.json").write_text(json.dumps({"title": "nothing", "digests": digests}))
    elif verb == "predict":
        with Path(job["test"]).open() as file:
            rows = list(csv.DictReader(file))
        shift = {"modelwright": 0.0, "flaml": 1.0}.get(job["tool"], 2.0)
        lines = [str(float(row["x"]) + shift) for row in rows]
        (work / "predictions.csv").write_text("\n".join(["prediction", *lines]) + "\n")
    else:
        (work / "account.json").write_text(json.dumps({"latency": 0.5, "size_mb": 0.1, "members": ["nothing"]}))


if __name__ == "__main__":
    main()
