"""Tables and figures of benchmarks/findings.py."""

from datetime import date
from pathlib import Path

import pandas as pd
from fleet_tables import by_case, chosen, difference, line_looks, mean_text, median_text, scores

from ratenet.report.figures import COLOURS, new_figure, save
from ratenet.report.record import processor, versions

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "findings.md"
IMAGES = ROOT / "docs" / "images"
POWER, LOCAL = ["saturation", "step", "a"], ["task", "feedback"]
BORDER = ["start", "target", "step", "rule"]
LEARNED = 3  # score from which a network counts as having learned: 0.1 % of the squared error
NOTES = """\
Means over seeds with 95 % intervals (Student's t); differences are paired by seed, and a paired
bootstrap of them (BCa) stands beside, which is narrow for few seeds. The length of steps is the
one with the best mean score on validation samples, the score that of other samples: -log10 of the
relative squared error, 2 for 1 %. `edge`: the shortest or longest length that was tried."""


def report(found: dict[str, pd.DataFrame]) -> None:
    """Write the tables and figures of the findings that are there."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines = [
        "# Findings", "",
        f"`python benchmarks/findings.py`, {date.today()}, {processor()}, one thread, {made}.", "",
        *NOTES.splitlines(),
    ]  # fmt: skip
    for name, rows in found.items():
        lines += ["", *SECTIONS[name](rows)]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def power(rows: pd.DataFrame) -> list[str]:
    """Return the table of powers of G, and draw them."""
    best = chosen(rows, POWER)
    figure, axes = new_figure(ncols=2, figsize=(7, 3))
    for axis, (step, part) in zip(axes, best.groupby("step", sort=False), strict=True):
        for colour, (a, own) in zip(COLOURS, part.groupby("a"), strict=False):
            spread = own.groupby("saturation")["score"].agg(["mean", "std"])
            axis.errorbar(spread.index, spread["mean"], spread["std"], color=colour, marker="o",
                          ms=4, capsize=3, label=f"a = {a}")  # fmt: skip
        axis.set_xlabel(f"SD of the drive, step {step}")
        axis.set_ylabel(r"score, $-\log_{10}$ relative error")
    axes[0].legend(frameon=False)
    save(figure, IMAGES / "finding-power.png")

    def told(part: pd.DataFrame) -> dict[str, str]:
        first = part.iloc[0]
        same = best[(best["saturation"] == first["saturation"]) & (best["step"] == first["step"])]
        third = scores(same[same["a"] == 1])
        return {
            "mean gain": f"{part['gain'].mean():.2f}",
            "least gain": f"{part['least_gain'].min():.0e}",
            **_choice(part), "score": mean_text(part["score"]),
            **difference("rule 3" if first["a"] == 1 else "", scores(part), "rule 3", third),
            "stopped": str(int((part["stopped"] >= 0).sum())),
            "seeds": str(len(part)),
        }  # fmt: skip

    return ["## Powers of G", "", *by_case(best, POWER, told)]


def border(rows: pd.DataFrame) -> list[str]:
    """Return where rules stop when det A has to change its sign, and draw the eigenvalues."""
    ends = rows[rows["number"] == rows["number"].max()]
    best = chosen(ends, BORDER)
    keys = [*BORDER, "seed", "length"]
    along = rows.merge(best[keys], on=keys)
    _draw_border(along[along["step"] == "rate"])

    def told(part: pd.DataFrame) -> dict[str, str]:
        return {
            **_choice(part),
            "learned": f"{int((part['score'] >= LEARNED).sum())} of {len(part)}",
            "stopped": str(int((part["stopped"] >= 0).sum())),
            "score": mean_text(part["score"], ".2f"),
            "sign of det A turned": str(int((part["sign"] == -part["start"]).sum())),
            "leftmost eigenvalue": median_text(part["leftmost"]),
            "rightmost eigenvalue": median_text(part["rightmost"]),
            "least singular value of A": median_text(part["least_of_A"]),
        }

    return ["## det A = 0", "", *by_case(best, BORDER, told)]


def _draw_border(along: pd.DataFrame) -> None:
    """Draw the ends of W's eigenvalues against steps: signs in panels, rules in colours."""
    figure, axes = new_figure(nrows=2, ncols=2, figsize=(8, 5), sharex=True)
    cases = along.groupby(["start", "target"], sort=False)
    look = line_looks(sorted(along["rule"].unique()))
    for axis, ((start, target), group) in zip(axes.flat, cases, strict=True):
        for rule, part in group.groupby("rule"):
            colour = look[rule]["color"]
            for number, end in enumerate(("rightmost", "leftmost")):
                for _, own in part.groupby("seed"):
                    axis.plot(own["number"], own[end], color=colour, lw=0.6, alpha=0.6)
                axis.plot([], [], color=colour, label=None if number else rule)
        axis.axhline(1, color="black", lw=0.8, ls=":")
        axis.set_yscale("symlog", linthresh=1)
        axis.set_yticks([-1e12, -1e6, -1, 1, 1e6, 1e12])
        axis.set_ylabel(f"Re $\\lambda$ of $W$, det $A$ {_sign(start)} to {_sign(target)}")
    for axis in axes[-1]:
        axis.set_xlabel("step")
    axes[0, 0].legend(frameon=False, fontsize="small")
    save(figure, IMAGES / "finding-border.png")


def _sign(value: float) -> str:
    return "> 0" if value > 0 else "< 0"


def locality(rows: pd.DataFrame) -> list[str]:
    """Return the table of feedback weights, and draw scores against lengths."""
    best = chosen(rows, LOCAL)
    figure, axes = new_figure(ncols=rows["task"].nunique(), figsize=(7, 3))
    for axis, (task, part) in zip(axes, rows.groupby("task", sort=False), strict=True):
        for colour, (feedback, own) in zip(
            COLOURS, part.groupby("feedback", sort=False), strict=False
        ):
            spread = own.groupby("length")["score"].agg(["mean", "std"])
            axis.errorbar(spread.index, spread["mean"], spread["std"], color=colour, marker="o",
                          ms=4, capsize=3, label=feedback.replace("W^T", "$W^T$"))  # fmt: skip
        axis.set_xscale("log")
        axis.set_xlabel(f"length of a step, {task}")
        axis.set_ylabel(r"score, $-\log_{10}$ relative error")
    axes[0].legend(frameon=False, fontsize="small")
    save(figure, IMAGES / "finding-locality.png")

    def told(part: pd.DataFrame) -> dict[str, str]:
        same = best[best["task"] == part.iloc[0]["task"]]
        of = {name: scores(same[same["feedback"] == name]) for name in ("W^T", "none")}
        feedback = str(part.iloc[0]["feedback"])
        return {
            **_choice(part), "score": mean_text(part["score"]),
            **difference(feedback, scores(part), "W^T", of["W^T"]),
            **difference(feedback, scores(part), "none", of["none"]),
            "cosine of B and W^T, start": mean_text(part["cosine_before"]),
            "end": mean_text(part["cosine"]),
            "seeds": str(len(part)),
        }  # fmt: skip

    return ["## Locality", "", *by_case(best, LOCAL, told)]


def _choice(part: pd.DataFrame) -> dict[str, str]:
    first = part.iloc[0]
    return {"length": f"{first['length']:g}", "edge": first["edge"] or "-"}


SECTIONS = {"power": power, "border": border, "locality": locality}
