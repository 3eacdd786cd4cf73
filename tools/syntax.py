"""Reading Python source into a syntax tree, safely from several threads."""

import ast
import threading

_ONE_AT_A_TIME = threading.RLock()  # a finaliser that runs within a parse may parse, too
_ATTEMPTS = 5


def parse_source(source: str | bytes) -> ast.Module:
    """The syntax tree of `source`; SyntaxError, ValueError, RecursionError and MemoryError as `ast.parse` raises them.

    CPython counts the depth of a tree per interpreter, not per thread, so two threads that parse at the same moment
    can end in "SystemError: AST constructor recursion depth mismatch" though both sources are fine (python/cpython
    issues 95185 and 106905; seen on 3.11). The lock keeps our own threads apart; the attempts are for libraries that
    parse without it.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with _ONE_AT_A_TIME:
                return ast.parse(source)
        except SystemError:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
