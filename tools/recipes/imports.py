"""Which import statement a name in a written program stands for, and how a block of imports is laid out."""

from __future__ import annotations

from collections.abc import Iterable

_FROM: dict[str, str] = {
    "collections.abc": "Callable Iterable Mapping Sequence",
    "itertools": "product",
    "typing": "Any",
    "scipy": "sparse",
    "scipy.sparse": "csr_matrix",
    "sklearn.compose": "ColumnTransformer",
    "sklearn.cross_decomposition": "PLSRegression",
    "sklearn.decomposition": "PCA TruncatedSVD",
    "sklearn.dummy": "DummyClassifier",
    "sklearn.ensemble": "ExtraTreesClassifier ExtraTreesRegressor HistGradientBoostingClassifier "
    "HistGradientBoostingRegressor RandomForestClassifier RandomForestRegressor",
    "sklearn.feature_extraction.text": "HashingVectorizer TfidfTransformer",
    "sklearn.gaussian_process": "GaussianProcessRegressor",
    "sklearn.gaussian_process.kernels": "RBF ConstantKernel DotProduct Matern WhiteKernel",
    "sklearn.feature_selection": "VarianceThreshold",
    "sklearn.impute": "SimpleImputer",
    "sklearn.kernel_approximation": "Nystroem",
    "sklearn.kernel_ridge": "KernelRidge",
    "sklearn.linear_model": "LogisticRegression Ridge TweedieRegressor",
    "sklearn.metrics": "pairwise_distances",
    "sklearn.model_selection": "GroupKFold KFold StratifiedKFold",
    "sklearn.neighbors": "KNeighborsClassifier KNeighborsRegressor",
    "sklearn.neural_network": "MLPClassifier MLPRegressor",
    "sklearn.pipeline": "Pipeline make_pipeline",
    "sklearn.preprocessing": "MaxAbsScaler Normalizer OneHotEncoder OrdinalEncoder PolynomialFeatures QuantileTransformer SplineTransformer "
    "StandardScaler TargetEncoder",
    "sklearn.svm": "SVR",
    "sklearn.utils.extmath": "safe_sparse_dot",
    "skrub": "MinHashEncoder TableVectorizer ToCategorical",
}
_PLAIN = {
    "base64": "base64",
    "np": "numpy",
    "pd": "pandas",
    "lgb": "lightgbm",
    "time": "time",
    "math": "math",
    "warnings": "warnings",
    "re": "re",
}
_STANDARD = frozenset({"base64", "collections", "itertools", "typing", "time", "math", "warnings", "re"})

IMPORTS: dict[str, str] = {name: module for module, names in _FROM.items() for name in names.split()} | dict.fromkeys(
    _PLAIN, ""
)
"""Name → module it is imported from; empty for a module imported whole."""


def import_lines(names: Iterable[str]) -> str:
    """Import statements for the names, sorted as isort does: standard library, then the rest."""
    plain = sorted((_PLAIN[name], name) for name in names if not IMPORTS[name])
    grouped: dict[str, list[str]] = {}
    for name in names:
        if module := IMPORTS[name]:
            grouped.setdefault(module, []).append(name)
    blocks = []
    for standard in (True, False):
        lines = [
            f"import {module}" if module == name else f"import {module} as {name}"
            for module, name in plain
            if (module.partition(".")[0] in _STANDARD) == standard
        ]
        lines += [
            _from(module, members)
            for module, members in sorted(grouped.items())
            if (module.partition(".")[0] in _STANDARD) == standard
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(block for block in blocks if block)


def _from(module: str, members: list[str]) -> str:
    # isort's order: constants, then classes, then functions.
    members = sorted(members, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))
    line = f"from {module} import {', '.join(members)}"
    if len(line) <= 120:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in members), ")"])
