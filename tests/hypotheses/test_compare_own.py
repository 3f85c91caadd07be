"""Rules and tasks as objects and of the user's own, compared here and in other processes."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ratenet as rn
from ratenet.errors import InputError, RunFolderError, UnknownNameError
from ratenet.hypotheses import compare, identify, observe_weights, power
from ratenet.hypotheses.comparison.schedulers import Processes

# Small ones have few seeds, of which they warn.
pytestmark = pytest.mark.filterwarnings("ignore:seeds. [0-9]+ of:ratenet.errors.RatenetWarning")

SMALL: dict[str, Any] = {
    "seeds": 1, "steps": 2, "units": 6, "samples": 6, "batch_size": 6, "held_out": 4,
    "record_every": 2,
}  # fmt: skip
OWN = '''
import ratenet as rn
from ratenet.hypotheses.tasks import Teacher


@rn.plasticity.rule(metric="none: three factors")
def three_factor(fp, error, learning_rate):
    return -learning_rate * (fp.gain * error).T @ fp.rates / len(fp)


class Shifted(Teacher):
    """A teacher of other seeds."""

    score_name = "my score"

    @classmethod
    def drawn(cls, setting, seed, *, by=1):
        return super().drawn(setting, seed + by)
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


def rows(found: Any) -> list[tuple[str, str, float]]:
    return [*found.best[["task", "rule", "test_score"]].itertuples(index=False, name=None)]


def test_objects_tables_and_own_files_are_compared_and_recorded(own: Path, tmp_path: Path) -> None:
    rules = [
        rn.plasticity.TruncatedAdjoint(3),
        {"name": "hebb"},
        f"{own}:three_factor",
        "0.5*euclidean+0.5*hebb",
    ]
    tasks = ["teacher", f"{own}:Shifted(by=7)"]
    found = compare(rules, [0.1], tasks=tasks, out=tmp_path / "a", **SMALL)
    names = ["truncated-adjoint(terms=3)", "hebb", "mine.py:three_factor", "0.5*euclidean+0.5*hebb"]
    assert [rule for task, rule, _ in rows(found) if task == "teacher"] == names
    other = compare(["hebb"], [0.1], seed=7, out=tmp_path / "b", **SMALL)
    shifted = {rule: score for task, rule, score in rows(found) if task.startswith("mine.py")}
    # The network, samples and teacher of seed 7; batches in the order of seed 0, but there is one.
    assert shifted["hebb"] == pytest.approx(rows(other)[0][2], rel=1e-9)
    assert "my score" in found.report.read_text()
    table = tomllib.loads((tmp_path / "a" / "config.toml").read_text())
    assert table["compare"]["rules"][2] == f"{own}:three_factor"
    (code,) = table["code"]
    assert (tmp_path / "a" / code["copy"]).read_text() == OWN

    again = compare(rules, [0.1], tasks=tasks, out=tmp_path / "a", **SMALL)
    assert rows(again) == rows(found)
    own.write_text(OWN + "# edited\n")
    with pytest.raises(RunFolderError, match=r"another .*mine\.py, of which it keeps a copy"):
        compare(rules, [0.1], tasks=tasks, out=tmp_path / "a", **SMALL)


def test_a_class_is_a_task(tmp_path: Path) -> None:
    found = compare(["hebb"], [0.1], tasks=[rn.hypotheses.tasks.Teacher], out=tmp_path, **SMALL)
    assert rows(found)[0][0] == "teacher"


@pytest.mark.slow
def test_other_processes_give_the_same_numbers_without_the_file(own: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"learning_rates": [0.1], "tasks": [f"{own}:Shifted(by=2)"], **SMALL}
    rules = ["euclidean", f"{own}:three_factor"]
    here = compare(rules, out=tmp_path / "here", **given)
    there = compare(rules, out=tmp_path / "there", scheduler=Processes(1), **given)
    assert rows(here) == rows(there)


def inside() -> rn.plasticity.AbstractRule:
    @rn.plasticity.rule(metric="none")
    def closed(fp, error, learning_rate):
        return -learning_rate * error.T @ fp.rates / len(fp)

    return closed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rules": ["hebb(rate=2)"]}, "Unknown setting of rule 'hebb': 'rate'; available: none"),
        ({"rules": ["{}:nope"]}, r"Unknown name in mine\.py: 'nope'; available: three_factor"),
        ({"rules": ["hebb", rn.plasticity.Hebb()]}, "rules: expected each entry once"),
        ({"rules": [3]}, "rule: expected a rule: .*, got 3"),
        ({"rules": [inside()], "scheduler": Processes(1)}, "cannot be sent to other processes"),
        ({"tasks": ["teachr"]}, "Unknown task 'teachr'; did you mean 'teacher'"),
        ({"tasks": ["teacher(by=1)"]}, "Unknown setting of task 'teacher': 'by'; available: none"),
        ({"tasks": ["{}:Shifted(to=1)"]}, "Unknown setting of task .*: 'to'; available: by"),
        ({"tasks": ["{}:three_factor"]}, "expected a task: its name, FILE.py:NAME, or a class"),
        ({"model": "ssn_stochastic"}, "expected a model without noise"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    options: dict, sentence: str, own: Path, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"rules": ["euclidean"], "learning_rates": [0.1], **SMALL}
    for name, value in options.items():
        is_list = isinstance(value, list)
        filled = [v.replace("{}", str(own)) if isinstance(v, str) else v for v in value] \
            if is_list else value  # fmt: skip
        given[name] = filled
    with pytest.raises((InputError, UnknownNameError), match=sentence):
        compare(out=tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_identify_and_power_take_objects_and_own_files(own: Path) -> None:
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    W, drive = torch.randn(2, 20, 20, generator=generator, dtype=torch.float64)
    network = rn.Network("rate", 0.1 * W)
    fp = rn.find_fixed_points(network, drive)
    target = torch.full((20,), 0.1, dtype=torch.float64)
    after = 0.1 * W + rn.plasticity.TruncatedAdjoint(4).update(fp, fp.rates - target, 0.01)
    rules = [rn.plasticity.TruncatedAdjoint(4), f"{own}:three_factor", {"name": "hebb"}]
    found = identify(network, drive, observe_weights(network, after), rules, target=target)
    names = ["truncated-adjoint(terms=4)", "mine.py:three_factor", "hebb"]
    assert found.table.index[:3].tolist() == names
    assert found.table.alignment["truncated-adjoint(terms=4)"] == pytest.approx(1)
    assert list(power(rules, experiments=1, units=10, stimuli=10).rules) == names


def images_of(seed: int) -> rn.stimuli.ImageSet:
    classes = np.arange(60) % 3
    pixels = np.random.default_rng(seed).random((60, 4, 4)) / 2 + classes[:, None, None] / 4
    halves = [(pixels[part], classes[part]) for part in (slice(30), slice(30, None))]
    return rn.stimuli.ImageSet.from_arrays(train=halves[0], test=halves[1], name="bars")


@pytest.mark.parametrize("scheduler", [None, pytest.param(Processes(1), marks=pytest.mark.slow)])
def test_images_as_an_object_are_those_of_their_file(
    scheduler: Processes | None, tmp_path: Path
) -> None:
    images = images_of(0)
    kinds = ("train", "test")
    arrays = {f"{kind}_images": getattr(images, kind).pixels.reshape(-1, 4, 4) for kind in kinds}
    labels = {f"{kind}_targets": getattr(images, kind).labels for kind in kinds}
    np.savez(tmp_path / "bars.npz", **{name: x.numpy() for name, x in (arrays | labels).items()})
    given: dict[str, Any] = {"learning_rates": [0.1], "tasks": ["mnist"], **SMALL}
    out = tmp_path / "object"
    found = compare(["euclidean"], out=out, data=images, scheduler=scheduler, **given)
    file = compare(["euclidean"], out=tmp_path / "file", data=tmp_path / "bars.npz", **given)
    assert rows(found) == rows(file)
    record = tomllib.loads((out / "config.toml").read_text())["compare"]
    assert (record["data"], record["data_sha256"]) == ("<bars>", images.sha256())
    with pytest.raises(RunFolderError, match="holds a comparison with data_sha256"):
        compare(["euclidean"], out=out, data=images_of(1), **given)
