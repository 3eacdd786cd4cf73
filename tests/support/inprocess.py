"""Running the command line in this process: the same entry point, texts and exit codes, without a new interpreter."""

from __future__ import annotations

import io
import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from graphs.cli import main
from tests.support.command import Finished


def command_here(*arguments: object, home: Path, **more: str) -> Finished:
    """`modelwright …` as `tests.support.command.modelwright` runs it, in this process; meant for commands that are quick."""
    out, err = io.StringIO(), io.StringIO()
    home.parent.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, chdir(home.parent), redirect_stdout(out), redirect_stderr(err):
        for name in [name for name in os.environ if name.startswith("MODELWRIGHT_")]:
            patch.delenv(name)
        for name, value in {"MODELWRIGHT_HOME": str(home), **more}.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["modelwright", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    code = ended.value.code
    assert isinstance(code, int)
    return Finished(code, out.getvalue(), err.getvalue())
