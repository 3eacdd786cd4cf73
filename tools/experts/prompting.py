"""Prompt templates: one file per role and question in `prompts/`, each replaceable from a person's own folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from jinja2 import meta

from state.errors import ExpertError, UsageError
from state.questions import Question
from tools.experts.excerpts import block, excerpt

FOLDER_VARIABLE = "MODELWRIGHT_PROMPTS"
"""Environment variable naming a folder whose templates replace ours of the same file name."""
SYSTEM = "system.md.j2"
CORRECTION = "correction.md.j2"

_OURS = Path(__file__).parent / "prompts"


class Prompt(NamedTuple):
    """A rendered question."""

    system: str
    user: str
    template: str
    """File name of the question's template."""
    digest: str
    """SHA-256 over the text of every template that took part, and of what is told beside the question."""


class Prompts:
    """Renders questions.

    known: plain data told beside the question: {libraries: names a program may import, recipes: [{name, …}],
    inference_reference: text of an inference program that keeps the contract}.
    """

    def __init__(self, folder: Path | None = None, *, known: Mapping[str, Any] | None = None) -> None:
        folders = [_OURS] if folder is None else [folder, _OURS]
        self._loader = jinja2.FileSystemLoader([str(place) for place in folders])
        # Prompts are Markdown read by a model; escaping for HTML would garble them. Data is fenced by `block`.
        self._environment = jinja2.Environment(  # noqa: S701
            loader=self._loader, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters["block"] = block
        self._known = {"libraries": [], "recipes": [], "inference_reference": "", **(known or {})}

    @property
    def recipes(self) -> list[str]:
        """Names of the recipes that plans are told to choose from."""
        return [str(recipe["name"]) for recipe in self._known["recipes"]]

    def render(self, question: Question[Any]) -> Prompt:
        """The prompt of a question. Raises ExpertError when a template asks for what there is not."""
        template = template_name(question)
        facts = {"role": question.role, "answer": type(question).answer.__name__, **self._known, **excerpt(question)}
        system = self._text(SYSTEM, facts)
        user = self._text(template, facts)
        return Prompt(system, user, template, self._digest(SYSTEM, template, CORRECTION))

    def correction(self, problems: list[str], schema: dict[str, Any]) -> str:
        """What is said after an unusable reply."""
        return self._text(CORRECTION, {"problems": problems, "schema": schema})

    def _text(self, name: str, facts: dict[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(facts)
        except jinja2.TemplateError as error:
            where = f"line {error.lineno}: " if isinstance(error, jinja2.TemplateSyntaxError) else ""
            raise ExpertError(
                f"prompt template {name!r} cannot be used: {where}{error.message}",
                hint=f"compare it with the one in {_OURS.name}/, or unset {FOLDER_VARIABLE}",
            ) from None

    def _digest(self, *names: str) -> str:
        digest = hashlib.sha256(repr(sorted(self._known.items())).encode())
        pending, seen = list(names), set[str]()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            source, _, _ = self._loader.get_source(self._environment, name)
            digest.update(f"{name}\0{source}\0".encode())
            parsed = self._environment.parse(source)
            pending += [found for found in meta.find_referenced_templates(parsed) if found is not None]
        return digest.hexdigest()


def template_name(question: Question[Any]) -> str:
    """`<role>_<question>.md.j2`, e.g. `engineer_repair.md.j2`."""
    return f"{question.role}_{type(question).__name__.removesuffix('Question').lower()}.md.j2"


def own_folder() -> Path | None:
    """The folder of a person's own templates, or None. Raises UsageError when it is named and does not exist."""
    named = os.environ.get(FOLDER_VARIABLE, "").strip()
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise UsageError(f"{FOLDER_VARIABLE} names no folder: {named!r}", hint="create it, or unset the variable")
    return folder


__all__ = ["CORRECTION", "FOLDER_VARIABLE", "SYSTEM", "Prompt", "Prompts", "own_folder", "template_name"]
