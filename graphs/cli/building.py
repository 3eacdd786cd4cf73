"""The commands that drive a run: build, resume, demo; with progress on stderr and the result on stdout."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphs.cli.output import print_json
from graphs.cli.progress import open_progress
from state.errors import InputError, Problem, UsageError
from state.settings import Settings


def build_command(given: dict[str, Any], *, config: Path | None = None, output_json: bool, began: float) -> None:
    """Build a model. Options win over the environment, the environment over the TOML file."""
    settings = gather_settings(given, config)
    from graphs import session

    with open_progress(settings.time_limit, began) as progress:
        outcome = session.start(settings, listener=progress, began=began)
    finish(outcome, output_json=output_json, began=began)


def resume_command(reference: str, overrides: dict[str, Any], *, output_json: bool, began: float) -> None:
    """Go on with a run."""
    checked = _validated({**overrides}) if overrides else Settings()
    changed = {name: getattr(checked, name) for name in overrides}
    drive_resume(reference, answers={}, overrides=changed, output_json=output_json, began=began)


def drive_resume(
    reference: str, *, answers: dict[str, Any], overrides: dict[str, Any], output_json: bool, began: float
) -> None:
    from graphs import session

    with open_progress(overrides.get("time_limit"), began) as progress:
        outcome = session.resume(reference, answers=answers, overrides=overrides, listener=progress, began=began)
    finish(outcome, output_json=output_json, began=began)


def finish(outcome: Any, *, output_json: bool, began: float) -> None:
    """Show how the invocation ended; ask at once when it waits and a person sits at the terminal; exit with its code."""
    from graphs.cli.asking import ask_here
    from graphs.cli.screens import outcome_screen

    if outcome.status == "waiting" and not output_json and sys.stdin.isatty() and sys.stderr.isatty():
        answers = ask_here(outcome.waiting)
        if answers:
            drive_resume(outcome.run_id, answers=answers, overrides={}, output_json=output_json, began=began)
            return
    if output_json:
        print_json(
            {
                "run_id": outcome.run_id,
                "name": outcome.name,
                "status": outcome.status,
                "waiting": outcome.waiting,
                **outcome.summary,
            }
        )
    else:
        outcome_screen(outcome)
    sys.exit(outcome.exit_code)


def gather_settings(given: dict[str, Any], config: Path | None) -> Settings:
    """Settings from options, environment (MODELWRIGHT_…) and TOML, in this order of precedence."""
    from graphs.cli.environment import environment_settings

    values = {**_toml(config), **environment_settings()}
    values.update({name: value for name, value in given.items() if value is not None})
    return _validated(values)


def _validated(values: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        from tools.intake.request import settings_problems

        raise InputError(settings_problems(error)) from None


def _toml(config: Path | None) -> dict[str, Any]:
    """The table `tool.modelwright` of pyproject.toml here, or the whole of the file that was named."""
    path = config or Path("pyproject.toml")
    if config is None and not path.is_file():
        return {}
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise InputError(Problem(f"the settings file cannot be read: {error.strerror}", where=str(path))) from None
    except tomllib.TOMLDecodeError as error:
        if config is None:
            return {}
        raise UsageError(
            f"{path} is no valid TOML: {error}", hint="each setting is a line such as time_limit = '5m'"
        ) from None
    tool = content.get("tool", {}).get("modelwright")
    return dict(tool) if tool is not None else ({} if config is None else content)
