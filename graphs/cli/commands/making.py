"""Commands that make runs and drive them: demo, build, resume, approve, fork.

Importing this must stay cheap: no pandas, no langgraph, no scikit-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphs.cli import options
from graphs.cli.root import JsonOption, RunArgument, app, listed, option, process_began


@app.command()
def demo(
    time_limit: Annotated[
        str | None, option("Wall time of the whole command: 90, 90s, 5m, 1h (default: 60s)", metavar="TIME")
    ] = None,
    review: Annotated[
        str | None, option("Wait for a person at: plan, release, or plan,release", metavar="GATES")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train anew even what an earlier demo trained")] = False,
    output_json: JsonOption = False,
) -> None:
    """Build a model on a table that comes with modelwright: no key, no network."""
    began = process_began()
    from graphs.cli.building import build_command
    from graphs.cli.demo import demo_settings

    settings = demo_settings({"time_limit": time_limit, "review": listed(review), "fresh": fresh or None})
    build_command(settings, output_json=output_json, began=began)


@app.command(epilog=options.PRECEDENCE)
def build(
    data: options.Data,
    target: options.Target = None,
    intent: options.Intent = None,
    metric: options.Metric = None,
    kind: options.Kind = None,
    positive: options.Positive = None,
    horizon: options.Horizon = None,
    test_data: options.TestData = None,
    test_share: options.TestShare = None,
    folds: options.Folds = None,
    group: options.Group = None,
    time_column: options.TimeColumn = None,
    refit: options.Refit = None,
    prefer: options.Prefer = None,
    time_limit: options.Time = None,
    candidates: options.Candidates = None,
    iterations: options.Iterations = None,
    policy: options.Policy = None,
    attempts: options.Attempts = None,
    run_timeout: options.RunTimeout = None,
    memory_mb: options.Memory = None,
    jobs: options.Jobs = None,
    review: options.Review = None,
    expert: options.Expert = None,
    role_expert: options.RoleExpert = None,
    builtin_candidates: options.BuiltinCandidates = None,
    base_url: options.BaseUrl = None,
    api_key_env: options.ApiKeyEnv = None,
    sandbox: options.Sandbox = None,
    allow_unsandboxed: options.AllowUnsandboxed = None,
    seed: options.Seed = None,
    fresh: options.Fresh = None,
    name: options.Name = None,
    config: options.Config = None,
    output_json: options.BuildJson = False,
) -> None:
    """Build a model from a table: plan, implement, infer, review, release."""
    given = options.given_settings(options.without(locals(), "config", "output_json"))
    began = process_began()
    from graphs.cli.building import build_command
    from graphs.cli.gathering import gather_settings

    build_command(gather_settings(given, config), output_json=output_json, began=began)


@app.command()
def resume(
    run: RunArgument = "last",
    time_limit: options.Time = None,
    jobs: options.Jobs = None,
    iterations: options.Iterations = None,
    candidates: options.Candidates = None,
    run_timeout: options.RunTimeout = None,
    memory_mb: options.Memory = None,
    review: options.Review = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Go through a damaged run again; what has finished comes from the journal"),
    ] = False,
    output_json: JsonOption = False,
) -> None:
    """Go on with an interrupted, paused or waiting run; finished trainings are not run again."""
    given = options.given_settings(options.without(locals(), "run", "rebuild", "output_json"))
    began = process_began()
    from graphs.cli.building import drive_resume
    from graphs.cli.gathering import checked_overrides

    drive_resume(
        run, answers={}, overrides=checked_overrides(given), rebuild=rebuild, output_json=output_json, began=began
    )


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
            "keep": listed(keep) or [],
            "drop": listed(drop) or [],
            "edit": edit or [],
            "add": add,
            "file": answer,
            "action": "reject" if reject else "approve",
            "reason": reason,
        },
        show_only=show_only,
        output_json=output_json,
        began=process_began(),
    )


@app.command()
def fork(
    run: RunArgument = "last",
    at: Annotated[
        str | None, option("Step to go back to: its number in `modelwright log`, or a role", metavar="STEP")
    ] = None,
    candidate: Annotated[str | None, option("Candidate whose branch the step lies in", metavar="C")] = None,
    change: Annotated[
        list[str] | None, option("A setting that is to be another; may be repeated", "--set", metavar="KEY=VALUE")
    ] = None,
    edit_plan: Annotated[bool, typer.Option("--edit-plan", help="Edit the step's plans in $EDITOR")] = False,
    plan: Annotated[Path | None, option("YAML or JSON file with the plan, or a list of plans", metavar="FILE")] = None,
    name: Annotated[str, option("Name of the fork (default: RUN-fork)", metavar="NAME")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run again, and fork nothing")] = False,
    output_json: JsonOption = False,
) -> None:
    """Go back to a step of a run, change something, and go on as a run of its own; finished work is not done again."""
    from graphs.cli.fork import fork_command

    given = {"at": at, "candidate": candidate, "change": change or [], "edit": edit_plan, "file": plan, "name": name}
    fork_command(run, given, dry_run=dry_run, output_json=output_json)
