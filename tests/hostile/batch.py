"""One batch: all attacks of one role, in one or more places, by an orchestrating process of its own.

The process is a new one because its environment at the start is what attacks look for, and because some of them would
kill it. Its answer is a JSON file: place → attack → {evidence, status, error}, or place → {"": {"why": …}} when a place
cannot be entered. Places are "plain" (a subprocess without any protection), "T3", "T2" and "T1".
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from tests.hostile.ground import KEY_VARIABLE, Ground
from tests.hostile.lowering import SPARE_UID, NotPossible, become_ordinary
from tests.hostile.running import cpu_seconds, run_all

Role = Literal["as this user", "unprivileged"]
Rows = dict[str, dict[str, Any]]
"""Attack → row."""
Batch = dict[str, Rows]
ROOT = Path(__file__).resolve().parents[2]


def roles() -> list[Role]:
    """An ordinary user can only be itself; root is shown as itself and as an ordinary user."""
    return ["as this user", "unprivileged"] if os.getuid() == 0 else ["as this user"]


def run_batch(places: list[str], role: Role, *, everything: bool = False) -> Batch:
    """Run the attacks in these places, in a process of its own. `everything`: in T3 more than the controls."""
    folder = Path(tempfile.mkdtemp(prefix="modelwright-batch-"))
    answer = folder / "rows.json"
    if role == "unprivileged":
        os.chown(folder, SPARE_UID, SPARE_UID)
    environment = {**os.environ, KEY_VARIABLE: f"SECRET-key-{os.urandom(8).hex()}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.hostile.batch", ",".join(places), role, str(answer), str(int(everything))]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stderr, end="", file=sys.stderr)
    try:
        rows: Batch = json.loads(answer.read_text())
    except (OSError, ValueError):
        raise RuntimeError(f"the batch {places} {role} ended with {done.returncode}:\n{done.stderr[-3000:]}") from None
    finally:
        answer.unlink(missing_ok=True)
        folder.rmdir()
    return rows


def is_expected(role: Role, attack_root_only: str) -> bool:
    """Whether a control must succeed in this role."""
    return not attack_root_only or (role == "as this user" and os.getuid() == 0)


def main() -> None:
    """Arguments: places, role, path of the answer, 1 for everything."""
    listed, role, answer, everything = sys.argv[1:]
    places = listed.split(",")
    rows: Batch
    try:
        if role == "unprivileged":
            become_ordinary(ROOT)
        with Ground() as ground:
            rows = asyncio.run(run_all(ground, places, everything=everything == "1"))
    except NotPossible as error:
        rows = {place: {"": {"why": str(error)}} for place in places}
    print(f"{listed} {role}: {cpu_seconds():.1f} s of processor time", file=sys.stderr)
    Path(answer).write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
