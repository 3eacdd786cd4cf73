"""The exception tree. Every message says what happened, to what, and what to do next.

ModelwrightError
├── UsageError            2  nonsense options, an unknown command word
├── InputError            5  data or settings that cannot be worked with; carries every problem at once
├── NotFound              5  a run, release, candidate or file that does not exist
├── SafetyRefused         6  generated code that may not run here
├── RunHeld               7  another process drives this run
├── BudgetSpent           4  a limit ran out before any model was found
├── BuildFailed           1  no candidate survived
├── RunPaused           130  the person asked to stop; resume continues
├── ProgramError             inside a branch: a written program is refused or failed (becomes a record)
├── ExpertError              an expert gave no usable answer
└── StoreError            1  something persisted is missing, damaged, or of another version
    ├── ArtifactMissing
    ├── ArtifactDamaged
    ├── CheckpointDamaged
    ├── DiskFull             a write found no room, or would find none
    └── VersionMismatch
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class ModelwrightError(RuntimeError):
    """Base of all errors a person may meet. `hint` says what to do next; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders; keyword-only arguments would be lost by the default reduce.
        return (_rebuild, (type(self), self.__dict__.copy()))


def _rebuild(kind: type[ModelwrightError], facts: dict[str, object]) -> ModelwrightError:
    error = kind.__new__(kind)
    error.__dict__.update(facts)
    error.args = (facts.get("message", ""),)
    return error


class UsageError(ModelwrightError):
    exit_code = 2


class Problem:
    """One thing wrong with the input: what happened, where, and the cure."""

    __slots__ = ("cure", "what", "where")

    def __init__(self, what: str, *, where: str = "", cure: str = "") -> None:
        self.what = what
        self.where = where
        self.cure = cure

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}" + (f"\n    → {self.cure}" if self.cure else "")

    def __repr__(self) -> str:
        return f"Problem({self.what!r}, where={self.where!r}, cure={self.cure!r})"


class InputError(ModelwrightError):
    """Raised before any work starts. `problems` lists everything that is wrong, not only the first thing."""

    exit_code = 5

    def __init__(self, problems: Sequence[Problem] | Problem) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        count = len(self.problems)
        head = "1 problem with the input" if count == 1 else f"{count} problems with the input"
        super().__init__(head + "\n" + "\n".join(f"  - {problem}" for problem in self.problems))


class NotFound(ModelwrightError):
    exit_code = 5


class SafetyRefused(ModelwrightError):
    exit_code = 6


class RunHeld(ModelwrightError):
    exit_code = 7


class BudgetSpent(ModelwrightError):
    exit_code = 4


class BuildFailed(ModelwrightError):
    exit_code = 1


class RunPaused(ModelwrightError):
    """Raised inside a step when the person asked to stop. Finished work is in the journal; the step runs again on resume."""

    exit_code = 130


class ProgramError(ModelwrightError):
    """A written program broke its contract or failed. Raised and caught inside a candidate branch."""


class ExpertError(ModelwrightError):
    """An expert could not give a valid answer."""


class StoreError(ModelwrightError):
    """Something persisted cannot be used."""


class ArtifactMissing(StoreError):
    pass


class ArtifactDamaged(StoreError):
    pass


class CheckpointDamaged(StoreError):
    pass


class DiskFull(StoreError):
    """There is no room for what is to be written. The run is paused, not failed: it goes on once there is."""


class VersionMismatch(StoreError):
    pass


EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WAITING = 3
EXIT_BUDGET = 4
EXIT_INPUT = 5
EXIT_SAFETY = 6
EXIT_HELD = 7
EXIT_PAUSED = 130
