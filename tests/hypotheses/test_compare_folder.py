"""compare: a folder that is gone on with, schedulers, the report, and mistakes."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import ratenet.report.comparison as report
from ratenet.errors import (
    InputError,
    OtherProcessError,
    RatenetWarning,
    RunFolderError,
    UnknownNameError,
)
from ratenet.hypotheses import Dask, InProcess, Processes, compare
from ratenet.hypotheses.comparison import schedulers
from ratenet.hypotheses.comparison.cell import run_cell
from ratenet.hypotheses.comparison.schedulers import AbstractScheduler

# Small ones have few seeds, of which they warn.
pytestmark = pytest.mark.filterwarnings("ignore:seeds. [0-9]+ of:ratenet.errors.RatenetWarning")

SMALL = {"units": 10, "samples": 20, "held_out": 10, "batch_size": 10, "steps": 3, "seeds": 2}
TABLES = ("cells", "steps", "best", "differences")


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Leave the report's figures out, which would take most of the time."""
    monkeypatch.setattr(report, "_figures", lambda *_: {})


class Counting(AbstractScheduler):
    """Runs cells in this process, counts them, and is interrupted before one of them."""

    def __init__(self, stop_before: int | None = None) -> None:
        self.stop_before, self.ran = stop_before, []

    def run(self, cells, data_root):
        for cell in cells:
            if len(self.ran) == self.stop_before:
                raise KeyboardInterrupt
            self.ran.append((cell["rule"], cell["learning_rate"], cell["seed"]))
            yield cell, run_cell(cell, data_root)


def run(out, scheduler=None, **options):
    rules = options.pop("rules", ["euclidean", "hebb"])
    return compare(rules, [0.1, 0.01], out=out, scheduler=scheduler, **{**SMALL, **options})


def assert_same(one, other):
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), check_exact=True)


def test_no_cell_is_run_twice_and_the_tables_are_those_of_one_run(tmp_path):
    first, second, third = Counting(stop_before=3), Counting(), Counting()
    with pytest.raises(
        KeyboardInterrupt, match="after 3 of 8 cells; repeat the command to continue"
    ):
        run(tmp_path / "a", first)
    assert not (tmp_path / "a" / "cells.csv").exists()
    found = run(tmp_path / "a", second)
    assert len(first.ran) == 3
    assert sorted(first.ran + second.ran) == sorted(set(first.ran + second.ran))
    assert len(first.ran + second.ran) == 8
    assert_same(found, run(tmp_path / "b"))
    assert_same(found, run(tmp_path / "a", third))
    assert third.ran == []
    for name in TABLES:
        texts = [(tmp_path / place / f"{name}.csv").read_bytes() for place in "ab"]
        assert texts[0] == texts[1]


def test_a_damaged_cell_is_run_again_and_no_other(tmp_path):
    found = run(tmp_path)
    (file, *_) = sorted((tmp_path / "cells").glob("*.json"))
    for spoilt in (file.read_text().replace("done", "gone"), file.read_text()[:50], "{}", "[]"):
        file.write_text(spoilt)
        again = Counting()
        with pytest.warns(RatenetWarning, match=f"{file.name} is damaged; the cell is run again"):
            assert_same(found, run(tmp_path, again))
        assert len(again.ran) == 1


def test_the_configuration_is_recorded(tmp_path):
    run(tmp_path)
    record = tomllib.loads((tmp_path / "config.toml").read_text())
    assert record["compare"]["learning_rates"] == [0.01, 0.1]
    assert record["compare"]["units"] == 10
    assert record["model"]["name"] == "rate"
    assert "torch" in record["versions"]


def test_more_seeds_and_other_intervals_are_of_the_same_cells(tmp_path):
    run(tmp_path / "a", seeds=2)
    more = Counting()
    found = run(tmp_path / "a", more, seeds=4, level=0.9, interval="bca")
    assert {seed for _, _, seed in more.ran} == {2, 3}
    assert len(more.ran) == 8
    assert_same(found, run(tmp_path / "b", seeds=4, level=0.9, interval="bca"))
    record = tomllib.loads((tmp_path / "a" / "config.toml").read_text())
    assert [record["compare"][name] for name in ("seeds", "level", "interval")] == [4, 0.9, "bca"]
    assert record == tomllib.loads((tmp_path / "b" / "config.toml").read_text())


def test_a_folder_of_an_older_version_is_continued(tmp_path):
    run(tmp_path, seeds=2)
    file = tmp_path / "config.toml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith("interval")]
    file.write_text("\n".join(lines))
    again = Counting()
    run(tmp_path, again, seeds=2)
    assert again.ran == []
    assert "interval" in file.read_text()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": 4}, "holds a comparison with steps 3, not 4; choose another folder, or replace"),
        ({"rules": ["euclidean"]}, r"with rules \['euclidean', 'hebb'\], not \['euclidean'\]"),
        ({"model": "voltage"}, "holds a comparison with another model"),
    ],
)
def test_another_configuration_is_refused_and_loses_nothing(tmp_path, options, sentence):
    out = tmp_path / "here"
    found = run(out)
    before = {file: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}
    with pytest.raises(RunFolderError, match=sentence):
        run(out, **options)
    assert {file: file.read_bytes() for file in sorted(before)} == before
    other = run(out, overwrite=True, **options)
    assert len(list((out / "cells").glob("*.json"))) == len(other.cells)
    assert len(found.cells) == 8


def test_folders_with_something_else_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.safetensors").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.toml").write_text("[power]\n")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "config.toml").write_text("[compare\n")
    for name, text in (("number", "compare = 5"), ("deep", "a = " + "[" * 100_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(text)
    (tmp_path / "file").touch()
    for name, sentence in (
        ("run", "holds a training run"),
        ("other", "already holds other results"),
        ("number", "already holds other results"),
        ("deep", "config.toml: nested too deeply"),
        ("damaged", "config.toml: not valid TOML"),
        ("file", "cannot be made or written to"),
    ):
        with pytest.raises(RunFolderError, match=sentence):
            run(tmp_path / name, overwrite=True)
    assert (tmp_path / "other" / "config.toml").read_text() == "[power]\n"


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"tasks": ["digits"]}, UnknownNameError, "Unknown task 'digits'.* linear, teacher"),
        ({"tasks": []}, InputError, r"tasks: expected a non-empty list of .*, got \[\]"),
        ({"rules": ["heb"]}, UnknownNameError, "Unknown rule 'heb'"),
        ({"rules": ["hebb", "hebb"]}, InputError, "rules: expected each entry once, got"),
        ({"data": "cifar"}, UnknownNameError, "Unknown data set 'cifar'"),
        ({"model": "nothing"}, UnknownNameError, "nothing"),
        ({"seeds": 0}, InputError, "seeds: expected a whole number from 1 .*, got 0"),
        ({"seed": -1}, InputError, "seed: expected a whole number from 0 .*, got -1"),
        ({"steps": 1.5}, InputError, "steps: expected a whole number .*, got 1.5"),
        ({"held_out": 1}, InputError, "held_out: expected a whole number from 2 .*, got 1"),
        ({"batch_size": 21}, InputError, "batch_size: expected at most .*, 20, got 21"),
        ({"level": 95}, InputError, "level: expected a number .* below 1, got 95"),
        (
            {"tasks": ["mnist"], "samples": 5000},
            InputError,
            "at most the 4000 training images, got 5010",
        ),
        ({"scheduler": Dask("tcp://127.0.0.1:9")}, InputError, "no Dask scheduler answers at 'tcp"),
        ({"scheduler": Dask("here")}, InputError, "no Dask scheduler answers at 'here'"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(
    tmp_path, monkeypatch, options, error, sentence
):
    monkeypatch.setattr(schedulers, "CONNECT", 1.0)
    began = time.monotonic()
    with pytest.raises(error, match=sentence):
        run(tmp_path / "out", **options)
    assert time.monotonic() - began < 10
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rates", [[0.0], [-0.1], [float("nan")], ["fast"], [0.1, 0.1]])
def test_learning_rates_that_cannot_be_used(tmp_path, rates):
    with pytest.raises(InputError, match="learning_rate"):
        compare(["hebb"], rates, out=tmp_path / "out", **SMALL)
    with pytest.raises(InputError, match="processes: expected .* got 0"):
        Processes(0)


@pytest.mark.slow
def test_several_processes_give_the_same_and_a_killed_one_loses_nothing(tmp_path):
    killed = []

    def kill_one(done, total):
        if done == 2 and not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(OtherProcessError, match="worker process died.*repeat the command"):
        run(tmp_path / "a", Processes(2), progress=kill_one)
    kept = len(list((tmp_path / "a" / "cells").glob("*.json")))
    assert 2 <= kept < 8
    counting = Counting()
    found = run(tmp_path / "a", counting)
    assert len(counting.ran) == 8 - kept
    assert_same(found, run(tmp_path / "b", InProcess()))
    assert multiprocessing.active_children() == []


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.slow
def test_a_killed_dask_worker_loses_nothing(tmp_path):
    distributed = pytest.importorskip("distributed")
    killed = []
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:

        def kill_one(done, total):
            if done == 2 and not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        found = run(tmp_path / "a", Dask(cluster.scheduler_address), progress=kill_one)
    assert killed
    assert len(list((tmp_path / "a" / "cells").glob("*.json"))) == 8
    assert_same(found, run(tmp_path / "b"))


class Page(HTMLParser):
    """Collects what a page shows, and what it would load."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.text, self.tags = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href", "data", "srcset")]

    def handle_data(self, data):
        self.text += data


def test_the_report_holds_all_of_it_in_one_file(tmp_path, monkeypatch):
    monkeypatch.undo()  # with its figures
    rules = ["euclidean", "0.5*euclidean+0.5*hebb", "reparameterized"]
    found = run(tmp_path, rules=rules, steps=2)
    content = found.report.read_text()
    page = Page(content)
    pictures = [value for value in page.loaded if not value.startswith("#")]
    assert len(pictures) == 11
    assert all(value.startswith("data:image/png;base64,iVBOR") for value in pictures)
    for place in set(page.loaded) - set(pictures):  # of the list of contents
        assert f'id="{place[1:]}"' in content
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "http" not in content.replace("http-equiv", "")
    assert "url(" not in content
    assert "@import" not in content
    for value in found.best["test_score"]:
        assert f"{value:.4g}" in page.text
    assert "teacher, euclidean: 0.1, the\nhighest" in page.text
    assert "4 did not run to their end" in page.text
    assert "the exact step is defined for shared gains only" in page.text


def test_changes_that_are_nothing_are_drawn(tmp_path, monkeypatch):
    monkeypatch.undo()  # with its figures
    found = run(tmp_path, rules=["frozen"], steps=1, seeds=1)
    loaded = Page(found.report.read_text()).loaded
    assert sum(value.startswith("data:image/png;base64,iVBOR") for value in loaded) == 11
    assert found.steps["angle_to_euclidean"].isna().all()
    assert found.steps["norm_ratio"].dropna().eq(0).all()
    assert found.best["test_score"].equals(found.best["test_score_before"])


def test_texts_are_escaped_in_the_report(tmp_path):
    found = run(tmp_path, steps=1)
    cells = found.cells.assign(reason="<script>1</script>", status="diverged")
    report.write_report(
        tmp_path / "page.html", config={**found.config.table()["compare"], "data": "<b>"},
        score_names={"teacher": "a < b"}, cells=cells, judged=found.judged,
        steps=found.steps, best=found.best, differences=found.differences,
    )  # fmt: skip
    page = Page((tmp_path / "page.html").read_text())
    assert "script" not in page.tags
    assert "<script>1</script>" in page.text
    assert "<b>" in page.text


def test_figures_draw_what_the_tables_hold(tmp_path):
    found = run(tmp_path, steps=3, record_every=1)
    best = found.best.set_index("rule")
    axis = report.course_figure(found.steps, found.best, "loss", "loss", is_log=True).axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "hebb"]
    rows = found.steps[
        (found.steps["rule"] == "hebb")
        & (found.steps["learning_rate"] == best["learning_rate"]["hebb"])
    ]
    assert line.get_xdata().tolist() == [0, 1, 2, 3]
    assert line.get_ydata().tolist() == rows.groupby("step")["loss"].median().tolist()
    axis = report.score_figure(found.cells, found.best, 0.95).axes[0]
    means = [container.lines[0].get_xdata()[0] for container in axis.containers]
    assert means == best["test_score"].tolist()
    axis = report.rate_figure(found.cells, found.best).axes[0]
    (line,) = [line for line in axis.lines if line.get_label() == "hebb"]
    assert line.get_xdata().tolist() == [0.01, 0.1]
    mean = found.cells[found.cells["rule"] == "hebb"].groupby("learning_rate")["validation_score"]
    assert line.get_ydata().tolist() == mean.mean().tolist()
    ring = axis.lines[axis.lines.index(line) + 1]
    assert ring.get_xdata().tolist() == [best["learning_rate"]["hebb"]]
    assert ring.get_ydata()[0] in line.get_ydata()  # on the line, which is of all seeds


def test_a_cell_file_is_plain_data(tmp_path):
    run(tmp_path)
    (file, *_) = (tmp_path / "cells").glob("*.json")
    found = json.loads(json.loads(file.read_text())["found"])
    assert found["status"] == "done"
    assert [row["step"] for row in found["rows"]] == [0, 3]


@pytest.mark.slow
def test_a_scheduler_that_ends_loses_nothing(tmp_path):
    started = []

    def start(kind, *options):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, "--no-dashboard"]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    def end(done, total):
        if done == 2:
            scheduler.kill()

    try:
        scheduler = start("scheduler", "--port", "0", "--host", "127.0.0.1")
        lines = iter(scheduler.stderr.readline, "")
        address = next(re.search(r"tcp://\S+", line)[0] for line in lines if "tcp://" in line)
        start("worker", address, "--nthreads", "1")
        with pytest.raises(OtherProcessError, match=f"at '{address}' has ended; finished cells"):
            run(tmp_path, Dask(address), progress=end, steps=20)
    finally:
        for process in started:
            process.kill()
            process.communicate()
    kept, counting = len(list((tmp_path / "cells").glob("*.json"))), Counting()
    assert kept >= 2
    run(tmp_path, counting, steps=20)
    assert len(counting.ran) == 8 - kept


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_cell_whose_workers_die_again_and_again_is_told(tmp_path):
    dask = pytest.importorskip("dask")
    distributed = pytest.importorskip("distributed")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
    ):

        def kill(done, total):
            if done == 2:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        with pytest.raises(OtherProcessError, match="repeatedly killed its worker.*to continue"):
            run(tmp_path, Dask(cluster.scheduler_address), progress=kill, steps=60)
    counting = Counting()
    run(tmp_path, counting, steps=60)
    assert 0 < len(counting.ran) <= 6


def test_a_cell_in_the_place_of_another_is_run_again(tmp_path):
    found = run(tmp_path)
    first, second = sorted((tmp_path / "cells").glob("*.json"))[:2]
    kept = first.read_text()
    for spoilt in (second.read_text(), "[" * 100_000):
        first.write_text(spoilt)
        with pytest.warns(RatenetWarning, match=f"{first.name} is damaged"):
            assert run(tmp_path).cells.equals(found.cells)
        assert first.read_text() == kept


def test_files_of_one_s_own_are_not_replaced_by_tables(tmp_path):
    (tmp_path / "best.csv").write_text("precious")
    with pytest.raises(RunFolderError, match=r"already holds results \(best.csv\)"):
        run(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["best.csv"]
    assert (tmp_path / "best.csv").read_text() == "precious"


def test_images_of_ones_own_are_known_by_their_content(tmp_path):
    def write(seed: int) -> None:
        rng = np.random.default_rng(seed)
        parts = (("train", 40), ("test", 20))
        arrays = {f"{part}_images": rng.random((number, 3, 3)) for part, number in parts}
        arrays |= {f"{part}_targets": np.arange(number) % 2 for part, number in parts}
        np.savez(tmp_path / "own.npz", **arrays)

    def compared():
        return compare(
            tasks=["mnist"], rules=["euclidean"], learning_rates=[0.01], seeds=1, steps=2, units=5,
            samples=20, held_out=10, batch_size=10, data=str(tmp_path / "own.npz"),
            out=tmp_path / "out",
        )  # fmt: skip

    write(0)
    first = compared()
    pd.testing.assert_frame_equal(compared().cells, first.cells)
    write(1)
    with pytest.raises(RunFolderError, match="holds a comparison with data_sha256"):
        compared()
