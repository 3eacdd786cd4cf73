"""Running the command line in this process: the same entry point, texts and exit codes, without a new interpreter."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from graphs.cli import main
from tests.support.command import Finished


def command_here(*arguments: object, home: Path, **more: str) -> Finished:
    """`modelwright …` as `tests.support.command.modelwright` runs it, in this process, which has imported everything.

    Its time limit begins with it. A real process counts from its own start, and this one is that of the tests.
    """
    out, err = io.StringIO(), io.StringIO()
    home.parent.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, chdir(home.parent), redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("MODELWRIGHT_")]:
            patch.delenv(name)
        for name, value in {"MODELWRIGHT_HOME": str(home), **more}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["modelwright", *map(str, arguments)])
        patch.setattr("graphs.cli.commands.making.process_began", time.monotonic)
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert isinstance(code, int)
    return Finished(code, out.getvalue(), err.getvalue())
