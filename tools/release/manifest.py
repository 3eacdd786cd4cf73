"""manifest.json and MODEL_CARD.md: what a release says about itself."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from state.records import content_key, to_plain
from state.release import ReleaseFacts
from tools.receipts import baseline_id, number_id
from tools.release.inference import output_columns
from tools.release.sources import template

FORMAT_VERSION = 2
SEAL = "content_sha256"
"""Field of the manifest with the hash of all the others, so that any change of it is seen."""
_CODE = (".py",)


def json_text(value: Any) -> str:
    """Strict JSON, readable, ending in a newline."""
    return json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a manifest as plain data, with its own hash."""
    plain: dict[str, Any] = to_plain(content)
    return {**plain, SEAL: content_key(plain)}


def is_sealed(content: dict[str, Any]) -> bool:
    """Whether a manifest's content has the hash it says."""
    try:
        return content.get(SEAL) == content_key({name: value for name, value in content.items() if name != SEAL})
    except (ValueError, TypeError, RecursionError):  # numbers JSON does not have, text no encoding takes
        return False


def bare_manifest(hashes: dict[str, str]) -> dict[str, Any]:
    """The manifest of runtime files that are not published yet: path → SHA-256, which is what inference.py looks at."""
    return sealed({"format_version": FORMAT_VERSION, "files": {path: {"sha256": one} for path, one in hashes.items()}})


def manifest(facts: ReleaseFacts, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Content of manifest.json as plain data. files: path → {sha256, size} of every other file of the release."""
    task = facts.task
    types = facts.read_spec["columns"]
    content = {
        "format_version": FORMAT_VERSION,
        "created": facts.created,
        "modelwright": facts.modelwright,
        "run": {"id": facts.run_id, "name": facts.run_name, "candidate": facts.candidate, "title": facts.title},
        "intent": facts.intent,
        "task": {
            "kind": task.kind,
            "target": task.target,
            "metric": task.metric,
            "classes": task.classes,
            "positive": task.positive,
            "targets": task.targets,
            "target_traits": task.target_traits,
            "exposure": task.exposure,
            "group_columns": task.group_columns,
            "time_column": task.time_column,
            "horizon": task.horizon,
            "forecast": task.forecast,
            "split": task.split,
            "excluded": task.excluded,
            "decisions": task.decisions,
        },
        "reading": {name: value for name, value in facts.read_spec.items() if name != "columns"},
        "inputs": [
            {**feature.plain(), "type": types[feature.name]["type"], "read": types[feature.name]}
            for feature in task.features
        ],
        "outputs": output_columns(task),
        "score": _score(facts),
        "test": _test(facts),
        "baselines": [{**one.plain(), "number": baseline_id(one.name)} for one in facts.baselines],
        "refit": {"rows": facts.refit, "count": facts.fitted_rows},
        "data": {**facts.origin.plain(), "source": facts.source, "rows": facts.rows, "test_rows": facts.sealed_rows},
        "members": [member.model_dump(exclude={"model", "seconds"}) for member in facts.members],
        "combination": facts.combination,
        "prefer": facts.prefer,
        "speed": {"milliseconds": facts.latency, "model_bytes": facts.model_bytes},
        "checks": facts.checks,
        "limits": facts.limits,
        "seed": facts.seed,
        "sandbox": facts.sandbox,
        "python": platform.python_version(),
        "machine": machine(),
        "versions": facts.versions,
        "unsafe": facts.unsafe,
        "code": {path: entry["sha256"] for path, entry in sorted(files.items()) if path.endswith(_CODE)},
        "files": dict(sorted(files.items())),
    }
    return sealed(content)


def machine() -> str:
    """System, processor architecture and model: what the last digits of a computation depend on besides libraries."""
    name = ""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        name = platform.processor()
    return ", ".join(filter(None, [f"{platform.system()} {platform.machine()}", name]))


def _score(facts: ReleaseFacts) -> dict[str, Any] | None:
    """The out-of-fold score. `number`, here as below: the id under which `modelwright why RUN ID` tells where it came from."""
    if facts.score is None:
        return None
    measured_on = "out-of-fold predictions of the rows outside the test set"
    return {**facts.score.plain(), "measured_on": measured_on, "number": number_id("oof", facts.candidate)}


def _test(facts: ReleaseFacts) -> dict[str, Any] | None:
    """The sealed test's score, saying which model it belongs to."""
    if facts.test is None:
        return None
    moved = facts.test_before_refit and facts.refit == "all"
    model = "the model before it was fitted again on all labelled rows" if moved else "the released model"
    return {
        **facts.test.plain(),
        "measured_on": "the sealed test set",
        "number": number_id("test", facts.task.metric.name),
        "belongs_to": model,
        "before_refit": moved,
        "opening": facts.opening,
    }


def model_card(facts: ReleaseFacts) -> str:
    """Text of MODEL_CARD.md: YAML head and Markdown."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 -- Markdown, not HTML; `cell` and `yaml` do the escaping
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"cell": _cell, "yaml": _yaml, "number": _number}
    test = _test(facts)
    return environment.from_string(template("MODEL_CARD.md.j2")).render(
        facts=facts,
        task=facts.task,
        outputs=output_columns(facts.task),
        test=test,
        types=facts.read_spec["columns"],
        model=_model_words(facts),
        rows=_member_rows(facts),
        which_rows=_which_rows(facts),
    )


def _member_rows(facts: ReleaseFacts) -> list[dict[str, Any]]:
    """One line per program: its weight, and how many fold models it stands for."""
    rows: dict[str, dict[str, Any]] = {}
    for member in facts.members:
        row = rows.setdefault(member.candidate, {"member": member, "weight": 0.0, "models": 0})
        row["weight"], row["models"] = row["weight"] + member.weight, row["models"] + 1
    return list(rows.values())


def _which_rows(facts: ReleaseFacts) -> str:
    if any(member.rows for member in facts.members):
        return "those outside the test set that the time limit had room for"
    return "all labelled rows" if facts.refit == "all" else "those outside the test set"


def _model_words(facts: ReleaseFacts) -> list[str]:
    """How the model is made of its programs, how it decides, and how quick and large it is, in sentences."""
    programs, combination = len(_member_rows(facts)), facts.combination
    told = []
    if combination.stacked:
        told.append(
            f"A stack of {programs} programs: weights that add up to {combination.scale:.3g}, and offsets, fitted to "
            "out-of-fold predictions."
        )
    elif programs > 1:
        told.append(f"The {combination.words} of {programs} programs.")
    if facts.bagged:
        told.append("Each program stands for the models of the folds, averaged: none of them was fitted on all rows.")
    if combination.decision:
        told.append(f"Decision: {combination.source or 'class weights, in schema.json'}.")
    if facts.latency:
        one, many = facts.latency.get("1 row", 0.0), facts.latency.get("1000 rows", 0.0)
        told.append(
            f"Predicts one row in {one:.3g} ms and 1,000 rows in {many:.3g} ms where it was built, once loaded."
        )
    if facts.model_bytes:
        told.append(f"The saved models take {facts.model_bytes / 1e6:.3g} MB.")
    return told


def _cell(value: Any) -> str:
    """Text that stays inside its Markdown table cell or paragraph whatever it holds."""
    text = " ".join(str(value).split())
    for mark in "\\`*_[]<>|#":
        text = text.replace(mark, "\\" + mark)
    return text


def _yaml(value: Any) -> str:
    """A YAML scalar or flow sequence; JSON is YAML."""
    return json.dumps(to_plain(value), ensure_ascii=False)


def _number(value: float) -> str:
    return f"{value:.4g}"
