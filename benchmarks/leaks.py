"""`make bench-leaks`: the leak checks on every development set, and what they find there.

Every finding must be true; docs/leaks.md lists them with why. Without `--train` no program is run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from benchmarks import sets
from state.candidate import Check, Finding
from state.settings import Settings
from tools.artifacts import FolderArtifacts
from tools.framing import frame_task
from tools.intake.table import open_table
from tools.labels import canonical_labels
from tools.leaks import run_leak_checks
from tools.profiling.profile import profile_table
from tools.splits import deal, prepare

ROOT = Path(__file__).resolve().parent


class _Desk:
    def __init__(self, folder: Path) -> None:
        self.artifacts = FolderArtifacts(folder)


def main() -> None:
    """Print the checks and findings of each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent.parent / "shared" / "datasets")
    parser.add_argument("--only", nargs="*", default=[], help="names of sets")
    parser.add_argument("--full", action="store_true", help="wide bounds, as `modelwright review --full`")
    parser.add_argument("--train", type=int, metavar="SECONDS", help="build each set first, then review it in full")
    options = parser.parse_args()
    for one in sets.load_sets(options.data):
        if options.only and one["name"] not in options.only:
            continue
        began = time.monotonic()
        checks, findings = (
            reviewed(options.data, one, options.train)
            if options.train
            else mechanical(options.data, one, full=options.full)
        )
        show(one["name"], checks, findings, time.monotonic() - began)


def mechanical(folder: Path, one: dict[str, Any], *, full: bool) -> tuple[list[Check], list[Finding]]:
    """The checks on the data as a build would frame and deal them."""
    table = open_table(folder / one["file"])
    settings = Settings(target=one["target"], metric=one["metric"], intent=one["intent"])
    profile = profile_table(table.frame, one["target"], intent=one["intent"])
    task = frame_task(settings, table.frame, profile, one["target"])
    labels, known = canonical_labels(table.frame[task.target], task.kind)
    frame = table.frame[known].reset_index(drop=True)
    with tempfile.TemporaryDirectory() as scratch:
        desk = _Desk(Path(scratch))
        spec = desk.artifacts.put_json({})
        dealt = deal(task, frame, labels, seed=0)
        prepared = prepare(frame, labels, dealt, task, desk.artifacts, read_spec=spec, source="")
        began = time.monotonic()
        told = run_leak_checks(desk, task, prepared, profile, full=full)
        print(f"{one['name']}: {time.monotonic() - began:.2f} s for the checks", flush=True)
        return told


def reviewed(folder: Path, one: dict[str, Any], seconds: int) -> tuple[list[Check], list[Finding]]:
    """Build with one quick candidate, then `modelwright review --full`."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "MODELWRIGHT_HOME": scratch}
        command = [sys.executable, "-m", "modelwright", "build", str(folder / one["file"]), "--target", one["target"]]
        command += ["--metric", one["metric"], "--intent", one["intent"], "--time-limit", str(seconds)]
        command += ["--iterations", "1", "--candidates", "2", "--json"]
        review = [sys.executable, "-m", "modelwright", "review", "last", "--full", "--json"]
        outputs = []
        for line in (command, review):
            done = subprocess.run(line, env=environment, cwd=ROOT.parent, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{one['name']}: {' '.join(line[2:4])} failed\n{done.stderr[-2000:]}")
            outputs.append(json.loads(done.stdout))
        result = outputs[1]
    checks = [Check.model_validate(check) for check in result["checks"]]
    return checks, [Finding.model_validate(finding) for finding in result["findings"]]


def show(name: str, checks: list[Check], findings: list[Finding], seconds: float) -> None:
    """One line per check, and each finding with its evidence."""
    print(f"== {name}  ({seconds:.1f} s, {len(findings)} findings)")
    for check in checks:
        print(f"   {check.status:<8}{check.extent:<9}{check.name}: {check.detail}")
    for finding in findings:
        print(f"   ! {finding.severity}/{finding.route} {finding.id}: {finding.text}")
        for line in finding.evidence:
            print(f"       {line[:160]}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
