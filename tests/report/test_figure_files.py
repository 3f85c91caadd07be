"""How figures are saved: formats, letters, and the numbers that they show; one look for a rule."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.image import imread

from ratenet.cli.names import RULES
from ratenet.errors import InputError
from ratenet.report.figure_data import figure_data
from ratenet.report.figures import new_figure, save
from ratenet.report.rule_looks import look_of, looks, shades


@pytest.mark.parametrize("form", ["png", "pdf", "svg"])
def test_a_figure_comes_in_each_format_with_its_data(form: str, tmp_path: Path) -> None:
    figure, axis = new_figure(figsize=(3, 2))
    axis.plot([0, 1, 2], [1.5, 0.25, -1e-9], label="rate")
    axis.set_xlabel("time (ms)")
    places = [tmp_path / f"{name}.{form}" for name in ("one", "two")]
    for place in places:
        save(figure, place)
    one, two = (place.read_bytes() for place in places)
    assert one == two  # no date in it
    if form == "png":
        assert imread(places[0]).std() > 0.01
    elif form == "pdf":
        assert one.startswith(b"%PDF")
    else:
        texts = [each.text for each in ElementTree.fromstring(one).iter() if each.text]
        assert any("time (ms)" in text for text in texts)  # letters stay letters
    data = pd.read_csv(tmp_path / "one-figure.csv")
    assert data["y"].tolist() == [1.5, 0.25, -1e-9]
    assert set(data["x_axis"]) == {"time (ms)"}


@pytest.mark.parametrize("name", ["figure", "figure.gif", "figure.png.exe"])
def test_other_formats_are_refused(name: str, tmp_path: Path) -> None:
    figure, _ = new_figure(figsize=(3, 2))
    with pytest.raises(InputError, match=r"a name that ends in \.png, \.pdf or \.svg"):
        save(figure, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_panels_have_letters_unless_the_axes_are_the_users() -> None:
    def letters(figure: object) -> list[str]:
        return [text.get_text() for axis in figure.axes for text in axis.texts]  # type: ignore[attr-defined]

    figure, _ = new_figure(figsize=(6, 4), nrows=2, ncols=2)
    assert letters(figure) == ["A", "B", "C", "D"]
    assert letters(new_figure(figsize=(3, 2))[0]) == []
    own, axes = plt.subplots(1, 2)
    new_figure(on=axes, figsize=(6, 2), ncols=2)
    assert letters(own) == []
    plt.close(own)


def test_the_data_hold_all_that_is_drawn() -> None:
    figure, (left, right) = new_figure(figsize=(6, 3), ncols=2)
    left.errorbar([1, 2], [3.0, 4.0], yerr=[[0.5, 0.25], [1.0, 2.0]], label="mean")
    left.fill_between([1, 2, 3], [0, 1, 2], [5, 6, 7.5], label="range")
    left.scatter([7], [8], label="dot")
    left.bar([1, 2], [10, 20], label="bars")
    left.axhline(99)  # guides the eye
    right.pcolormesh([0.0, 1.0], [5.0, 6.0, 7.0], np.arange(6).reshape(3, 2), label="map")
    right.barh([3], [0.5], label="lying")
    data = figure_data(figure)
    series = dict(list(data.groupby("series")))
    assert series["mean"][["x", "y", "low", "high"]].to_numpy().tolist() == [
        [1, 3, 2.5, 4], [2, 4, 3.75, 6]
    ]  # fmt: skip
    assert series["range"][["x", "low", "high"]].to_numpy().tolist() == [
        [1, 0, 5], [2, 1, 6], [3, 2, 7.5]
    ]  # fmt: skip
    assert series["dot"][["x", "y"]].to_numpy().tolist() == [[7, 8]]
    assert series["bars"][["x", "y"]].to_numpy().tolist() == [[1, 10], [2, 20]]
    assert series["lying"][["x", "y"]].to_numpy().tolist() == [[0.5, 3]]
    shown = series["map"].pivot(index="y", columns="x", values="value")
    assert shown.to_numpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert shown.index.tolist() == pytest.approx([5, 6, 7])
    assert set(data[data["y"] == 99].index) == set()
    assert series["map"]["panel"].unique().tolist() == ["B"]


def test_an_empty_figure_has_empty_data(tmp_path: Path) -> None:
    save(new_figure(figsize=(3, 2))[0], tmp_path / "empty.png")
    assert pd.read_csv(tmp_path / "empty-figure.csv").empty


def test_a_rule_looks_the_same_in_every_company() -> None:
    everyone = looks(RULES)
    assert {rule: look_of(rule) for rule in RULES} == everyone
    pairs = {(look["color"], look["ls"]) for look in everyone.values()}
    assert len(pairs) == len(RULES)  # told apart also without colour or on paper
    mixed = looks(["own.py:Mine", "truncated-adjoint(terms=5)", "truncated-adjoint", "euclidean"])
    assert mixed["euclidean"] == look_of("euclidean")
    assert mixed["truncated-adjoint(terms=5)"] == look_of("truncated-adjoint")
    assert len({(look["color"], look["ls"]) for look in mixed.values()}) == 4
    assert len({(look["color"], look["ls"]) for look in looks(map(str, range(25))).values()}) == 25


def test_shades_go_from_light_to_the_colour() -> None:
    light, full = shades("#0072B2", 2)
    assert full == pytest.approx((0, 0x72 / 255, 0xB2 / 255))
    assert sum(light) > sum(full)
    assert shades("#0072B2", 1) == [full]
