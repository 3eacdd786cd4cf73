"""Data libraries inside the sandbox: what the docs say works in T1 and T2 does, and what does not work says why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conformance.executor import run
from tests.support.programs import limits, script_job
from tests.support.tiers import CONTAINED
from tools.artifacts import FolderArtifacts
from tools.executors.process import ProcessExecutor

DATA = """
import numpy as np
generator = np.random.default_rng(0)
X = generator.normal(size=(600, 8))
y = (X[:, 0] + X[:, 1] > 0).astype(int)
"""
FINE = {
    "sklearn with threads": """
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
assert RandomForestClassifier(20, n_jobs=2, random_state=0).fit(X, y).score(X, y) > 0.9
assert HistGradientBoostingClassifier(max_iter=20).fit(X, y).score(X, y) > 0.9
""",
    "lightgbm": """
import lightgbm
model = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 2}, lightgbm.Dataset(X, y), 20)
assert ((model.predict(X) > 0.5) == y).mean() > 0.9
model.save_model("model.txt")
assert np.allclose(lightgbm.Booster(model_file="model.txt").predict(X), model.predict(X))
""",
    "xgboost": """
import xgboost
assert xgboost.XGBClassifier(n_estimators=20, n_jobs=2).fit(X, y).score(X, y) > 0.9
""",
    "catboost": """
import catboost
model = catboost.CatBoostClassifier(iterations=20, thread_count=2, verbose=False).fit(X, y)
assert model.score(X, y) > 0.9
""",
    "torch": """
import torch
model, inputs, labels = torch.nn.Linear(8, 1), torch.tensor(X).float(), torch.tensor(y).float()
optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
for _ in range(50):
    optimiser.zero_grad()
    torch.nn.functional.binary_cross_entropy_with_logits(model(inputs)[:, 0], labels).backward()
    optimiser.step()
assert ((model(inputs)[:, 0] > 0) == labels).float().mean() > 0.9
""",
    "joblib loky and memmap": """
import os
import joblib
large = np.ones((300, 5000))
joblib.dump(large, "large.joblib")
mapped = joblib.load("large.joblib", mmap_mode="r")
with joblib.parallel_config("loky", n_jobs=2, max_nbytes="1M"):
    said = joblib.Parallel()(joblib.delayed(lambda part, n: (os.getpid(), float(part[n].sum())))(mapped, n) for n in range(4))
assert [total for _, total in said] == [5000.0] * 4
assert os.getpid() not in {pid for pid, _ in said}
os.remove("large.joblib")
""",
    "pools by fork and spawn": """
import multiprocessing, operator
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            assert pool.map(operator.neg, range(4)) == [0, -1, -2, -3]
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            assert pool.submit(operator.add, 1, 2).result() == 3
    assert multiprocessing.get_start_method() == "fork"
""",
    "queues, locks and shared memory": """
import multiprocessing
from multiprocessing.shared_memory import SharedMemory
queue, lock, held = multiprocessing.Queue(), multiprocessing.Lock(), SharedMemory(create=True, size=1_000_000)
def work():
    with lock:
        held.buf[:3] = b"abc"
        queue.put("done")
process = multiprocessing.Process(target=work)
process.start()
assert queue.get(timeout=30) == "done" and bytes(held.buf[:3]) == b"abc"
process.join()
held.close()
held.unlink()
""",
    "asyncio subprocess": """
import asyncio, sys
async def main():
    command = (sys.executable, "-c", "print(6 * 7)")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0]
assert asyncio.run(main()) == b"42\\n"
""",
    "copies with their modes, temporary files": """
import os, pathlib, shutil, subprocess, tempfile
pathlib.Path("a").write_text("a")
os.chmod("a", 0o640)
shutil.copy2("a", "b")
shutil.copytree(os.path.dirname(np.__file__) + "/char", "tree") if os.path.isdir(os.path.dirname(np.__file__) + "/char") else None
with tempfile.NamedTemporaryFile() as file:
    assert file.name.startswith(os.environ["TMPDIR"])
assert subprocess.run("cat a b", shell=True, capture_output=True).stdout == b"aa"
shutil.rmtree("tree", ignore_errors=True)
""",
    "processors and memory": """
import os, joblib, psutil
assert joblib.cpu_count(only_physical_cores=True) >= 1
assert psutil.virtual_memory().total > 0 and psutil.Process().memory_info().rss > 0
assert os.cpu_count() >= 1
import mimetypes, ssl
assert mimetypes.guess_type("a.csv")[0] == "text/csv"
ssl.create_default_context()
""",
}
NEEDS = {"xgboost": "xgboost", "catboost": "catboost", "torch": "torch"}
CONNECTING = {
    "a manager": "import multiprocessing\nwith multiprocessing.Manager() as m:\n    print(dict(m.dict(a=1)))\n",
    "a fork server": "import multiprocessing, operator\nif __name__ == '__main__':\n"
    "    with multiprocessing.get_context('forkserver').Pool(1) as pool:\n        print(pool.map(operator.neg, [1]))\n",
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> FolderArtifacts:
    return FolderArtifacts(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module", params=CONTAINED)
def executor(
    request: pytest.FixtureRequest, artifacts: FolderArtifacts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(artifacts, tmp_path_factory.mktemp("j"), slots=1, threads_per_job=2, tier=request.param)
    yield made
    made.close()


@pytest.mark.parametrize("name", FINE)
def test_libraries_work_inside(executor: ProcessExecutor, artifacts: FolderArtifacts, name: str) -> None:
    """Training, pools, shared memory, copies and child processes work as they do outside."""
    needed = NEEDS.get(name)
    if needed and find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    receipt = run(executor, script_job(artifacts, DATA + FINE[name], n_jobs=2, limits=limits(memory_mb=2500)))
    assert receipt.ok, receipt.error


def test_a_program_may_use_pools_of_its_own_functions(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """A fold's program can send functions of its own module to processes that are started anew."""
    from tests.support.programs import learning_job

    program = """
import multiprocessing
import numpy as np

def square(value):
    return value * value

def fit(X, y, **told):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(square, [3])[0]

def predict(model, X):
    return np.full((len(X), 2), float(model))
"""
    receipt = run(executor, learning_job(artifacts, program, n_jobs=2))
    assert receipt.ok, receipt.error
    assert artifacts.get_array(receipt.outputs["predictions.npy"])[0, 0] == 9.0


@pytest.mark.parametrize("name", CONNECTING)
def test_what_connects_works_or_says_which_tier_forbids_it(
    executor: ProcessExecutor, artifacts: FolderArtifacts, tmp_path: Path, name: str
) -> None:
    """Managers and the fork server work in T1; in T2 the receipt names the tier and what to use instead."""
    receipt = run(executor, script_job(artifacts, CONNECTING[name], n_jobs=2))
    if executor.tier == "T1":
        assert receipt.ok, receipt.error
    else:
        assert receipt.status == "error"
        assert "standard (T2)" in receipt.error
        assert "Pools by fork or spawn work" in receipt.error


def test_the_interpreter_is_the_one_outside(executor: ProcessExecutor, artifacts: FolderArtifacts) -> None:
    """A child interpreter is started from the same place and finds the same libraries."""
    text = (
        "import subprocess, sys\n"
        "told = subprocess.run([sys.executable, '-c', 'import sys, pandas; print(sys.prefix, pandas.__file__)'],"
        " capture_output=True, text=True)\nprint(told.stdout.strip(), told.stderr)\n"
    )
    receipt = run(executor, script_job(artifacts, text, n_jobs=2))
    assert receipt.ok, receipt.error
    assert artifacts.get_text(receipt.log or "").startswith(f"{sys.prefix} {sys.prefix}")
