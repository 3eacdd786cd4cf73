"""How the released model is used, and how the run is repeated."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from state.settings import Settings
from tools.report.facts import ReportFacts

_ALWAYS = ("target", "metric", "time_limit", "seed")
_NOT_TOLD = {"data", "fresh", "name", "review", "api_key_env", "llm_timeout", "temperature"}
"""Settings that no command repeats: they change nothing in the result, or the command line has no option for them."""


def usage(facts: ReportFacts) -> list[dict[str, str]]:
    """Commands that use the released model; empty without a release."""
    if not facts.release_folder:
        return []
    name = str(facts.run.get("name") or facts.run.get("id") or "last")
    folder = shlex.quote(facts.release_folder)
    return [
        {
            "what": "On the command line",
            "code": f"modelwright predict {shlex.quote(name)} new.csv --out predictions.csv",
        },
        {
            "what": "Without modelwright, with nothing but the release's own requirements",
            "code": f"cd {folder}\npython -m venv .venv && . .venv/bin/activate\npip install -r requirements.txt\n"
            "python model_inference/inference.py --input new.csv --output predictions.csv",
        },
        {
            "what": "In Python",
            "code": f"import modelwright\n\nrun = modelwright.open_run({name!r})\nrun.predict(frame)",
        },
    ]


def reproduce(facts: ReportFacts) -> list[tuple[str, str]]:
    """What one needs to get the same result again."""
    run, prepared = facts.run, facts.prepared
    settings = run.get("settings") or {}
    lines = [
        ("run", f"{run.get('name', '')} ({run.get('id', '')})" if run.get("name") else str(run.get("id") or "")),
        ("seed", str(settings.get("seed", ""))),
        ("data", PurePath(str(settings.get("data") or "")).name),
        ("data hash", prepared.source if prepared else ""),
        ("split", f"{facts.task.split.kind}, {facts.task.split.folds} folds"),
        ("sandbox", str(run.get("tier") or "")),
        ("train again", _train_again(facts)),
    ]
    return [(name, value) for name, value in lines if value]


def _train_again(facts: ReportFacts) -> str:
    if not facts.release_folder:
        return ""
    name = PurePath(str((facts.run.get("settings") or {}).get("data") or "")).name or "data.csv"
    return f"python model_training/train.py --data {shlex.quote(name)}"


def versions(facts: ReportFacts) -> list[tuple[str, str]]:
    """Library versions of the run."""
    return [(str(name), str(version)) for name, version in dict(facts.run.get("versions") or {}).items()]


def build_command(facts: ReportFacts) -> str:
    """The command that starts the same build: the settings of the run that differ from the defaults, spelled out."""
    if facts.run.get("command"):
        return str(facts.run["command"])
    settings: Mapping[str, Any] = facts.run.get("settings") or {}
    if not settings.get("data"):
        return ""
    plain = Settings.model_validate({}).model_dump(mode="json")
    told = {**settings, "target": facts.task.target, "metric": facts.task.metric.name}
    words = ["modelwright", "build", PurePath(str(settings["data"])).name]
    for name, default in plain.items():
        value = told.get(name, default)
        if name in _ALWAYS or (name not in _NOT_TOLD and value != default):
            words += _option(name, value)
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    if name == "group_columns":
        return [word for column in value for word in ("--group", str(column))]
    if name == "experts":
        return [word for role, expert in value.items() for word in ("--role-expert", f"{role}={expert}")]
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}", f"{value:g}" if isinstance(value, float) else str(value)]
