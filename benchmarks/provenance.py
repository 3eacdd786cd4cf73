"""Which code and which machine a measurement belongs to."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("modelwright.py", "state", "tools", "nodes", "graphs", "pyproject.toml", "constraints.txt")
"""What makes modelwright what it is; docs, tests and benchmarks do not."""
_SKIPPED = {"__pycache__"}


def files_of(names: Iterable[str], root: Path = ROOT) -> list[Path]:
    """All files of these files and folders, sorted by their path."""
    found: list[Path] = []
    for name in names:
        place = root / name
        inside = place.rglob("*") if place.is_dir() else [place]
        found += [
            path for path in inside if path.is_file() and not _SKIPPED & set(path.parts) and path.suffix != ".pyc"
        ]
    return sorted(found)


def tree_hash(names: Iterable[str] = SOURCE, root: Path = ROOT) -> str:
    """A hash of paths and contents, 12 hexadecimal digits: equal exactly where the files are."""
    digest = hashlib.sha256()
    for path in files_of(names, root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def commit(root: Path = ROOT) -> str:
    """The commit that is checked out, with `+` when source files differ from it; empty outside a repository."""
    head = _git("rev-parse", "--short=12", "HEAD", root=root)
    return head + ("+" if head and _git("status", "--porcelain", "--", *SOURCE, root=root) else "")


def _git(*arguments: str, root: Path) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> dict[str, str | int]:
    """What is meant by the same machine: name, processor, cores, memory in GB."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [line for line in info.read_text(errors="replace").splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"name": platform.node(), "processor": model, "cores": os.cpu_count() or 1, "memory_gb": round(memory)}
