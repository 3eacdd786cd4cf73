"""`modelwright fork`: what is to be different, from options, a file or an editor; what it means; and driving it on."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from graphs.cli.output import duration, print_json, progress, results, say
from state.errors import InputError, NotFound, Problem, UsageError


def fork_command(reference: str, given: dict[str, Any], *, dry_run: bool, output_json: bool) -> None:
    """Fork a run and go on with the fork; with `dry_run` only say what would run again."""
    from graphs.forking import make_fork, plan_fork

    if given["at"] is None:
        raise UsageError(
            "fork needs the step to go back to",
            hint=f"--at STEP; `modelwright log {reference} --steps` lists the steps",
        )
    place = {"candidate": given["candidate"], "settings": _settings(given["change"]), "name": given["name"]}
    plan = _read_plan(given["file"].read_text(), str(given["file"])) if _is_file(given["file"]) else None
    if given["edit"]:
        plan = _edited(plan_fork(reference, given["at"], **place), plan)
    planned = plan_fork(reference, given["at"], **place, plan=plan)
    facts = planned.describe()
    if dry_run and output_json:
        print_json(facts)
        return
    console = results() if dry_run else progress()
    for line in fork_lines(facts):
        say(console, line)
    if dry_run:
        say(console, "nothing was forked", style="bold")
        return
    from graphs.cli.building import drive_resume

    fork = make_fork(planned)
    # The parent's clock at the step goes on from here: what this command took to start is no part of its work.
    drive_resume(fork.id, answers={}, overrides={}, output_json=output_json, began=time.monotonic())


def fork_lines(facts: dict[str, Any]) -> list[str]:
    """What a fork means, in sentences."""
    branch = f" in the branch of {facts['candidate']}" if facts["candidate"] else ""
    clock = f"{duration(facts['spent'])} of {duration(facts['time_limit'])} used by then"
    lines = [f"fork of {facts['run']} at step {facts['step']}: {facts['role']}{branch}; {clock}"]
    lines += [
        f"  {one['setting']}: {_told(one['from'])} → {_told(one['to'])}; runs again: {one['again']}"
        for one in facts["changed"]
    ]
    if facts["plans"]:
        lines.append(f"  plans edited: {', '.join(facts['plans'])}; runs again: their programs")
    lines.append(
        f"  steps {_ranges(facts['steps'])} of {facts['run']} are not kept; from there on: {', '.join(facts['roles'])}"
    )
    lines.append(
        f"  trainings before that: {facts['kept_trainings']}, kept; after it: {facts['trainings']}, answered from the journal "
        "where programs, data and seed stay the same"
    )
    return lines


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value or "''"


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 7 → 1–3, 7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ", ".join("–".join(map(str, part)) for part in parts)


# ---- settings and plans as a person gives them -------------------------------------------------------------------


def _settings(texts: list[str]) -> dict[str, Any]:
    """`key=value` texts as settings: JSON where it can be, a list where the setting is one, else text."""
    from state.settings import Settings

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--set takes KEY=VALUE, not {text!r}", hint="for instance --set iterations=2")
        field = Settings.model_fields.get(name)
        if field is not None and isinstance(field.get_default(call_default_factory=True), list):
            found[name] = [part.strip() for part in value.strip("[]").replace('"', "").split(",") if part.strip()]
            continue
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _is_file(path: Path | None) -> bool:
    if path is None:
        return False
    if not path.is_file():
        raise NotFound(
            f"{str(path)!r} is no file", hint="--plan takes a YAML or JSON file with a plan or a list of plans"
        )
    return True


def _read_plan(text: str, where: str) -> Any:
    """A plan or a list of plans from YAML, which JSON is a part of. Raises InputError naming line and column."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        told = getattr(error, "problem", None) or str(error)
        raise InputError(Problem(f"no valid YAML or JSON: {told}", where=place)) from None


def _edited(planned: Any, plan: Any) -> Any:
    """The step's plans as a person leaves them in an editor. Raises UsageError when nothing was changed."""
    import yaml

    from tools.artifacts import open_artifacts
    from tools.forkplans import plans_at

    command = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not command:
        raise UsageError("no editor is set", hint="set EDITOR, or give the plan with --plan FILE")
    before = plan if plan is not None else [one.plain() for one in plans_at(planned.origin, open_artifacts())]
    head = "# Plans of this step. Save and leave to fork with them; leave without a change to fork nothing.\n"
    text = head + yaml.safe_dump(before, sort_keys=False, allow_unicode=True, width=110)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            ended = subprocess.run([*shlex.split(command), str(path)], check=False).returncode
        except OSError as error:
            raise UsageError(f"the editor {command!r} cannot be started: {error.strerror}", hint="set EDITOR") from None
        after = path.read_text(encoding="utf-8")
    if ended or after == text:
        raise UsageError("nothing was changed in the editor, so nothing was forked")
    return _read_plan(after, "the edited plan")
