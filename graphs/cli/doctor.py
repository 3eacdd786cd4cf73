"""`modelwright doctor`: what this machine offers."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from graphs.cli.output import print_json, results, say
from tools.home import home

_PACKAGE = "modelwright"
_CORE = ("langgraph", "langgraph-checkpoint-sqlite", "pandas", "scikit-learn", "lightgbm", "skrub", "skops", "pyarrow")


def doctor_screen(output_json: bool) -> None:
    """Print what was found; each problem with its cure."""
    facts = examine()
    if output_json:
        print_json(facts)
        return
    console = results()
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items())
        if name != "problems":
            say(console, f" {name:<12}{value}", indent=13)
    for problem in facts["problems"]:
        say(console, f" !           {problem}", indent=13, style="bold")
    if not facts["problems"]:
        say(console, " ready       try: modelwright demo", style="bold")


def examine() -> dict[str, Any]:
    """Facts about this machine, as plain data. Read-only, but for the home folder being made."""
    import psutil

    from graphs.cli.sandbox_advice import sandbox_openings, sandbox_problems
    from tools.columnwise import cores
    from tools.sandbox import probe

    free = shutil.disk_usage(home()).free / 2**30
    memory = psutil.virtual_memory().available / 2**30
    libraries = _versions(_CORE)
    tried = probe()
    problems = [
        f"the library {name} is missing: pip install modelwright brings it"
        for name, version in libraries.items()
        if version == "missing"
    ]
    if platform.system() not in {"Linux", "Darwin"}:
        problems.append(f"{platform.system()} is not served: use Linux, macOS, or WSL on Windows")
    if free < 1:
        problems.append(f"only {free:.1f} GiB free at {home()}: set MODELWRIGHT_HOME to a larger disk")
    if memory < 1:
        problems.append(f"only {memory:.1f} GiB of memory free: programs may be ended")
    if os.environ.get("LANGSMITH_TRACING", "").lower() == "true":
        problems.append("LANGSMITH_TRACING is on: LangGraph will send traces to the network; unset it to stay offline")
    problems += sandbox_problems(tried)
    store, trouble = _store()
    problems += trouble
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": cores(),
        "memory": f"{memory:.1f} GiB free",
        "home": f"{home()} ({free:.1f} GiB free)",
        "store": store,
        "sandbox": tried.name,
        "left open": "; ".join(sandbox_openings(tried)) or "nothing known",
        "libraries": libraries,
        "extras": {name: _installed(name, brought) for name, brought in extras().items()},
        "key": "OPENAI_API_KEY is set"
        if os.environ.get("OPENAI_API_KEY")
        else "no OPENAI_API_KEY (not needed: the builtin expert works without)",
        "problems": problems,
    }


def _store() -> tuple[str, list[str]]:
    """Where everything is kept, and what is wrong with it; a password is not shown."""
    from state.errors import ModelwrightError
    from tools.places import CATALOGUE_SCHEMA, Schema, masked, store_url

    url = store_url()
    if url is None:
        return "files in the home folder", []
    from tools.postgres.session import Session

    session = Session(Schema(url, CATALOGUE_SCHEMA))
    try:
        return f"{masked(url)}, PostgreSQL {session.server_version()}", []
    except ModelwrightError as error:
        return f"{masked(url)}, not usable", [f"{error.message}: {error.hint}"]
    finally:
        session.close()


def extras() -> dict[str, list[str]]:
    """Each extra of ours with the libraries it brings on this machine, but for `dev`.

    In a checkout from pyproject.toml, since what was installed of it may be older; else from the package's metadata.
    Empty where neither is there.
    """
    declared = _declared() or _published()
    found = {}
    for extra in sorted(declared.keys() - {"dev"}):
        wanted = [one for one in declared[extra] if one.marker is None or one.marker.evaluate({"extra": extra})]
        found[extra] = [one.name for one in wanted]
    return found


def _declared() -> dict[str, list[Requirement]]:
    """Extra → requirements in the pyproject.toml of the checkout this module lies in; empty in an installed package."""
    path = Path(__file__).resolve().parents[2] / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return {}
    listed = project.get("optional-dependencies", {}) if project.get("name") == _PACKAGE else {}
    return {extra: [Requirement(text) for text in texts] for extra, texts in listed.items()}


def _published() -> dict[str, list[Requirement]]:
    """Extra → requirements in the metadata of the installed package; empty where it is not installed."""
    try:
        package = metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError:
        return {}
    conditional = [one for text in package.requires or [] if (one := Requirement(text)).marker is not None]
    names = package.metadata.get_all("Provides-Extra") or []
    return {name: [one for one in conditional if _only_with(one, name)] for name in names}


def _only_with(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is not None and marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _installed(extra: str, libraries: list[str]) -> str:
    """The versions of an extra's libraries, or the line that installs it."""
    versions = _versions(libraries)
    if "missing" in versions.values():
        return f"not installed (pip install '{_PACKAGE}[{extra}]')"
    return " + ".join(f"{name} {version}" for name, version in versions.items())


def _versions(names: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found
