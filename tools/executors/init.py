"""The first process of a T1 job: builds the job's world, starts the program in it, and tells how it ended.

Stands alone (standard library only). Inside its process namespace it has number 1 and inherits every orphan; when it
ends, the kernel kills whatever else is there. The program is its child, since the kernel shields number 1 from signals.
What it tells, one JSON object on the report pipe, is {status, strays}: the program's wait status and how many
processes the program left running.
"""

from __future__ import annotations

import json
import os
import select
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import confine, namespaces, privileges, seccomp

Program = Callable[[Mapping[str, Any]], int]


def live(request: Mapping[str, Any], output: int, report: int, user: int | None, program: Program, broken: int) -> None:
    """The whole life of this process, freshly forked by the keeper after `namespaces.divide`; never returns.

    Ends with `broken` when the sandbox cannot be entered; the reason is in the job's log.
    """
    code = broken
    try:
        os.setsid()
        confine.die_with_parent()
        if _is_deserted(report):
            os._exit(broken)
        confine.reset_signals()
        confine.replace_files(output, keep=(report,))
        namespaces.move_in(Path(request["folder"]), os.getuid() if user is None else user)
        child = os.fork()
        if child == 0:
            _be_program(request, report, user, program, broken)
        _end_privileges()
        _tell(report, child)
        code = 0
    except (OSError, RuntimeError, ValueError):
        traceback.print_exc()
    finally:
        os._exit(code)


def _is_deserted(report: int) -> bool:
    """True when nobody reads the report any more: the keeper ended before the kernel could be asked to tell us.

    Its process id cannot be compared, since from in here it has none.
    """
    poll = select.poll()
    poll.register(report, 0)
    return bool(poll.poll(0))


def _be_program(request: Mapping[str, Any], report: int, user: int | None, program: Program, broken: int) -> None:
    code = broken
    try:
        os.close(report)
        os.setsid()
        # Counted are this job's processes alone: its user is a spare one, or lives in a user namespace of its own.
        confine.settle(request, namespaces.TEMPORARY, tasks=0)
        filter_ = seccomp.program("T1", where=confine.machine())
        privileges.become(user)
        privileges.set_dumpable(True)
        privileges.gain_nothing()
        seccomp.install(filter_)
        confine.set_threads(int(request["threads"]))
        code = program(request)
    finally:
        if code == broken:
            traceback.print_exc()
        os._exit(code)


def _end_privileges() -> None:
    """This process only waits from now on."""
    privileges.become(None)
    privileges.gain_nothing()
    confine.hide()


def _tell(report: int, child: int) -> None:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            break
    strays = _count_others()
    os.write(report, json.dumps({"status": status, "strays": strays}).encode())


def _count_others() -> int:
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                break
        except ChildProcessError:
            return 0
    return sum(name.isdigit() for name in os.listdir("/proc")) - 1
