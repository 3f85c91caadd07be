"""How fast a stimulus may change: means over seeds with their intervals, and tolerated speeds.

The tolerated speed of a seed is the tau / T up to which the accuracy is at least TOLERATED of that
seed's accuracy at fixed points, interpolated in log(tau / T).
"""

import numpy as np
import pandas as pd
from scipy import stats

TOLERATED = 0.95  # of the accuracy at fixed points
AT_REST = "fixed points"  # the way of learning whose speed is 0


def spread(values: pd.Series) -> tuple[float, float, float]:
    """Return the mean and its 95 % interval; for less than three values their range."""
    values = values.dropna()
    if len(values) < 3:
        return float(values.mean()), float(values.min()), float(values.max())
    half = stats.t.ppf(0.975, len(values) - 1) * values.sem()
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def interval(
    values: pd.Series, form: str = "{:.3f}", within: tuple[float, float] = (-np.inf, np.inf)
) -> str:
    """Return mean and interval, or range, as text, and how many values are missing.

    An interval ends where values must, such as accuracies at 0 and 1.
    """
    missing = int(values.isna().sum())
    if missing == len(values):
        return "-"
    mean, low, high = (form.format(value) for value in np.clip(spread(values), *within))
    text = mean if low == high else f"{mean} ({low} to {high})"
    return f"{text}, {missing} missing" if missing else text


def over_seeds(
    rows: pd.DataFrame, means: dict[str, tuple[str, str]], largest: dict[str, tuple[str, str]]
) -> dict[str, str]:
    """Return mean and interval of some columns, and the largest value of others, as text.

    Parameters
    ----------
    means, largest : dict
        For each name in the table, the column of the rows, and the format of a number.
    """
    most = {
        name: f"{rows[column].fillna(0).max():{form}}" for name, (column, form) in largest.items()
    }
    return {
        **{name: interval(rows[column], f"{{:{form}}}") for name, (column, form) in means.items()},
        **most,
    }


def with_rest(accuracies: pd.DataFrame, case: list[str]) -> pd.DataFrame:
    """Return the rows of training at a speed, with `share`, in % of the seed's accuracy at rest.

    A case is a way of learning ("way") and whatever else it has in common with that at rest.
    """
    same = [*(name for name in case if name != "way"), "seed"]
    rest = accuracies[accuracies["way"] == AT_REST][[*same, "accuracy"]]
    moved = accuracies[accuracies["way"] != AT_REST]
    moved = moved.merge(rest.rename(columns={"accuracy": "at_rest"}), on=same)
    return moved.assign(share=100 * moved["accuracy"] / moved["at_rest"])


def limit_of(part: pd.DataFrame) -> tuple[float, str]:
    """Return one seed's tolerated speed, and < or > where it lies beyond the speeds tried."""
    part = part.sort_values("speed")
    speeds, shares = part["speed"].to_numpy(), part["share"].to_numpy() / 100
    too_low = np.flatnonzero(shares < TOLERATED)
    if len(too_low) == 0:
        return float(speeds[-1]), ">"
    n = too_low[0]
    if n == 0:
        return float(speeds[0]), "<"
    share = (shares[n - 1] - TOLERATED) / (shares[n - 1] - shares[n])
    return float(speeds[n - 1] * (speeds[n] / speeds[n - 1]) ** share), ""


def limits(accuracies: pd.DataFrame, case: list[str]) -> pd.DataFrame:
    """Return the tolerated speed of each case and seed."""
    rows = []
    for key, part in with_rest(accuracies, case).groupby([*case, "seed"]):
        speed, beyond = limit_of(part)
        rows.append({**dict(zip([*case, "seed"], key, strict=True)), "tau / T": speed,
                     "beyond": beyond})  # fmt: skip
    return pd.DataFrame(rows)


def limit_table(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Return the tolerated speed of each rule and way over seeds, a row of text each.

    Parameters
    ----------
    accuracies : DataFrame
        A row for each rule, way, speed and seed, with `accuracy`, NaN of a run that stopped.
    """
    found = limits(accuracies.fillna({"accuracy": 0}), ["rule", "way"])
    return pd.DataFrame([
        {"rule": rule, "way": way, "tolerated": limit_text(part), "seeds": len(part)}
        for (rule, way), part in found.groupby(["rule", "way"])
    ])  # fmt: skip


def limit_text(part: pd.DataFrame) -> str:
    """Return the tolerated speed of one case, over seeds."""
    part = part.sort_values("tau / T")
    ends = [f"{row['beyond']} {row['tau / T']:.2g}".strip() for _, row in part.iterrows()]
    if part["beyond"].any():
        return ends[0] if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"
    mean, low, high = (f"{speed:.2g}" for speed in in_logarithms(part["tau / T"]))
    return mean if low == high else f"{mean} ({low} to {high})"


def in_logarithms(values: pd.Series) -> tuple[float, float, float]:
    """Return the geometric mean, and the ends of its interval."""
    return tuple(float(end) for end in np.exp(spread(np.log(values))))
