"""Where jobs run: the Executor protocol. `open_workbench` opens the executor of a run."""

from __future__ import annotations

from typing import Protocol

from state.jobs import Job, Receipt


class Executor(Protocol):
    """Runs jobs. Every implementation passes the suite in tests/conformance/executor.py."""

    slots: int
    """Jobs that may run at the same time; further ones wait, first come first served."""

    @property
    def tier(self) -> str:
        """Short name of the sandbox tier jobs run in: T1, T2 or T3."""
        ...

    async def submit(self, job: Job, key: str) -> Receipt:
        """Run a job in isolation and return its receipt; a program's failure is a receipt, never an exception.

        Writes the job folder and, before returning, a durable receipt in it; outputs are in the artifact store.
        Cancelling the awaiting task kills the job's whole process group.
        """
        ...

    def warm(self) -> None:
        """Start what makes the first job quick, without waiting for it."""
        ...

    def close(self) -> None:
        """Kill running jobs and free everything. Safe to call twice."""
        ...


__all__ = ["Executor"]
