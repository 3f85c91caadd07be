"""Numbers of others, each asserted: the cases of benchmarks/published_values.py and their page."""

import re
import sys
from pathlib import Path

import pytest

import ratenet as rn

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
import published_branches  # noqa: E402
import published_values  # noqa: E402

sys.path.remove(str(BENCHMARKS))  # whose names may be those of packages

PAGE = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")


def written(title: str) -> list[list[str]]:
    """Return the rows of the page's table for a case, each as its cells."""
    _, _, rest = PAGE.partition(f"## {title}\n")
    lines = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=pytest.mark.slow if case.slow else ())
        for case in published_values.CASES
    ],
)
def test_what_ratenet_finds_is_what_others_found(case: published_values.Case) -> None:
    values = case.find()
    assert [value.what for value in values] == [what for what, *_ in written(case.title)]
    for value, (_, theirs, ours, *_) in zip(values, written(case.title), strict=True):
        assert abs(value.ours - value.theirs) <= value.allowed, value
        room = value.allowed + 1e-8 * abs(value.theirs)  # the page has nine digits
        assert float(theirs) == pytest.approx(value.theirs, abs=room)
        assert float(ours) == pytest.approx(value.ours, abs=room)


def test_the_page_has_every_case_and_no_difference_above_what_is_allowed() -> None:
    titles = [line.removeprefix("## ") for line in PAGE.splitlines() if line.startswith("## ")]
    assert titles == [case.title for case in published_values.CASES]
    for _, theirs, ours, difference, allowed in (row for t in titles for row in written(t)):
        assert abs(float(difference)) <= float(allowed)
        assert float(ours) - float(theirs) == pytest.approx(float(difference), abs=float(allowed))


def test_every_ready_circuit_is_among_the_cases() -> None:
    sources = (path.read_text(encoding="utf-8") for path in BENCHMARKS.glob("published_*.py"))
    built = set(re.findall(r"circuits\.(\w+)\(", "".join(sources)))
    assert set(rn.circuits.names()) <= built


def test_a_branch_with_other_special_points_is_refused() -> None:
    circuit = rn.circuits.wilson_cowan_multistable()
    branch = published_branches.along_drive_of(circuit.network, 0, 0.0, 0.1)
    with pytest.raises(ValueError, match=r"expected .*Hopf.* found Branch of"):
        published_branches.special_points(branch, [("Hopf", 0.05, 1e-3)])
