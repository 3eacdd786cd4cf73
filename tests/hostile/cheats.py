"""Programs that want a better score than they deserve. Each falls back on the same honest model."""

from __future__ import annotations

HONEST = """
import ctypes, glob, hashlib, io, json, os, stat, struct, sys, time
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

TOLD = {told}


def features(X):
    return X[["a", "b"]].to_numpy()


def key(row):
    return hashlib.sha256(repr([float(value) for value in row]).encode()).hexdigest()


def honest_fit(X, y):
    return LogisticRegression().fit(features(X), y == "yes")


def honest_predict(model, X):
    return model.predict_proba(features(X))


def with_known(plain, X, known):
    "Honest predictions, but the truth where it is known."
    for place, row in enumerate(features(X)):
        answer = known.get(key(row))
        if answer is not None:
            plain[place] = [0.001, 0.999] if answer == "yes" else [0.999, 0.001]
    return plain


def fit(X, y, *, task, seed, time_limit, n_jobs):
    return honest_fit(X, y)


def predict(model, X):
    return honest_predict(model, X)
"""
"""The honest program. `{told}` is what a cheat is told: places, never a label."""

REMEMBER = """
def places():
    return [os.path.join(folder, "modelwright-notes-" + TOLD["token"]) for folder in TOLD["places"]]

def remember(known):
    np.remembered = {**getattr(np, "remembered", {}), **known}
    text = json.dumps(known).encode()
    for place in places():
        try:
            open(f"{place}-{os.getpid()}", "wb").write(text)
        except OSError:
            pass

def recall():
    known = dict(getattr(np, "remembered", {}))
    for place in places():
        for path in glob.glob(place + "-*"):
            try:
                known.update(json.loads(open(path, "rb").read()))
            except (OSError, ValueError):
                pass
    return known

def fit(X, y, *, task, seed, time_limit, n_jobs):
    known = recall()
    remember({key(row): label for row, label in zip(features(X), y)})
    return honest_fit(X, y), known

def predict(model, X):
    return with_known(honest_predict(model[0], X), X, model[1])
"""

COPIED_FILE = """
def fit(X, y, *, task, seed, time_limit, n_jobs):
    known = {}
    for path in [TOLD["data"], "/proc/self/root" + TOLD["data"], *glob.glob("../../**/*.csv", recursive=True)]:
        try:
            table = pd.read_csv(path)
            known.update({key(row): label for row, label in zip(features(table), table["y"])})
        except (OSError, ValueError, KeyError):
            pass
    return honest_fit(X, y), known

def predict(model, X):
    return with_known(honest_predict(model[0], X), X, model[1])
"""

SEARCH = """
import pyarrow as pa

def arrow_tables():
    waiting, seen = list(TOLD["roots"]), set()
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode) and facts.st_ino not in seen:
                    seen.add(facts.st_ino)
                    waiting.append(entry.path)
                elif stat.S_ISREG(facts.st_mode) and facts.st_size < 10**6 and facts.st_ctime >= TOLD["since"]:
                    data = open(entry.path, "rb").read()
                    if data[:6] == b"ARROW1":
                        yield pa.ipc.open_file(pa.BufferReader(data)).read_all()
            except (OSError, pa.ArrowInvalid):
                continue

def fit(X, y, *, task, seed, time_limit, n_jobs):
    table = lambda name: pa.ipc.open_file(pa.memory_map("../in/" + name)).read_all()
    rows = [int(row) for row in table("valid.arrow")["row"].to_pylist()]
    every = features(table("features.arrow").to_pandas())
    answers = {}
    for found in arrow_tables():
        names = found.column_names
        if "label" in names and "row" in names:
            answers.update(zip(map(int, found["row"].to_pylist()), found["label"].to_pylist()))
        elif "label" in names and found.num_rows == len(every):
            answers.update(enumerate(found["label"].to_pylist()))
    known = {key(every[row]): answers[row] for row in rows if row in answers}
    return honest_fit(X, y), known

def predict(model, X):
    return with_known(honest_predict(model[0], X), X, model[1])
"""

FAKE_SCORE = """
def predict(model, X):
    print("score: 1.0")
    print(json.dumps({"score": 1.0, "roc_auc": 1.0}))
    result = {"score": 1.0, "value": 1.0, "rows": 10**6, "effective": {}, "fit_seconds": 0.0}
    for name in ("result.json", "score.json", "scores.json", "../receipt.json", "../collected.json"):
        try:
            open(name, "w").write(json.dumps(result))
        except OSError:
            pass
    return honest_predict(model, X)
"""

PATCH = """
def fit(X, y, *, task, seed, time_limit, n_jobs):
    # Turn over everything of the framework and of numpy that this process holds.
    for name, module in list(sys.modules.items()):
        if name.startswith("modelwright_") or name == "__main__":
            for attribute in ("check_predictions", "score", "make_score", "_rows", "_take", "collect"):
                if hasattr(module, attribute):
                    setattr(module, attribute, lambda *given, **named: given[0] if given else None)
    np.isfinite = lambda values: np.ones(np.shape(values), dtype=bool)
    np.load = np.save = lambda *given, **named: None
    json.dumps = lambda *given, **named: '{"score": 1.0}'
    os._exit = lambda code: None
    import sklearn.metrics
    sklearn.metrics.roc_auc_score = lambda *given, **named: 1.0
    return honest_fit(X, y)
"""

OTHER_ROWS = """
def fit(X, y, *, task, seed, time_limit, n_jobs):
    # Be asked for rows whose labels are known: as many as before, from the training part.
    import pyarrow as pa
    try:
        wanted = pa.ipc.open_file(pa.memory_map("../in/valid.arrow")).read_all().num_rows
        given = pa.ipc.open_file(pa.memory_map("../in/train.arrow")).read_all()
        os.chmod("../in", 0o700)
        os.chmod("../in/valid.arrow", 0o600)
        with pa.OSFile("../in/valid.arrow", "wb") as sink, pa.ipc.new_file(sink, given.select(["row"]).schema) as writer:
            writer.write_table(given.select(["row"]).slice(0, wanted))
    except OSError as error:
        print(error)
    return honest_fit(X, y), {key(row): label for row, label in zip(features(X), y)}

def predict(model, X):
    return with_known(honest_predict(model[0], X), X, model[1])
"""

ORDER = """
def fit(X, y, *, task, seed, time_limit, n_jobs):
    # The file was sorted by its target. Undo the shuffling, and read the hidden labels between the known ones.
    import pyarrow as pa
    table = lambda name: pa.ipc.open_file(pa.memory_map("../in/" + name)).read_all()
    train, valid = (np.array(table(name)["row"].to_pylist(), dtype=int) for name in ("train.arrow", "valid.arrow"))
    every = features(table("features.arrow").to_pandas())
    truth = (y == "yes").to_numpy().astype(float)
    best = None
    for total in range(len(every), 2 * len(every)):
        for seeds in ([seed, total], [seed], [seed, len(every)]):
            place = np.random.default_rng(seeds).permutation(len(every))
            line = truth[np.argsort(place[train])]
            changes = np.abs(np.diff(line)).sum()
            if best is None or changes < best[0]:
                best = changes, np.interp(place[valid], np.sort(place[train]), line)
    known = {key(every[row]): "yes" if value > 0.5 else "no" for row, value in zip(valid, best[1])}
    return honest_fit(X, y), known

def predict(model, X):
    return with_known(honest_predict(model[0], X), X, model[1])
"""

CHEATS = {
    "remembers rows between folds": REMEMBER,
    "hashes rows against a copied file": COPIED_FILE,
    "searches the file system for labels": SEARCH,
    "prints and writes a fake score": FAKE_SCORE,
    "patches the harness, numpy and the metrics": PATCH,
    "asks to be asked for other rows": OTHER_ROWS,
    "undoes the shuffling": ORDER,
}
"""What is appended to the honest program."""

SHOWN_TO_WORK = (
    "remembers rows between folds",
    "hashes rows against a copied file",
)
"""Those that do score better in the basic tier, where custody cannot be enforced."""

INVALID = {
    "missing values": "out = honest_predict(model, X)\n    out[0] = np.nan\n    return out",
    "infinite values": "out = honest_predict(model, X)\n    out[0] = [np.inf, -np.inf]\n    return out",
    "probabilities beyond one": "return 5.0 * honest_predict(model, X)",
    "negative probabilities": "out = honest_predict(model, X)\n    return np.column_stack([-out[:, 1], 1 + out[:, 1]])",
    "too few rows": "return honest_predict(model, X)[:-1]",
    "too many rows": "return np.vstack([honest_predict(model, X)] * 2)",
    "one column": "return honest_predict(model, X)[:, 1]",
    "three columns": "return np.column_stack([honest_predict(model, X), np.zeros(len(X))])",
    "texts": "return ['yes'] * len(X)",
    "no array at all": "return {'score': 1.0}",
}
"""Bodies of predict whose results cannot be scored."""

_LEAVE = """
def predict(model, X):
    def leave(predictions, result='{"effective": {}, "fit_seconds": 0.1, "rows": %d}' % len(X)):
        open("predictions.npy", "wb").write(predictions)
        open("result.json", "w").write(result)
        sys.stdout.flush()
        os._exit(0)
    def saved(array, **more):
        held = io.BytesIO()
        np.save(held, array, **more)
        return held.getvalue()
    good = saved(honest_predict(model, X))
"""

FORGED = {
    "a pickle for predictions": """
    class Bomb:
        def __reduce__(self):
            return exec, ("open(%r, 'w').write('x')" % TOLD["proof"],)
    leave(saved(np.array([Bomb()], dtype=object), allow_pickle=True))
""",
    "a bare pickle for predictions": """
    import pickle
    class Bomb:
        def __reduce__(self):
            return exec, ("open(%r, 'w').write('x')" % TOLD["proof"],)
    leave(pickle.dumps(Bomb()))
""",
    "an archive for predictions": """
    held = io.BytesIO()
    np.savez(held, score=np.ones((len(X), 2)))
    leave(held.getvalue())
""",
    "a header that promises ten million million numbers": """
    leave(good.replace(str((len(X), 2)).encode(), b"(9999999999999, 2)")[:4096])
""",
    "half a file": "    leave(good[: len(good) // 2])\n",
    "an empty file": "    leave(b'')\n",
    "a header of a megabyte": """
    leave(b"\\x93NUMPY\\x02\\x00" + struct.pack("<I", 10**6) + b"[" * 10**6)
""",
    "texts in the file": "    leave(saved(np.array(['yes'] * len(X))))\n",
    "records in the file": "    leave(saved(np.zeros(len(X), dtype=[('a', 'f8'), ('b', 'f8')])))\n",
    "complex numbers in the file": "    leave(saved(honest_predict(model, X) + 1j))\n",
    "a result nested a hundred thousand deep": "    leave(good, '[' * 100_000)\n",
    "a result that is a list": "    leave(good, '[1]')\n",
    "effective parameters that are none": """
    leave(good, '{"effective": [["a", 1]], "fit_seconds": "soon", "rows": "many"}')
""",
    "effective parameters of odd kinds": """
    leave(good, '{"effective": {"a": {"deep": [1, {"x": NaN}]}, "b": 1e999, "": null}, "fit_seconds": -1e999}')
""",
    "a number beyond all bounds": """
    leave(good, '{"effective": {"rounds": 1' + "0" * 400 + '}}')
""",
    "a text that is no text": """
    leave(good, '{"effective": {"name": "\\\\ud800"}}')
""",
    "effective parameters nested deep": """
    leave(good, '{"effective": {"a": ' + '[' * 900 + ']' * 900 + '}}')
""",
}
"""Ends of predict that write the outputs themselves and leave: each gives a failed program or an honest score."""


def program(told: dict[str, object], extra: str = "") -> str:
    """The text of a program: the honest one with a cheat behind it."""
    return HONEST.replace("{told}", repr(told)) + extra


def invalid(name: str) -> str:
    return f"\ndef predict(model, X):\n    {INVALID[name]}\n"


def forged(name: str) -> str:
    return _LEAVE + FORGED[name]
