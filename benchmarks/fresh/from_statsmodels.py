"""Tables that statsmodels carries inside its package: surveys, counts, rates, panels, series."""

from __future__ import annotations

import numpy as np
import pandas as pd
from statsmodels import datasets

_MODES = {1: "air", 2: "train", 3: "bus", 4: "car"}
OFTEN = 5.0
"""The survey's measure of time spent in affairs from which on they count as frequent."""


def doctor_visits() -> pd.DataFrame:
    return datasets.randhie.load_pandas().data.astype({"mdvis": int})


def party_identification() -> pd.DataFrame:
    """Without the package's logarithm of another column."""
    table = datasets.anes96.load_pandas().data
    return table.drop(columns="logpopul", errors="ignore").astype({"PID": int})


def marriage_rating() -> pd.DataFrame:
    return datasets.fair.load_pandas().data.drop(columns="affairs").astype({"rate_marriage": int})


def frequent_affairs() -> pd.DataFrame:
    table = datasets.fair.load_pandas().data
    often = np.where(table["affairs"] >= OFTEN, "yes", "no")
    return table.drop(columns="affairs").assign(frequent=often)


def travel_mode() -> pd.DataFrame:
    table = datasets.modechoice.load_pandas().data
    return table.assign(
        individual=table["individual"].astype(int).map("traveller {}".format),
        mode=table["mode"].astype(int).map(_MODES),
        choice=table["choice"].astype(int).map({0: "no", 1: "yes"}),
    )


def firm_investment() -> pd.DataFrame:
    return datasets.grunfeld.load_pandas().data.astype({"year": int})[["firm", "year", "invest"]]


def fertility_rates() -> pd.DataFrame:
    """One row per country and year, from the package's one column per year."""
    wide = datasets.fertility.load_pandas().data
    years = [name for name in wide.columns if str(name).isdigit()]
    long = wide.melt(id_vars="Country Name", value_vars=years, var_name="year", value_name="births_per_woman")
    long = long.dropna().rename(columns={"Country Name": "country"}).astype({"year": int})
    return long.sort_values(["country", "year"], ignore_index=True)


def sea_temperature() -> pd.DataFrame:
    """One row per month, from the package's one column per month."""
    wide = datasets.elnino.load_pandas().data
    values = wide.set_index("YEAR").stack()
    months = pd.date_range(f"{int(wide['YEAR'].iloc[0])}-01-01", periods=len(values), freq="MS")
    return pd.DataFrame({"month": months.strftime("%Y-%m-%d"), "temperature": values.to_numpy()})


def carbon_dioxide() -> pd.DataFrame:
    table = datasets.co2.load_pandas().data["co2"].dropna()
    return pd.DataFrame({"week": table.index.strftime("%Y-%m-%d"), "co2": table.to_numpy()})


def sunspots() -> pd.DataFrame:
    table = datasets.sunspots.load_pandas().data
    return pd.DataFrame({"year": table["YEAR"].astype(int), "activity": table["SUNACTIVITY"]})


def school_success() -> pd.DataFrame:
    """Share of pupils above the national median in mathematics, without the package's products of columns."""
    table = datasets.star98.load_pandas().data
    share = table["NABOVE"] / (table["NABOVE"] + table["NBELOW"])
    single = [name for name in table.columns if "_" not in name and name not in {"NABOVE", "NBELOW"}]
    return table[single].assign(share_above=share.round(6))


def cancer_counts() -> pd.DataFrame:
    return datasets.cancer.load_pandas().data.astype(int)


MAKERS = {
    maker.__name__: maker
    for maker in (
        doctor_visits,
        party_identification,
        marriage_rating,
        frequent_affairs,
        travel_mode,
        firm_investment,
        fertility_rates,
        sea_temperature,
        carbon_dioxide,
        sunspots,
        school_success,
        cancer_counts,
    )
}
