"""The commands and their options. Importing this must stay cheap: no pandas, no langgraph, no scikit-learn."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from graphs.cli.output import print_json

app = typer.Typer(
    name="modelwright",
    help="An ML engineering team in one command: data and an intent in, a model folder and a report out.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done · 1 failed · 2 usage · 3 waiting for approval · 4 budget spent without a model · "
    "5 bad input · 6 refused for safety · 7 run held by another process · 130 paused",
)

RunArgument = Annotated[str, typer.Argument(help="Name, id prefix, or 'last'", metavar="RUN")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout")]

PRECEDENCE = (
    "Settings come from options, else from environment variables (MODELWRIGHT_TIME_LIMIT=5m, MODELWRIGHT_REVIEW=plan), "
    "else from the table tool.modelwright of pyproject.toml here or the file of --config (time_limit = '5m')."
)


def _option(help_text: str, *names: str, metavar: str | None = None, panel: str | None = None) -> Any:
    """An option. Numbers are read as text here: the settings check them, and tell all problems at once."""
    return typer.Option(*names, help=help_text, metavar=metavar, rich_help_panel=panel)


TASK, DATA, LIMITS, EXPERTS, OUTPUT = (
    "What to build",
    "Data and split",
    "Limits",
    "Experts and people",
    "Run and output",
)

TimeOption = Annotated[
    str | None,
    _option("Wall time of the whole command: 90, 90s, 5m, 1h (default: 5m)", metavar="TIME", panel=LIMITS),
]
JobsOption = Annotated[
    str | None, _option("Programs run at the same time (default: number of cores)", metavar="N", panel=LIMITS)
]
IterationsOption = Annotated[
    str | None,
    _option("Most rounds of plan, implement, select (default: 40; time ends the search)", metavar="N", panel=LIMITS),
]
CandidatesOption = Annotated[
    str | None, _option("Solution plans per iteration (default: 4)", metavar="N", panel=LIMITS)
]
RunTimeoutOption = Annotated[str | None, _option("Most time of one program execution", metavar="TIME", panel=LIMITS)]
MemoryOption = Annotated[
    str | None,
    _option("Most memory of one program, in MB (default: a share of what is free)", metavar="MB", panel=LIMITS),
]
ReviewOption = Annotated[
    str | None, _option("Wait for a person at: plan, release, or plan,release", metavar="GATES", panel=EXPERTS)
]


@app.command()
def demo(
    time_limit: Annotated[
        str | None, _option("Wall time of the whole command: 90, 90s, 5m, 1h (default: 60s)", metavar="TIME")
    ] = None,
    review: Annotated[
        str | None, _option("Wait for a person at: plan, release, or plan,release", metavar="GATES")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train anew even what an earlier demo trained")] = False,
    output_json: JsonOption = False,
) -> None:
    """Build a model on a table that comes with modelwright: no key, no network."""
    began = _began()
    from graphs.cli.building import build_command
    from graphs.cli.demo import demo_settings

    settings = demo_settings({"time_limit": time_limit, "review": _listed(review), "fresh": fresh or None})
    build_command(settings, output_json=output_json, began=began)


@app.command(epilog=PRECEDENCE)
def build(
    data: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet or Excel file, also gzipped", metavar="DATA")],
    target: Annotated[
        str | None,
        _option("Column to predict, or several: a,b,c (default: guessed, and said)", metavar="COLUMN", panel=TASK),
    ] = None,
    intent: Annotated[
        str | None, _option("One sentence: what the model is for", metavar="SENTENCE", panel=TASK)
    ] = None,
    metric: Annotated[
        str | None, _option("Metric to optimise (default: chosen, and said)", metavar="NAME", panel=TASK)
    ] = None,
    kind: Annotated[
        str | None,
        _option(
            "binary, multiclass, regression, multilabel or multiregression (default: detected)",
            metavar="KIND",
            panel=TASK,
        ),
    ] = None,
    positive: Annotated[str | None, _option("Label of the positive class", metavar="LABEL", panel=TASK)] = None,
    horizon: Annotated[str | None, _option("Forecasts: time steps ahead", metavar="N", panel=TASK)] = None,
    test_data: Annotated[
        Path | None, _option("Labelled file that becomes the sealed test set", metavar="FILE", panel=DATA)
    ] = None,
    test_share: Annotated[
        str | None, _option("Share of rows sealed as the test set (default: 0.2)", metavar="SHARE", panel=DATA)
    ] = None,
    folds: Annotated[str | None, _option("Validation folds (default: 5)", metavar="N", panel=DATA)] = None,
    group: Annotated[
        list[str] | None,
        _option("Column of rows that belong together; may be repeated", metavar="COLUMN", panel=DATA),
    ] = None,
    time_column: Annotated[
        str | None, _option("Column with the time order of the rows", metavar="COLUMN", panel=DATA)
    ] = None,
    refit: Annotated[
        str | None, _option("Rows of the released model: all or train (default: all)", metavar="ROWS", panel=DATA)
    ] = None,
    prefer: Annotated[
        str | None,
        _option(
            "speed, balanced or quality: what the released model is to be (default: balanced)",
            metavar="WHAT",
            panel=TASK,
        ),
    ] = None,
    time_limit: TimeOption = None,
    candidates: CandidatesOption = None,
    iterations: IterationsOption = None,
    policy: Annotated[
        str | None,
        _option(
            "How the search chooses: auto, greedy, best-first, mcts, evolutionary, portfolio (default: auto)",
            metavar="NAME",
            panel=LIMITS,
        ),
    ] = None,
    attempts: Annotated[
        str | None, _option("Executions of one program, repairs included (default: 3)", metavar="N", panel=LIMITS)
    ] = None,
    run_timeout: RunTimeoutOption = None,
    memory_mb: MemoryOption = None,
    jobs: JobsOption = None,
    review: ReviewOption = None,
    expert: Annotated[
        str | None,
        _option("builtin, or provider:model such as openai:gpt-5-mini", metavar="EXPERT", panel=EXPERTS),
    ] = None,
    role_expert: Annotated[
        list[str] | None, _option("Expert of one role; may be repeated", metavar="ROLE=EXPERT", panel=EXPERTS)
    ] = None,
    builtin_candidates: Annotated[
        bool | None,
        _option(
            "Let builtin candidates compete with an LLM's (default: yes)",
            "--builtin-candidates/--no-builtin-candidates",
            panel=EXPERTS,
        ),
    ] = None,
    base_url: Annotated[str | None, _option("URL of an OpenAI-compatible server", metavar="URL", panel=EXPERTS)] = None,
    api_key_env: Annotated[
        str | None,
        _option("Environment variable that holds the key (default: OPENAI_API_KEY)", metavar="NAME", panel=EXPERTS),
    ] = None,
    sandbox: Annotated[
        str | None, _option("Sandbox tier: auto, T1, T2 or T3 (default: the strongest)", metavar="TIER", panel=LIMITS)
    ] = None,
    allow_unsandboxed: Annotated[
        bool | None,
        _option("Run an LLM's programs even where only tier T3 works", "--allow-unsandboxed", panel=LIMITS),
    ] = None,
    seed: Annotated[str | None, _option("Seed of splits and programs (default: 0)", metavar="N", panel=OUTPUT)] = None,
    fresh: Annotated[bool | None, _option("Ignore finished trainings of earlier runs", "--fresh", panel=OUTPUT)] = None,
    name: Annotated[
        str | None, _option("Readable name of the run (default: made up)", metavar="NAME", panel=OUTPUT)
    ] = None,
    config: Annotated[
        Path | None,
        _option("TOML file with any of these settings (default: pyproject.toml here)", metavar="FILE", panel=OUTPUT),
    ] = None,
    output_json: Annotated[bool, _option("Machine-readable output on stdout", "--json", panel=OUTPUT)] = False,
) -> None:
    """Build a model from a table: plan, implement, infer, review, release."""
    began = _began()
    from graphs.cli.building import build_command
    from graphs.cli.gathering import gather_settings

    given: dict[str, Any] = {
        "data": str(data),
        "target": target,
        "intent": intent,
        "metric": metric,
        "time_limit": time_limit,
        "test_data": None if test_data is None else str(test_data),
        "kind": kind,
        "positive": positive,
        "group_columns": group or None,
        "time_column": time_column,
        "horizon": horizon,
        "test_share": test_share,
        "folds": folds,
        "candidates": candidates,
        "iterations": iterations,
        "policy": policy,
        "attempts": attempts,
        "run_timeout": run_timeout,
        "memory_mb": memory_mb,
        "jobs": jobs,
        "seed": seed,
        "review": _listed(review),
        "expert": expert,
        "experts": _pairs(role_expert),
        "builtin_candidates": builtin_candidates,
        "base_url": base_url,
        "api_key_env": api_key_env,
        "refit": refit,
        "prefer": prefer,
        "sandbox": sandbox,
        "allow_unsandboxed": allow_unsandboxed,
        "fresh": fresh,
        "name": name,
    }
    build_command(gather_settings(given, config), output_json=output_json, began=began)


@app.command()
def resume(
    run: RunArgument = "last",
    time_limit: TimeOption = None,
    jobs: JobsOption = None,
    iterations: IterationsOption = None,
    candidates: CandidatesOption = None,
    run_timeout: RunTimeoutOption = None,
    memory_mb: MemoryOption = None,
    review: ReviewOption = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Go through a damaged run again; what has finished comes from the journal"),
    ] = False,
    output_json: JsonOption = False,
) -> None:
    """Go on with an interrupted, paused or waiting run; finished trainings are not run again."""
    began = _began()
    from graphs.cli.building import drive_resume
    from graphs.cli.gathering import checked_overrides

    given = {
        "time_limit": time_limit,
        "jobs": jobs,
        "iterations": iterations,
        "candidates": candidates,
        "run_timeout": run_timeout,
        "memory_mb": memory_mb,
        "review": _listed(review),
    }
    overrides = checked_overrides(given)
    drive_resume(run, answers={}, overrides=overrides, rebuild=rebuild, output_json=output_json, began=began)


@app.command()
def approve(
    run: RunArgument = "last",
    keep: Annotated[str | None, typer.Option(help="Ids of the plans to keep, separated by commas")] = None,
    drop: Annotated[str | None, typer.Option(help="Ids of the plans to drop, separated by commas")] = None,
    edit: Annotated[
        list[str] | None, typer.Option("--set", help="Change a plan: PLAN.PARAM=VALUE; may be repeated")
    ] = None,
    add: Annotated[Path | None, typer.Option(help="JSON file with plans to add")] = None,
    answer: Annotated[Path | None, typer.Option(help="JSON file with the whole answer")] = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject, with --reason")] = False,
    reason: Annotated[str, typer.Option(help="Why; goes back to the researcher when plans are rejected")] = "",
    show_only: Annotated[bool, typer.Option("--show", help="Show the open question and answer nothing")] = False,
    output_json: JsonOption = False,
) -> None:
    """Answer what a run waits for, from any terminal, and go on with it."""
    from graphs.cli.asking import answer_command

    answer_command(
        run,
        {
            "keep": _listed(keep) or [],
            "drop": _listed(drop) or [],
            "edit": edit or [],
            "add": add,
            "file": answer,
            "action": "reject" if reject else "approve",
            "reason": reason,
        },
        show_only=show_only,
        output_json=output_json,
        began=_began(),
    )


@app.command("ls")
def list_runs(
    output_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", "-n", help="Most rows", min=1)] = 20,
) -> None:
    """List runs, newest first."""
    from graphs.cli.screens import runs_screen

    runs_screen(limit, output_json)


@app.command()
def show(run: RunArgument = "last", output_json: JsonOption = False) -> None:
    """Show one run: state, score, release, next commands."""
    from graphs.cli.screens import run_screen

    run_screen(run, output_json)


@app.command()
def leaderboard(run: RunArgument = "last", output_json: JsonOption = False) -> None:
    """Show the candidates of a run, best first."""
    from graphs.cli.screens import leaderboard_screen

    leaderboard_screen(run, output_json)


@app.command()
def review(
    run: RunArgument = "last",
    full: Annotated[bool, typer.Option("--full", help="Run every check, on all rows, on the finished run")] = False,
    output_json: JsonOption = False,
) -> None:
    """Show what the review of a run found, with evidence rows; --full runs all checks again."""
    from graphs.cli.review import review_command

    review_command(run, full=full, output_json=output_json)


@app.command()
def why(
    run: RunArgument = "last",
    number: Annotated[
        str | None, typer.Argument(help="Id of a number; all are listed without one", metavar="ID")
    ] = None,
    program: Annotated[bool, typer.Option("--program", help="Print the programs behind it")] = False,
    log: Annotated[bool, typer.Option("--log", help="Print what its executions printed")] = False,
    output_json: JsonOption = False,
) -> None:
    """Tell where a number came from: program, data, rows, seed, executions, logs, checkpoint."""
    from graphs.cli.why import why_screen

    why_screen(run, number, program=program, log=log, output_json=output_json)


@app.command("log")
def show_log(
    run: RunArgument = "last",
    steps: Annotated[bool, typer.Option("--steps", help="Only a line per step: number, role, time, cost")] = False,
    output_json: JsonOption = False,
) -> None:
    """Show everything that happened in a run, step by step; `fork --at` takes the steps' numbers."""
    from graphs.cli.history import log_screen

    log_screen(run, output_json, steps_only=steps)


@app.command()
def fork(
    run: RunArgument = "last",
    at: Annotated[
        str | None, _option("Step to go back to: its number in `modelwright log`, or a role", metavar="STEP")
    ] = None,
    candidate: Annotated[str | None, _option("Candidate whose branch the step lies in", metavar="C")] = None,
    change: Annotated[
        list[str] | None, _option("A setting that is to be another; may be repeated", "--set", metavar="KEY=VALUE")
    ] = None,
    edit_plan: Annotated[bool, typer.Option("--edit-plan", help="Edit the step's plans in $EDITOR")] = False,
    plan: Annotated[Path | None, _option("YAML or JSON file with the plan, or a list of plans", metavar="FILE")] = None,
    name: Annotated[str, _option("Name of the fork (default: RUN-fork)", metavar="NAME")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run again, and fork nothing")] = False,
    output_json: JsonOption = False,
) -> None:
    """Go back to a step of a run, change something, and go on as a run of its own; finished work is not done again."""
    from graphs.cli.fork import fork_command

    given = {"at": at, "candidate": candidate, "change": change or [], "edit": edit_plan, "file": plan, "name": name}
    fork_command(run, given, dry_run=dry_run, output_json=output_json)


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two or more runs: name, id prefix, or 'last'", metavar="RUN RUN…")],
    html: Annotated[Path | None, _option("Write the comparison as one HTML file", metavar="FILE")] = None,
    output_json: JsonOption = False,
) -> None:
    """Compare runs side by side: plans, programs, scores with a paired test, cost."""
    from graphs.cli.compare import compare_command

    compare_command(runs, html, output_json)


@app.command()
def prune(
    runs: Annotated[list[str] | None, typer.Argument(help="Runs (default: all)", metavar="[RUN…]")] = None,
    older_than: Annotated[str | None, _option("Only runs untouched for so long: 30d, 12h, 2w", metavar="AGE")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be freed, and free nothing")] = False,
    output_json: JsonOption = False,
) -> None:
    """Free what no run needs to go on: old checkpoints, artifacts nothing refers to, leftovers."""
    from graphs.cli.housekeeping import prune_command

    prune_command(runs or [], older_than, dry_run=dry_run, output_json=output_json)


@app.command("rm")
def remove(
    runs: Annotated[list[str], typer.Argument(help="Runs: name, id prefix, or 'last'", metavar="RUN…")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask")] = False,
    output_json: JsonOption = False,
) -> None:
    """Remove runs with everything only they need: log, checkpoints, report, release, artifacts. Forks keep working."""
    from graphs.cli.housekeeping import remove_command

    remove_command(runs, yes=yes, output_json=output_json)


@app.command()
def predict(
    run: Annotated[str, typer.Argument(help="Run (name, id prefix, 'last') or a release folder", metavar="RUN")],
    data: Annotated[Path, typer.Argument(help="File with new rows")],
    out: Annotated[Path | None, typer.Option("--out", help="CSV to write [default: stdout]")] = None,
) -> None:
    """Predict new rows with a released model, in a process of its own."""
    from graphs.cli.predicting import predict_command

    predict_command(run, data, out)


@app.command()
def verify(
    release: Annotated[str, typer.Argument(help="Release folder, or run (name, id prefix, 'last')", metavar="RELEASE")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="The original data file, when it was moved; again for the test file", metavar="FILE"),
    ] = None,
    manifest_hash: Annotated[
        str, typer.Option(help="Hash the build printed (default: what the catalogue has)", metavar="SHA256")
    ] = "",
    python: Annotated[
        Path | None,
        typer.Option(help="Run its programs by this Python instead of the sandbox, with the libraries that one has"),
    ] = None,
    output_json: JsonOption = False,
) -> None:
    """Check a release: every file's hash, its example rows, and the model built again from its training program."""
    from graphs.cli.verify import verify_command

    verify_command(release, data=data or [], manifest_hash=manifest_hash, python=python, output_json=output_json)


@app.command("graph")
def show_graph(output_json: JsonOption = False) -> None:
    """Print the graph as Mermaid text, candidate branch included."""
    from graphs.modeling import graph_drawing

    text = graph_drawing()
    if output_json:
        print_json({"mermaid": text})
    else:
        sys.stdout.write(text)


@app.command()
def report(
    run: RunArgument = "last", open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser")] = False
) -> None:
    """Print where a run's HTML report lies."""
    from graphs.cli.screens import report_screen

    report_screen(run, open_it)


@app.command()
def studio(
    port: Annotated[int | None, typer.Option(help="Port to listen on (default: 2024, or a free one)")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; only this machine's own")] = "127.0.0.1",
    hosted: Annotated[bool, typer.Option("--hosted", help="Let LangChain's hosted Studio page in")] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open that page")] = False,
    output_json: JsonOption = False,
) -> None:
    """Serve all runs to LangGraph Studio and the LangGraph SDK, on this machine only and with a token."""
    from graphs.cli.studio import studio_command

    studio_command(host=host, port=port, hosted=hosted, browser=not no_browser, output_json=output_json)


@app.command()
def doctor(
    run: Annotated[
        str | None, typer.Argument(help="Look at all of this run instead: name, id prefix, or 'last'", metavar="[RUN]")
    ] = None,
    repair_catalogue: Annotated[
        bool,
        typer.Option("--repair-catalogue", help="Make a new catalogue in the place of a lost or damaged one"),
    ] = False,
    output_json: JsonOption = False,
) -> None:
    """Check what this machine offers: Python, libraries, sandbox, disk, keys; or whether a run is as it was written."""
    from graphs.cli.damage import damage_screen, repair_screen
    from graphs.cli.doctor import doctor_screen

    if repair_catalogue:
        repair_screen(output_json=output_json)
    elif run is not None:
        damage_screen(run, output_json=output_json)
    else:
        doctor_screen(output_json)


def _version(wanted: bool) -> None:
    if wanted:
        from graphs.cli.output import version

        sys.stdout.write(f"modelwright {version()}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version")
    ] = False,
    store: Annotated[
        str,
        typer.Option(
            help="PostgreSQL database that holds everything, for several machines (default: MODELWRIGHT_STORE, else "
            "files); may also stand after the command",
            metavar="URL",
        ),
    ] = "",
) -> None:
    if store:
        from tools.places import use_store

        use_store(store)


def _began() -> float:
    """Monotonic time at which the process started, so that imports count against the time limit."""
    import psutil

    return float(time.monotonic() - max(0.0, time.time() - psutil.Process().create_time()))


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


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
