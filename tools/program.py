"""The static contract of a written program: what can be seen without running it.

This is advice for the writer, so that a wrong program is sent back before it costs an execution. It is not the security
boundary: Python can reach anything through enough attribute look-ups, and what holds a program back is the sandbox it
runs in.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.syntax import parse_source

MAX_BYTES = 200_000
FIT_KEYWORDS = ("task", "seed", "time_limit", "n_jobs")
DATA_LIBRARIES = frozenset(
    {
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "lightgbm",
        "skrub",
        "pyarrow",
        "xgboost",
        "catboost",
        "torch",
        "statsmodels",
    }
)
STANDARD_LIBRARY = frozenset(
    {
        "__future__",
        "base64",
        "collections",
        "dataclasses",
        "datetime",
        "functools",
        "hashlib",
        "itertools",
        "json",
        "math",
        "random",
    }
    | {"re", "string", "time", "typing", "warnings"}
)
FORBIDDEN_CALLS = frozenset({"open", "eval", "exec", "compile", "__import__", "input", "breakpoint", "globals", "vars"})
FORBIDDEN_ATTRIBUTES = frozenset({"__subclasses__", "__globals__", "__builtins__", "__code__", "__loader__", "__mro__"})
_ABSOLUTE_PATH = re.compile(
    r"(?:/(?:bin|dev|etc|home|mnt|opt|proc|root|run|srv|sys|tmp|usr|var|Users)(?:/|$)|[A-Za-z]:\\|~/)"
)
_MODULE_LEVEL = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.AnnAssign, ast.Assign)
_CONSTANT_PARTS = (
    *(
        ast.Constant,
        ast.Name,
        ast.Attribute,
        ast.List,
        ast.Tuple,
        ast.Set,
        ast.Dict,
        ast.UnaryOp,
        ast.BinOp,
        ast.JoinedStr,
    ),
    *(ast.Subscript, ast.Starred, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.IfExp, ast.Compare),
)
_CONSTANT_CALLS = frozenset(
    {"range", "list", "dict", "set", "frozenset", "tuple", "sorted", "len", "zip", "enumerate", "compile"}
)


def check_program(code: str, *, unsafe_ok: bool = False) -> list[str]:
    """Problems of a program, each a sentence with its line; empty when it keeps the contract.

    `unsafe_ok` leaves out what only the sandbox is to judge (imports outside the list, forbidden calls and paths), for
    programs a person wrote and answers for.
    """
    size = len(code.encode("utf-8", errors="replace"))
    if size > MAX_BYTES:
        return [f"the program has {size:,} bytes; at most {MAX_BYTES:,} are accepted, so leave data out of the code"]
    try:
        tree = parse_source(code)
    except SyntaxError as error:
        return [
            f"line {error.lineno or '?'}: the program is no valid Python ({error.msg}): {(error.text or '').strip()!r}"
        ]
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte in the text, a tree too deep
        return [f"the program is no valid Python ({error})"]
    problems = [*_entry_points(tree), *_module_level(tree)]
    if not unsafe_ok:
        problems += [*_imports(tree), *_calls(tree), *_paths(tree)]
    return problems


def _functions(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _entry_points(tree: ast.Module) -> Iterator[str]:
    """`fit` and `predict` with their exact arguments, and `save` and `load` together or not at all."""
    functions = _functions(tree)
    if "fit" not in functions:
        yield "there is no function fit(X, y, *, task, seed, time_limit, n_jobs) at module level"
    else:
        yield from _fit_signature(functions["fit"])
    if "predict" not in functions:
        yield "there is no function predict(model, X) at module level"
    else:
        yield from _plain_signature(functions["predict"], ("model", "X"))
    for name, other, arguments in (("save", "load", ("model", "folder")), ("load", "save", ("folder",))):
        if name in functions:
            yield from _plain_signature(functions[name], arguments)
            if other not in functions:
                yield f"line {functions[name].lineno}: {name}() is defined without {other}(); define both or neither"


def _fit_signature(function: ast.FunctionDef) -> Iterator[str]:
    arguments = function.args
    positional = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    if positional[:2] != ["X", "y"]:
        yield f"line {function.lineno}: fit must take X and y first, not ({', '.join(positional)})"
    named = {*positional[2:], *(argument.arg for argument in arguments.kwonlyargs)}
    if not arguments.kwarg and (missing := [name for name in FIT_KEYWORDS if name not in named]):
        yield f"line {function.lineno}: fit lacks the keyword{'s' * (len(missing) > 1)} {', '.join(missing)}"
    with_default = {
        argument.arg for argument, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value
    }
    with_default |= set(positional[len(positional) - len(arguments.defaults) :]) if arguments.defaults else set()
    for name in sorted(named - set(FIT_KEYWORDS) - with_default):
        yield f"line {function.lineno}: fit asks for {name!r}, which nobody passes; give it a default or drop it"


def _plain_signature(function: ast.FunctionDef, names: tuple[str, ...]) -> Iterator[str]:
    arguments = function.args
    positional = [argument.arg for argument in [*arguments.posonlyargs, *arguments.args]]
    required = len(positional) - len(arguments.defaults)
    bare = [a for a, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value is None]
    if len(positional) < len(names) or required > len(names) or bare:
        yield f"line {function.lineno}: {function.name} must be callable as {function.name}({', '.join(names)})"


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"line {node.lineno}: relative imports are not possible; a program is one module"
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.partition(".")[0] not in DATA_LIBRARIES | STANDARD_LIBRARY:
                yield (
                    f"line {node.lineno}: the import of {name!r} is not allowed; a program may use "
                    f"{', '.join(sorted(DATA_LIBRARIES))} and {', '.join(sorted(STANDARD_LIBRARY))}"
                )


def _calls(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"line {node.lineno}: {node.func.id}() is not allowed in a program"
        elif isinstance(node, ast.Attribute) and node.attr in FORBIDDEN_ATTRIBUTES:
            yield f"line {node.lineno}: the attribute {node.attr} is not allowed in a program"


def _paths(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _ABSOLUTE_PATH.match(node.value):
            yield f"line {node.lineno}: the absolute path {node.value[:60]!r} is not allowed; data comes in through fit"


def _module_level(tree: ast.Module) -> Iterator[str]:
    """Importing a program may define things and do nothing else."""
    for place, node in enumerate(tree.body):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and (place == 0 or node.value.value is ...)
        ):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign) and (node.value is None or _is_constant(node.value)):
            continue
        if isinstance(node, ast.Assign | ast.AnnAssign):
            yield f"line {node.lineno}: work at module level; only constants, imports and definitions belong there"
        elif not isinstance(node, _MODULE_LEVEL) and not _is_main_guard(node) and not _is_note(node):
            what = type(node).__name__.lower()
            yield f"line {node.lineno}: work at module level ({what}); move it into fit or predict"


def _is_note(node: ast.stmt) -> bool:
    """A string standing alone documents the constant above it."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and ast.unparse(node.test.left) == "__name__"


def _is_constant(value: ast.expr) -> bool:
    """Literals, names, and calls of a few builtins on them; `re.compile` too."""
    if isinstance(value, ast.Call):
        name = (
            value.func.id
            if isinstance(value.func, ast.Name)
            else value.func.attr
            if isinstance(value.func, ast.Attribute)
            else ""
        )
        if name not in _CONSTANT_CALLS and not name[:1].isupper():
            return False
        parts = [*value.args, *(keyword.value for keyword in value.keywords)]
        return all(_is_constant(part) for part in parts)
    if not isinstance(value, _CONSTANT_PARTS):
        return isinstance(value, ast.BoolOp | ast.Lambda | ast.FormattedValue)
    return all(_is_constant(child) for child in ast.iter_child_nodes(value) if isinstance(child, ast.expr))
