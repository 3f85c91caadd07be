"""Tables and figure of benchmarks/depth.py: lags, accuracies and tolerated speeds over seeds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from slowness import markdown
from tolerated import (
    AT_REST,
    TOLERATED,
    in_logarithms,
    interval,
    limit_text,
    limits,
    with_rest,
)

from ratenet.report.figures import COLOURS, GREY, new_figure
from ratenet.report.rule_looks import look_of

STACK = "none"  # the feedback of a stack
CASE = ["rule", "way", "depth", "feedback"]
LAG = "lag of the last layer (% of its rates)"
SPEED = r"speed of the stimulus, $\tau/T$"
MARKS = {"moving": "o", "corrected": "s", "held": "^"}
NOTES = f"""\
n: number of seeds. Means over seeds, from three on with the 95 % interval (Student's t), else with
the range. Accuracies at a speed are % of the accuracy of the same seed at fixed points. Tolerated:
the speed up to which they are at least {100 * TOLERATED:g}, interpolated in log(tau / T);
geometric mean, or, where the limit of a seed lies beyond the speeds tried (< or >), the range over
seeds. Exponent: of a power law of depth, fitted to the four depths of each seed without such
limits; -1 is a speed that falls as 1 / depth."""


def exponent(part: pd.DataFrame, value: str) -> str:
    """Return the exponent of a power law of depth, fitted seed by seed."""
    depths = part["depth"].nunique()
    found = [
        np.polyfit(np.log(own["depth"]), np.log(own[value]), 1)[0]
        for _, own in part.groupby("seed")
        if len(own) == depths > 3 and not own.get("beyond", pd.Series("")).any()
    ]
    return f"{interval(pd.Series(found), '{:.2f}')} (n = {len(found)})" if found else "-"


def limit_table(found: pd.DataFrame, column: str) -> list[str]:
    """Return tolerated speeds, one row for each rule and way; by depth with the exponent."""
    rows = [
        {**dict(zip(CASE, key, strict=True)), "text": limit_text(part)}
        for key, part in found.groupby(CASE)
    ]
    table = pd.DataFrame(rows).pivot(index=["rule", "way"], columns=column, values="text")
    cases = found.groupby(["rule", "way"])
    if column == "depth":
        table["exponent"] = [exponent(cases.get_group(case), "tau / T") for case in table.index]
    table["n"] = cases["seed"].nunique()
    return markdown(table.reset_index().fillna("-"), "{}")


def by_speed(rows: pd.DataFrame, index: list[str], value: str, form: str) -> list[str]:
    """Return a table of means and intervals, a column for each speed."""
    table = rows.pivot_table(
        index=index, columns="speed", values=value, aggfunc=lambda part: interval(part, form)
    )
    if value == "share":
        of_seeds = rows.drop_duplicates([*index, "seed"])  # each seed once, not once a speed
        table.insert(0, AT_REST, of_seeds.groupby(index)["at_rest"].agg(interval))
    table["n"] = rows.groupby(index)["seed"].nunique()
    return markdown(table.reset_index().fillna("-"), "{:g}")


def tables(lags: pd.DataFrame, accuracies: pd.DataFrame) -> list[str]:
    """Return lags, tolerated speeds and accuracies as Markdown."""
    lags = lags.assign(percent=100 * lags["lag of the last layer"])
    found = limits(accuracies, CASE)
    stack, of_stacks, trained = (
        rows[rows["feedback"] == STACK] for rows in (lags, found, with_rest(accuracies, CASE))
    )
    slow = stack[(stack["way"] == "moving") & (stack["speed"] == 0.01)]
    lines = [
        "## Lag of the last layer behind digits, % of its rates (by tau / T)", "",
        *by_speed(stack, ["way", "depth"], "percent", "{:z.2f}"), "",
        f"Exponent of depth at tau / T = 0.01, moving: {exponent(slow, 'percent')}.",
        "", "## Tolerated tau / T, by depth", "", *limit_table(of_stacks, "depth"),
        "", "## Test accuracy at fixed points, and % of it by tau / T", "",
        *by_speed(trained, ["rule", "way", "depth"], "share", "{:.0f}"),
    ]  # fmt: skip
    back, trained = (
        rows[rows["feedback"] != STACK] for rows in (lags, with_rest(accuracies, CASE))
    )
    lines += [
        "", "## Three layers with feedback: lag of the last layer, % (by tau / T)", "",
        *by_speed(back, ["feedback"], "percent", "{:z.2f}"),
    ]  # fmt: skip
    if len(trained):
        lines += [
            "", "## Three layers with feedback: tolerated tau / T", "",
            *limit_table(found[found["feedback"] != STACK], "feedback"),
            "", "## Three layers with feedback: test accuracy, and % of it by tau / T", "",
            *by_speed(trained, ["rule", "way", "feedback"], "share", "{:.0f}"),
        ]  # fmt: skip
    return lines


def figure(lags: pd.DataFrame, accuracies: pd.DataFrame) -> Any:
    """Draw lag, accuracy and tolerated speed, by depth and with feedback."""
    drawn, ((lag, accuracy), (limit, feedback)) = new_figure(figsize=(9, 7), nrows=2, ncols=2)
    moved = with_rest(accuracies, CASE).query("rule == 'rule 3' and way == 'moving'")
    lags = lags.assign(percent=100 * lags["lag of the last layer"])
    of_stacks, back = lags[lags["feedback"] == STACK], lags[lags["feedback"] != STACK]
    for colour, (depth, part) in zip(COLOURS, of_stacks.groupby("depth"), strict=False):
        label = f"{depth} layer{'s' if depth > 1 else ''}"
        for way, style in (("moving", "o-"), ("held", "^:")):
            rows = part[part["way"] == way]
            _line(lag, rows, "percent", colour, style, label if way == "moving" else None)
        rows = moved[(moved["depth"] == depth) & (moved["feedback"] == STACK)]
        _line(accuracy, rows, "share", colour, "o-", label)
    lag.plot([], [], "^:", color=GREY, label="after a hold of 0.8 T")
    lag.set(yscale="log", ylim=(0.01, 300), ylabel=LAG)
    accuracy.axhline(100 * TOLERATED, color=GREY, lw=0.8)
    accuracy.set(
        ylim=(0, 110), ylabel="accuracy, rule 3, digits that move\n(% of that at fixed points)"
    )
    for colour, (strength, rows) in zip(COLOURS[3:], back.groupby("feedback"), strict=False):
        _line(feedback, rows, "percent", colour, "o-", f"3 layers, feedback {strength}")
    feedback.set(yscale="log", ylim=(0.01, 300), ylabel=LAG)
    _draw_limits(limit, limits(accuracies, CASE))
    for axis in (lag, accuracy, feedback):
        axis.set(xscale="log", xlabel=SPEED)
    for axis in (lag, accuracy, limit, feedback):
        axis.legend(frameon=False, fontsize="x-small")
    return drawn


def _line(
    axis: Any, rows: pd.DataFrame, value: str, colour: str, style: str, label: str | None
) -> None:
    """Draw the mean against the speed, and the range over seeds."""
    by_speed = rows.groupby("speed")[value]
    mean = by_speed.mean()
    axis.plot(mean.index, mean, style, color=colour, ms=4, label=label)
    axis.fill_between(mean.index, by_speed.min(), by_speed.max(), color=colour, alpha=0.2, lw=0)


def _draw_limits(axis: Any, found: pd.DataFrame) -> None:
    """Draw the tolerated speed against depth, where all seeds have one."""
    of_stacks = found[found["feedback"] == STACK]
    depths = np.array(sorted(of_stacks["depth"].unique()))
    for rule, way, shift, cases in _by_case(of_stacks):
        name = {"rule 1": "euclidean", "rule 3": "linearized-reparameterized"}[rule]
        shown = {"color": look_of(name)["color"], "marker": MARKS[way], "ms": 5}
        mean, low, high = np.array([in_logarithms(part) for part in cases.values()]).T
        bars = [mean - low, high - mean]
        at = np.array(list(cases)) * shift
        axis.errorbar(at, mean, bars, label=f"{rule}, {way}", lw=1, capsize=2, **shown)
    axis.plot(depths, 0.3 / depths, "--", color=GREY, label="proportional to 1 / depth")
    axis.set(xscale="log", yscale="log", xlabel="layers", ylabel=r"tolerated speed, $\tau/T$")
    axis.set_xticks(depths, [str(depth) for depth in depths])
    axis.set_yticks((0.03, 0.1, 0.3), ("0.03", "0.1", "0.3"))
    axis.minorticks_off()


def _by_case(found: pd.DataFrame) -> Iterator[tuple[str, str, float, dict[int, pd.Series]]]:
    """Give rule, way, a factor that keeps marks apart, and by depth the limits over seeds."""
    for rule in ("rule 1", "rule 3"):
        for n, way in enumerate(MARKS):
            part = found[(found["rule"] == rule) & (found["way"] == way)]
            cases = {
                int(depth): own["tau / T"]
                for depth, own in part.groupby("depth")
                if not own["beyond"].any()
            }
            if cases:
                yield rule, way, 1.03 ** (n - 1 + (0.5 if rule == "rule 1" else 0)), cases
