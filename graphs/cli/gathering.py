"""Settings of a build from options, environment and TOML; every problem of settings and data at once."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from graphs.cli.environment import environment_settings
from state.errors import InputError, Problem
from state.settings import RESUME_MAY_CHANGE, Settings


def gather_settings(
    given: dict[str, Any], config: Path | None, *, project: bool = True, defaults: dict[str, Any] | None = None
) -> Settings:
    """Settings from options, environment (MODELWRIGHT_…) and TOML, in this order of precedence.

    given: option → value, None when it was not given. project: whether `pyproject.toml` here is read when `config`
    names no file. Raises InputError with every problem, those of the data included.
    """
    values, problems = _toml(config, project=project)
    values = {**(defaults or {}), **values, **environment_settings()}
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += _problems(error)
        wrong = {str(one["loc"][0]) for one in error.errors() if one["loc"]}
        settings = Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
    if problems:
        raise InputError([*problems, *_data_problems(settings)])
    return settings


def checked_overrides(given: dict[str, Any]) -> dict[str, Any]:
    """What `resume` may change, checked. Raises InputError with every problem."""
    values = {name: value for name, value in given.items() if value is not None}
    assert values.keys() <= RESUME_MAY_CHANGE
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(_problems(error)) from None
    return {name: getattr(settings, name) for name in values}


def _problems(error: ValidationError) -> list[Problem]:
    from tools.intake.options import settings_problems

    return settings_problems(error)


def _data_problems(settings: Settings) -> list[Problem]:
    """What is wrong with the data as well, so that a person mends everything in one go."""
    from tools.intake.request import check_request

    try:
        check_request(settings)
    except InputError as error:
        return error.problems
    return []


def _toml(config: Path | None, *, project: bool) -> tuple[dict[str, Any], list[Problem]]:
    """The table `tool.modelwright` of pyproject.toml here, or of the file that was named, or the whole of that file."""
    path = config or Path("pyproject.toml")
    if config is None and not (project and path.is_file()):
        return {}, []
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        cure = "name a TOML file that exists"
        return {}, [Problem(f"the settings file cannot be read: {error.strerror}", where=str(path), cure=cure)]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if config is None:
            return {}, []  # somebody else's broken project is not our business
        cure = "each setting is a line such as time_limit = '5m'"
        return {}, [Problem(f"no valid TOML: {error}", where=str(path), cure=cure)]
    tool = content.get("tool", {}).get("modelwright") if isinstance(content.get("tool"), dict) else None
    values = tool if isinstance(tool, dict) else ({} if config is None else content)
    unknown = [name for name in values if name not in Settings.model_fields]
    known = {name: value for name, value in values.items() if name not in unknown}
    return known, [_stranger(name, path) for name in unknown]


def _stranger(name: str, path: Path) -> Problem:
    near = difflib.get_close_matches(name.replace("-", "_"), list(Settings.model_fields), n=1, cutoff=0.5)
    cure = f"did you mean {near[0]!r}?" if near else f"the settings are {', '.join(Settings.model_fields)}"
    return Problem(f"there is no setting {name!r}", where=str(path), cure=cure)
