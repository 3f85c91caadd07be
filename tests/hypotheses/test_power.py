"""Power: simulated experiments, their counts and intervals, and rules that must be told apart."""

import numpy as np
import pandas as pd
import pytest

from ratenet.errors import InputError, UnknownNameError
from ratenet.hypotheses import power
from ratenet.hypotheses.identification.power_analysis import number_of_steps
from ratenet.report.identification import alignment_figure, confusion_figure, power_figure

RULES = [
    "euclidean",
    "linearized-reparameterized",
    "gain-free-reparameterized",
    "feedback-alignment",
    "hebb",
]
SMALL = {"units": 12, "stimuli": 6, "experiments": 6}


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of Wilson 1927, written out."""
    z, p = 1.959963984540054, k / n
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


def of(accuracy: pd.DataFrame, truth: str, column: str) -> list[float]:
    return accuracy.loc[accuracy["truth"] == truth, column].tolist()


def test_five_rules_are_told_apart_with_ten_percent_noise():
    found = power(RULES, units=20, stimuli=10, noise=0.1, experiments=8)
    (share,) = of(found.accuracy, "any rule", "share")
    assert share >= 0.95
    assert list(found.confusion().index) == [*RULES, "none"]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "stimuli"), [("weights", 20), ("rates", 20)])
def test_each_rule_is_right_in_95_of_100_experiments(kind, stimuli):
    found = power(RULES, units=50, stimuli=stimuli, noise=0.1, experiments=100, kind=kind)
    for rule in RULES:
        assert of(found.accuracy, rule, "share")[0] >= 0.95
    assert of(found.accuracy, "none", "high")[0] >= 0.95  # at most 5 % named, within chance


def test_more_synapses_and_less_noise_tell_more():
    found = power(
        ["euclidean", "hebb"], units=12, stimuli=6, observed=[12, None], noise=[0.1, 3.0],
        experiments=12,
    )  # fmt: skip
    table = found.accuracy[found.accuracy["truth"] == "any rule"]
    share = table.set_index(["observed", "noise"])["share"]
    assert share[144, 0.1] > share[144, 3.0] > share[12, 3.0]
    assert share[144, 0.1] == 1.0


def test_rates_alone_tell_rules_apart():
    found = power(["euclidean", "hebb"], kind="rates", observed=[5, None], noise=0.1, **SMALL)
    assert of(found.accuracy, "any rule", "share")[1] == 1.0
    assert {design["observed"] for design in found.designs()} == {5, 12}


def test_the_table_counts_every_experiment_and_its_intervals_are_wilsons():
    found = power(["euclidean", "hebb", "oja"], noise=[1.0, 3.0], **SMALL)
    table = found.table
    assert len(table) == 2 * 4 * 4  # noise, truth, named
    sums = table.groupby(["noise", "truth"])["count"].sum()
    assert (sums == 6).all()
    assert 0 < table.loc[table["truth"] == table["named"], "share"].mean() < 1
    for row in table.itertuples():
        np.testing.assert_allclose((row.low, row.high), wilson(row.count, 6), atol=1e-12)
    pooled = found.accuracy.set_index(["noise", "truth"])
    right = table[(table["truth"] == table["named"]) & (table["truth"] != "none")]
    for noise, rows in right.groupby("noise"):
        assert pooled.loc[(noise, "any rule"), "share"] == rows["count"].sum() / 18
        assert pooled.loc[(noise, "any rule"), "experiments"] == 18
    np.testing.assert_allclose(found.confusion(found.designs()[1]).sum(axis=1), 1.0)
    assert len(found.summary().splitlines()) == 2


def test_a_seed_repeats_an_experiment_whatever_else_is_asked():
    one = power(["euclidean", "hebb"], noise=4.0, seed=3, **SMALL)
    among = power(["euclidean", "hebb"], noise=[0.5, 4.0], seed=3, **SMALL)
    other = power(["euclidean", "hebb"], noise=4.0, seed=4, **SMALL)
    same = among.table[among.table["noise"] == 4.0]["count"].tolist()
    assert one.table["count"].tolist() == same
    assert one.table["count"].tolist() != other.table["count"].tolist()


def test_progress_is_told():
    told = []
    power(["euclidean", "hebb"], units=[6, 8], stimuli=[4], experiments=3, progress=told.append)
    assert told == list(range(1, number_of_steps([6, 8], [4], 3) + 1))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rules": ["hebb"]}, "rules: expected two or more to tell apart"),
        ({"units": 4}, "units: expected a whole number of at least 5.*got 4"),
        ({"stimuli": 0}, "stimuli: expected .* at least 1, got 0"),
        ({"noise": [0.1, 0.0]}, "noise: expected a finite number above 0.*got 0.0"),
        ({"observed": 9}, "observed: expected a whole number of at least 10.*got 9"),
        ({"observed": 145}, "observed: expected at most the 144 synapses of 12 units, got 145"),
        (
            {"observed": 4, "kind": "rates"},
            "observed: expected a whole number of at least 5.*got 4",
        ),
        ({"observed": 13, "kind": "rates"}, "observed: expected at most the 12 neurons .*, got 13"),
        ({"kind": "spikes"}, "kind: expected one of weights, rates, got 'spikes'"),
        ({"experiments": 0}, "experiments: expected .* at least 1, got 0"),
        ({"radius": float("nan")}, "radius: expected a finite number above 0, got nan"),
        ({"seed": -1}, "seed: expected .*, got -1"),
        ({"level": 0.7}, "level: expected .* to 0.5, got 0.7"),
    ],
)
def test_mistakes_are_one_sentence(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        power(**{"rules": ["hebb", "oja"], **SMALL, **changes})


def test_unknown_rules_and_designs_are_refused():
    with pytest.raises(UnknownNameError, match="Unknown rule 'heb'"):
        power(["heb", "oja"])
    with pytest.raises(InputError, match="design: expected one of .*, got .*13"):
        power(["hebb", "oja"], **SMALL).confusion({"units": 13})


def test_figures_draw_what_the_tables_hold():
    found = power(
        ["euclidean", "hebb"], units=[6, 8, 10], stimuli=4, noise=[0.1, 3.0], experiments=2
    )
    figure = power_figure(found.accuracy, level=0.05, title="")
    axis = figure.axes[0]
    assert axis.get_xlabel() == "units"
    lines = [container.lines[0] for container in axis.containers]
    assert len(lines) == 2  # one for each noise, side by side
    for line in lines:
        np.testing.assert_allclose(np.asarray(line.get_xdata(), dtype=float), [6, 8, 10], rtol=0.05)
    share = found.accuracy[found.accuracy["truth"] == "any rule"]
    expected = share.loc[share["noise"] == 0.1, "share"].to_numpy(dtype=float)
    np.testing.assert_allclose(np.asarray(lines[0].get_ydata(), dtype=float), expected)
    shown = confusion_figure(found.confusion(), title="").axes[0]
    numbers = [float(text.get_text().removesuffix(" %")) for text in shown.texts]
    shares = found.confusion().to_numpy(dtype=float).ravel()
    np.testing.assert_allclose(numbers, 100 * shares, atol=0.51)


def test_alignments_are_drawn_where_they_are():
    table = pd.DataFrame(
        {
            "alignment": [0.5, -0.1, np.nan],
            "alignment_low": [0.4, -0.2, np.nan],
            "alignment_high": [0.6, 0.0, np.nan],
            "chance": [0.2, 0.2, np.nan],
            "log_likelihood": [-3.0, -3.0 - 4 * np.log(10), -3.0 - np.log(9)],
            "posterior": [0.9, 0.0001, 0.1],
            "wins": [1.0, 0.0, np.nan],
        },
        index=["a", "b", "none"],
    )
    left, right = alignment_figure(table, ceiling=0.9, title="").axes
    assert left.containers[0].lines[0].get_xdata().tolist() == [0.5, -0.1]
    assert right.lines[0].get_xdata() == pytest.approx([0, 4, np.log10(9)])
    texts = [text.get_text() for text in right.texts]
    assert texts == ["B", "posterior", "0.90", "< 0.01", "0.10", "draws\nwon", "1.00", "< 0.01", ""]
    assert any(line.get_xdata()[0] == 0.9 for line in left.lines)
