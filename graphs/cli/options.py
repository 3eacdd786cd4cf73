"""The options of `modelwright build` and its relatives, by panel of the help.

Importing this must stay cheap: no pandas, no langgraph, no scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from graphs.cli.root import listed, option

PRECEDENCE = (
    "Settings come from options, else from environment variables (MODELWRIGHT_TIME_LIMIT=5m, MODELWRIGHT_REVIEW=plan), "
    "else from the table tool.modelwright of pyproject.toml here or the file of --config (time_limit = '5m')."
)


TASK, DATA, LIMITS, EXPERTS, OUTPUT = (
    "What to build",
    "Data and split",
    "Limits",
    "Experts and people",
    "Run and output",
)

Time = Annotated[
    str | None,
    option("Wall time of the whole command: 90, 90s, 5m, 1h (default: 5m)", metavar="TIME", panel=LIMITS),
]
Jobs = Annotated[
    str | None, option("Programs run at the same time (default: number of cores)", metavar="N", panel=LIMITS)
]
Iterations = Annotated[
    str | None,
    option("Most rounds of plan, implement, select (default: 40; time ends the search)", metavar="N", panel=LIMITS),
]
Candidates = Annotated[str | None, option("Solution plans per iteration (default: 4)", metavar="N", panel=LIMITS)]
RunTimeout = Annotated[str | None, option("Most time of one program execution", metavar="TIME", panel=LIMITS)]
Memory = Annotated[
    str | None,
    option("Most memory of one program, in MB (default: a share of what is free)", metavar="MB", panel=LIMITS),
]
Review = Annotated[
    str | None, option("Wait for a person at: plan, release, or plan,release", metavar="GATES", panel=EXPERTS)
]
Data = Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or Excel file, also gzipped", metavar="DATA")]
Target = Annotated[
    str | None,
    option("Column to predict, or several: a,b,c (default: guessed, and said)", metavar="COLUMN", panel=TASK),
]
Intent = Annotated[str | None, option("One sentence: what the model is for", metavar="SENTENCE", panel=TASK)]
Metric = Annotated[str | None, option("Metric to optimise (default: chosen, and said)", metavar="NAME", panel=TASK)]
Kind = Annotated[
    str | None,
    option(
        "binary, multiclass, regression, multilabel or multiregression (default: detected)",
        metavar="KIND",
        panel=TASK,
    ),
]
Positive = Annotated[str | None, option("Label of the positive class", metavar="LABEL", panel=TASK)]
Horizon = Annotated[str | None, option("Forecasts: time steps ahead", metavar="N", panel=TASK)]
TestData = Annotated[Path | None, option("Labelled file that becomes the sealed test set", metavar="FILE", panel=DATA)]
TestShare = Annotated[
    str | None, option("Share of rows sealed as the test set (default: 0.2)", metavar="SHARE", panel=DATA)
]
Folds = Annotated[str | None, option("Validation folds (default: 5)", metavar="N", panel=DATA)]
Group = Annotated[
    list[str] | None,
    option("Column of rows that belong together; may be repeated", metavar="COLUMN", panel=DATA),
]
TimeColumn = Annotated[str | None, option("Column with the time order of the rows", metavar="COLUMN", panel=DATA)]
Refit = Annotated[
    str | None, option("Rows of the released model: all or train (default: all)", metavar="ROWS", panel=DATA)
]
Prefer = Annotated[
    str | None,
    option(
        "speed, balanced or quality: what the released model is to be (default: balanced)",
        metavar="WHAT",
        panel=TASK,
    ),
]
Policy = Annotated[
    str | None,
    option(
        "How the search chooses: auto, greedy, best-first, mcts, evolutionary, portfolio (default: auto)",
        metavar="NAME",
        panel=LIMITS,
    ),
]
Attempts = Annotated[
    str | None, option("Executions of one program, repairs included (default: 3)", metavar="N", panel=LIMITS)
]
Expert = Annotated[
    str | None,
    option("builtin, or provider:model such as openai:gpt-5-mini", metavar="EXPERT", panel=EXPERTS),
]
RoleExpert = Annotated[
    list[str] | None, option("Expert of one role; may be repeated", metavar="ROLE=EXPERT", panel=EXPERTS)
]
BuiltinCandidates = Annotated[
    bool | None,
    option(
        "Let builtin candidates compete with an LLM's (default: yes)",
        "--builtin-candidates/--no-builtin-candidates",
        panel=EXPERTS,
    ),
]
BaseUrl = Annotated[str | None, option("URL of an OpenAI-compatible server", metavar="URL", panel=EXPERTS)]
ApiKeyEnv = Annotated[
    str | None,
    option("Environment variable that holds the key (default: OPENAI_API_KEY)", metavar="NAME", panel=EXPERTS),
]
Sandbox = Annotated[
    str | None, option("Sandbox tier: auto, T1, T2 or T3 (default: the strongest)", metavar="TIER", panel=LIMITS)
]
AllowUnsandboxed = Annotated[
    bool | None,
    option("Run an LLM's programs even where only tier T3 works", "--allow-unsandboxed", panel=LIMITS),
]
Seed = Annotated[str | None, option("Seed of splits and programs (default: 0)", metavar="N", panel=OUTPUT)]
Fresh = Annotated[bool | None, option("Ignore finished trainings of earlier runs", "--fresh", panel=OUTPUT)]
Name = Annotated[str | None, option("Readable name of the run (default: made up)", metavar="NAME", panel=OUTPUT)]
Config = Annotated[
    Path | None,
    option("TOML file with any of these settings (default: pyproject.toml here)", metavar="FILE", panel=OUTPUT),
]
BuildJson = Annotated[bool, option("Machine-readable output on stdout", "--json", panel=OUTPUT)]


def without(words: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A command's parameters but these, which are no settings."""
    return {name: word for name, word in words.items() if name not in names}


def given_settings(words: Mapping[str, Any]) -> dict[str, Any]:
    """What a command was given, under the names of the settings; None where an option was left out.

    words: the command's parameters. Raises UsageError for a pair that is none.
    """
    renamed = {"group": "group_columns", "role_expert": "experts"}
    given = {renamed.get(name, name): word for name, word in words.items()}
    for name in {"data", "test_data"} & given.keys():
        given[name] = None if given[name] is None else str(given[name])
    if "review" in given:
        given["review"] = listed(given["review"])
    if "experts" in given:
        given["experts"] = _pairs(given["experts"])
    if "group_columns" in given:
        given["group_columns"] = given["group_columns"] or None
    return given


def _pairs(texts: list[str] | None) -> dict[str, str] | None:
    if not texts:
        return None
    from state.errors import UsageError

    pairs = dict(text.split("=", 1) for text in texts if "=" in text)
    if len(pairs) < len(texts):
        raise UsageError(
            "--role-expert takes ROLE=EXPERT", hint="for instance --role-expert engineer=openai:gpt-5-mini"
        )
    return pairs
