"""Tables that scikit-learn carries inside its package."""

from __future__ import annotations

import pandas as pd
from sklearn import datasets


def breast_cancer() -> pd.DataFrame:
    return _classes(datasets.load_breast_cancer(as_frame=True), "diagnosis")


def wine_cultivars() -> pd.DataFrame:
    return _classes(datasets.load_wine(as_frame=True), "cultivar")


def diabetes_progress() -> pd.DataFrame:
    bunch = datasets.load_diabetes(as_frame=True, scaled=False)
    return bunch.data.assign(progress=bunch.target.astype(int))


def digits() -> pd.DataFrame:
    bunch = datasets.load_digits(as_frame=True)
    return bunch.data.astype(int).assign(digit=bunch.target)


def _classes(bunch: datasets.Bunch, target: str) -> pd.DataFrame:
    """The fields, and the class by its name."""
    return bunch.data.assign(**{target: bunch.target.map(dict(enumerate(bunch.target_names)))})


MAKERS = {maker.__name__: maker for maker in (breast_cancer, wine_cultivars, diabetes_progress, digits)}
