"""``ratenet identify`` and ``ratenet power``: files in, tables and figures out, and mistakes."""

import json
import re
import sys
import tomllib
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import zarr
from helpers.problems import random, random_weights
from matplotlib.image import imread
from numcodecs import Pickle

import ratenet as rn
from ratenet import plasticity
from ratenet.cli import main
from ratenet.hypotheses import identify, observe_weights, power

N, B = 16, 6
PAGE = (Path(__file__).parents[2] / "docs" / "identify.md").read_text()


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Return a function that runs a command in this process: its exit code and what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ratenet", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            main()
        said = capsys.readouterr()
        return exit.value.code or 0, said.out, " ".join(said.err.replace("│", " ").split())

    return run


@pytest.fixture
def experiment():
    """Return the arrays of an experiment in which the linearized rule has learned."""
    W, drive, target = random_weights(N, 81), random(B, N, seed=82), random(B, N, seed=83)
    network = rn.Network("rate", W)
    fp = rn.find_fixed_points(network, drive)
    rule = plasticity.LinearizedReparameterized()
    after = W + rule.update(fp, fp.rates - target, 0.01)
    later = rn.find_fixed_points(network.changed(W=after), drive)
    return {
        "weights": W.numpy(),
        "drive": drive.numpy(),
        "targets": target.numpy(),
        "weights_after": after.numpy(),
        "rates_before": fp.rates.numpy(),
        "rates_after": later.rates.numpy(),
    }


def write_folder(folder, arrays, synapses=None):
    folder.mkdir()
    for name, array in arrays.items():
        np.savetxt(folder / f"{name}.csv", array, delimiter=",")
    if synapses is not None:
        synapses.to_csv(folder / "synapses.csv", index=False)


def table_of(arrays, number):
    post, pre = np.divmod(np.random.default_rng(0).permutation(N * N)[:number], N)
    before, after = arrays["weights"][post, pre], arrays["weights_after"][post, pre]
    return pd.DataFrame({"post": post, "pre": pre, "before": before, "after": after})


def test_a_file_of_arrays_is_identified_as_in_python(command, experiment, tmp_path):
    np.savez("data.npz", **experiment)
    code, out, _ = command(
        "identify", "data.npz", "--noise", 1e-5, "--out", "here", "--seed", 5,
        "--rules", "euclidean,linearized-reparameterized, hebb",
    )  # fmt: skip
    assert code == 0
    assert "linearized-reparameterized, confidence 1.000" in out
    network = rn.Network("rate", experiment["weights"])
    observed = observe_weights(network, experiment["weights_after"], noise=1e-5)
    expected = identify(
        network, experiment["drive"], observed,
        ["euclidean", "linearized-reparameterized", "hebb"],
        target=experiment["targets"], seed=5,
    )  # fmt: skip
    found = pd.read_csv(tmp_path / "here" / "identification.csv", index_col="rule")
    pd.testing.assert_frame_equal(found, expected.table)
    summary = json.loads((tmp_path / "here" / "summary.json").read_text())
    assert summary["rule"] == "linearized-reparameterized"
    assert summary["measured"] == N * N
    record = tomllib.loads((tmp_path / "here" / "config.toml").read_text())
    assert record["identify"]["rules"] == ["euclidean", "linearized-reparameterized", "hebb"]
    assert record["identify"]["kind"] == "weights"
    assert record["model"]["name"] == "rate"
    assert imread(tmp_path / "here" / "alignment.png").std() > 0.05
    assert command("identify", "data.npz", "--out", "here")[0] == 2
    rates = command("identify", "data.npz", "--out", "here", "--overwrite", "--kind", "rates")
    assert "changes of rates" in rates[1]


@pytest.mark.parametrize("number", [50, N * N])
def test_a_folder_with_a_table_of_synapses_is_read(command, experiment, tmp_path, number):
    kept = ["drive", "targets"] if number == N * N else ["drive", "targets", "weights"]
    synapses = table_of(experiment, number)
    write_folder(tmp_path / "data", {name: experiment[name] for name in kept}, synapses)
    code, out, error = command("identify", "data")
    assert code == 0, error
    assert f"with {number} changes of weights" in " ".join(out.split())
    assert "linearized-reparameterized, confidence" in out


def test_synapses_may_be_arrays(command, experiment):
    columns = {name: column.to_numpy() for name, column in table_of(experiment, 40).items()}
    arrays = {name: experiment[name] for name in ("weights", "drive", "targets")}
    np.savez("data.npz", **arrays, **columns)
    code, out, _ = command("identify", "data.npz")
    assert code == 0
    assert "with 40 changes of weights" in " ".join(out.split())


@pytest.mark.parametrize("format", [2, 3])
def test_a_zarr_group_says_what_the_same_arrays_do(command, experiment, tmp_path, format):
    columns = {name: column.to_numpy() for name, column in table_of(experiment, 40).items()}
    arrays = {**{name: experiment[name] for name in ("weights", "drive", "targets")}, **columns}
    np.savez("data.npz", **arrays)
    group = zarr.open_group("data.zarr", mode="w", zarr_format=format)
    for name, array in arrays.items():
        group.create_array(name, data=array)
    group.create_array("notes", data=np.arange(3))
    for data in ("data.npz", "data.zarr"):
        assert command("identify", data, "--out", data.replace(".", "_"))[0] == 0
    npz, of_group = (tmp_path / f"data_{kind}" / "identification.csv" for kind in ("npz", "zarr"))
    assert npz.read_text() == of_group.read_text()


def test_nothing_is_unpickled_from_a_zarr_group(command, experiment):
    group = zarr.open_group("data.zarr", mode="w", zarr_format=2)
    for name, array in experiment.items():
        group.create_array(name, data=array, filters=[Pickle()] if name == "drive" else None)
    with mock.patch("pickle.loads", side_effect=AssertionError("unpickled")):
        code, _, error = command("identify", "data.zarr")
    assert code == 2
    assert "cannot be read as zarr" in error


def colony(number: int):
    """Return a folder's arrays for each animal, and a long table of half of their synapses."""
    folders, tables = {}, []
    for animal in range(number):
        W, drive, target = (random(*shape, seed=90 + animal) for shape in ((N, N), (B, N), (B, N)))
        W = 0.1 * W
        fp = rn.find_fixed_points(rn.Network("rate", W), drive)
        after = W + plasticity.Euclidean().update(fp, fp.rates - target.flip(0), 0.01)
        folders[f"m{animal}"] = {"weights": W.numpy(), "drive": drive.numpy(),
                                 "targets": target.flip(0).numpy()}  # fmt: skip
        table = table_of({"weights": W.numpy(), "weights_after": after.numpy()}, N * N // 2)
        tables.append(table.assign(animal=f"m{animal}"))
    return folders, pd.concat(tables)


def test_animals_in_a_long_table_are_told_apart(command, tmp_path):
    folders, table = colony(6)
    (tmp_path / "data").mkdir()
    for name, arrays in folders.items():
        write_folder(tmp_path / "data" / name, arrays)
    table.to_csv("observed.csv", index=False)
    code, out, error = command(
        "identify", "data", "--observed", "observed.csv", "--rules", "euclidean,hebb"
    )
    assert code == 0, error
    assert "euclidean, confidence" in out
    assert "Named by one animal alone: euclidean in 6 of 6." in " ".join(out.split())
    folder = tmp_path / "identified"
    frequencies = pd.read_csv(folder / "frequencies.csv", index_col="rule")
    np.testing.assert_allclose(frequencies["frequency"], [0.7, 0.1, 0.1, 0.1], atol=1e-2)
    assert pd.read_csv(folder / "animals.csv")["rule"].tolist() == ["euclidean"] * 6
    assert pd.read_csv(folder / "evidence.csv", index_col="animal").shape == (6, 4)
    assert json.loads((folder / "summary.json").read_text())["rule"] == "euclidean"
    assert imread(folder / "frequencies.png").std() > 0.05
    record = tomllib.loads((folder / "config.toml").read_text())["identify"]
    assert record["observed"] == "observed.csv"
    for name in folders:  # the same tables, each in the folder of its animal
        own = table[table["animal"] == name].drop(columns="animal")
        own.to_csv(tmp_path / "data" / name / "synapses.csv", index=False)
    rules = ("--rules", "euclidean,hebb", "--out", "again")
    assert command("identify", "data", *rules)[0] == 0
    assert (tmp_path / "again" / "evidence.csv").read_text() == (
        folder / "evidence.csv"
    ).read_text()


def test_animals_that_share_their_network_may_be_arrays(command, experiment, tmp_path):
    one = table_of(experiment, N * N)
    shared = {name: experiment[name] for name in ("drive", "targets")}
    table = pd.concat([one.assign(animal=name, session=1) for name in ("a\x1b[31m", "b")])
    columns = {name: np.array(column.to_list()) for name, column in table.items()}
    np.savez("data.npz", **shared, **columns)  # the weights follow from the complete table
    code, out, error = command("identify", "data.npz")
    assert code == 0, error
    assert "linearized-reparameterized in 2 of 2" in " ".join(out.split())
    assert "\x1b" not in out
    np.savez("one.npz", **shared, **{name: column[: N * N] for name, column in columns.items()})
    code, out, error = command("identify", "one.npz", "--out", "one")  # one animal: its own verdict
    assert code == 0, error
    assert "linearized-reparameterized, confidence" in out


def test_a_table_of_rates_stands_in_for_the_folders_weights(command, experiment, tmp_path):
    write_folder(tmp_path / "data", experiment)
    stimulus, unit = np.divmod(np.arange(B * N), N)
    before, after = (experiment[f"rates_{when}"].ravel() for when in ("before", "after"))
    table = pd.DataFrame({"stimulus": stimulus, "unit": unit, "before": before, "after": after})
    table.to_csv("rates.csv", index=False)
    code, out, error = command("identify", "data", "--observed", "rates.csv")
    assert code == 0, error
    assert f"with {B * N} changes of rates" in " ".join(out.split())
    assert command("identify", "data", "--kind", "rates", "--out", "matrices")[0] == 0
    found, expected = (
        pd.read_csv(tmp_path / folder / "identification.csv", index_col="rule")
        for folder in ("identified", "matrices")
    )
    pd.testing.assert_frame_equal(found, expected)
    assert "no measurements found" in command(
        "identify", "data", "--observed", "rates.csv", "--kind", "weights", "--out", "none"
    )[2]  # fmt: skip


def test_mistakes_in_long_tables_are_one_sentence(command, experiment, tmp_path):
    folders, table = colony(2)
    (tmp_path / "data").mkdir()
    for name, arrays in folders.items():
        write_folder(tmp_path / "data" / name, arrays)

    def refused(table, *options):
        table.to_csv("observed.csv", index=False)
        code, _, error = command("identify", "data", "--observed", "observed.csv", *options)
        assert code == 2
        return error

    assert "animal m0: expected each synapse once" in refused(pd.concat([table, table]))
    assert "network: expected one for animal m7" in refused(table.assign(animal="m7"))
    assert "a table with the columns post, pre or stimulus, unit" in refused(table[["animal"]])
    assert "column error: expected finite numbers above 0" in refused(table.assign(error=0))
    two = pd.concat([table.assign(session=1), table.assign(session=2)])
    assert "expected two animals or more" in refused(two[two["animal"] == "m0"])
    assert "no measurements found" in refused(table, "--kind", "rates")
    code, _, error = command("identify", "data", "--observed", "nowhere.csv")
    assert (code, "nowhere.csv' cannot be read as CSV" in error) == (2, True)


def test_nothing_beyond_chance_is_no_failure(command, experiment, tmp_path):
    experiment["weights_after"] = experiment["weights"] + random(N, N, seed=84).numpy()
    np.savez("data.npz", **experiment)
    code, out, _ = command("identify", "data.npz")
    assert code == 0
    assert "No rule is named" in out
    summary = json.loads((tmp_path / "identified" / "summary.json").read_text())
    assert summary["rule"] is None


def without(arrays, *names):
    return {name: array for name, array in arrays.items() if name not in names}


def test_mistakes_in_files_are_one_sentence(command, experiment, tmp_path):
    def refused(arrays, *options):
        np.savez("data.npz", **arrays)
        code, _, error = command("identify", "data.npz", *options)
        assert code == 2
        return error

    assert "drive is missing" in refused(without(experiment, "drive"))
    assert "weights is missing" in refused(without(experiment, "weights"))
    assert "provide synapses, or weights_after; or rates_before and rates_after" in refused(
        without(experiment, "weights_after", "rates_after")
    )
    only_rates = without(experiment, "weights_after")
    assert "provide synapses, or weights_after" in refused(only_rates, "--kind", "weights")
    assert "it needs errors" in refused(without(experiment, "targets"))
    assert "'weights' or 'rates', got 'spikes'" in refused(experiment, "--kind", "spikes")
    assert "Unknown rule 'hepp'" in refused(experiment, "--rules", "hepp")
    few = table_of(experiment, 50)
    columns = {name: column.to_numpy() for name, column in few.items()}
    assert "synapses lists 50 of 256 weights" in refused(
        {**without(experiment, "weights", "weights_after"), **columns}
    )
    assert "arrays of one length" in refused({**experiment, **columns, "pre": np.arange(3)})
    assert "expected the columns post, pre, before, after" in refused(
        {**experiment, **without(columns, "after")}
    )
    assert "does not exist" in command("identify", "nowhere")[2]
    (tmp_path / "data.zarr.txt").write_text("")
    assert "expected a folder with weights" in command("identify", "data.zarr.txt")[2]
    (tmp_path / "broken.npz").write_text("no archive")
    assert "cannot be read as .npz" in command("identify", "broken.npz")[2]
    (tmp_path / "broken.zarr").mkdir()
    for broken in ("no JSON", "[]", "5"):
        (tmp_path / "broken.zarr" / "zarr.json").write_text(broken)
        assert "cannot be read as zarr" in command("identify", "broken.zarr")[2]
    with mock.patch.object(zarr, "__version__", "3.0.10"):
        assert "needs zarr 3.1 or later" in command("identify", "broken.zarr")[2]
    zarr.open_group("nested.zarr", mode="w").create_group("weights")
    assert "weights: expected an array, got a group" in command("identify", "nested.zarr")[2]
    write_folder(tmp_path / "folder", without(experiment, "drive"))
    (tmp_path / "folder" / "drive.csv").write_text("a,b\n1,2\n")
    assert "expected rows of numbers" in command("identify", "folder")[2]
    (tmp_path / "folder" / "drive.csv").write_text("")
    assert "cannot be read as CSV" in command("identify", "folder")[2]


def test_power_writes_tables_and_figures(command, tmp_path):
    code, out, error = command(
        "power", "--rules", "euclidean,hebb", "--units", "8,10", "--stimuli", 5, "--observed",
        "20,all", "--noise", "0.1", "--experiments", 3, "--seed", 2,
    )  # fmt: skip
    assert code == 0, error
    assert len(out.splitlines()) == 4 + 2
    folder = tmp_path / "power"
    table, accuracy = (pd.read_csv(folder / f"{name}.csv") for name in ("power", "accuracy"))
    assert sorted(table["observed"].unique()) == [20, 64, 100]
    assert (table.groupby(["units", "observed", "truth"])["count"].sum() == 3).all()
    assert set(accuracy["truth"]) == {"any rule", "euclidean", "hebb", "none"}
    record = tomllib.loads((folder / "config.toml").read_text())["power"]
    assert record["observed"] == [20, "all"]
    assert (record["seed"], record["experiments"], record["rules"][1]) == (2, 3, "hebb")
    for name in ("power", "confusion"):
        assert imread(folder / f"{name}.png").std() > 0.05


def test_power_takes_ones_own_design(command, experiment, tmp_path):
    write_folder(tmp_path / "data", {n: experiment[n] for n in ("weights", "drive", "targets")})
    code, out, error = command(
        "power", "--data", "data", "--rules", "euclidean,hebb", "--others", "oja", "--animals",
        "1,2", "--weight-error", 0.1, "--correlation", 0.2, "--steps", 2, "--experiments", 2,
        "--noise", 0.5,
    )  # fmt: skip
    assert code == 0, error
    assert f"{N} units, {B} stimuli, {N * N} synapses observed" in " ".join(out.split())
    accuracy = pd.read_csv(tmp_path / "power" / "accuracy.csv")
    assert set(accuracy["truth"]) == {"any rule", "euclidean", "hebb", "oja", "none"}
    assert set(accuracy["animals"]) == {1, 2}
    record = tomllib.loads((tmp_path / "power" / "config.toml").read_text())["power"]
    assert (record["data"], record["units"], record["others"]) == ("data", [N], ["oja"])
    assert (record["steps"], record["weight_error"], record["correlation"]) == (2, 0.1, 0.2)
    python = power(
        ["euclidean", "hebb"], others=["oja"], network=rn.Network("rate", experiment["weights"]),
        drive=experiment["drive"], target=experiment["targets"], animals=[1, 2], weight_error=0.1,
        correlation=0.2, steps=2, experiments=2, noise=0.5,
    )  # fmt: skip
    assert pd.read_csv(tmp_path / "power" / "power.csv")["count"].tolist() == (
        python.table["count"].tolist()
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--data", "nowhere"], "'nowhere' does not exist"),
        (["--animals", "0"], "animals: expected a whole number of at least 1, got 0"),
        (["--others", "hepp"], "Unknown rule 'hepp'"),
        (["--weight-error", "2"], "weight_error: expected a number from 0 to below 1, got 2.0"),
        (["--steps", "0"], "steps: expected a whole number of at least 1, got 0"),
        (["--units", "9999999"], "units: a design of 9,999,999 units"),
        (["--units", "8,many"], "units: expected whole numbers, separated by commas, got '8,many'"),
        (["--noise", "low"], "noise: expected numbers, separated by commas, got 'low'"),
        (["--rules", "hebb"], "rules: expected two or more to tell apart"),
        (["--observed", "5"], "observed: expected a whole number of at least 10, got 5"),
        (["--seed", -1], "seed: expected a whole number from 0"),
    ],
)
def test_mistakes_of_power_are_one_sentence(command, arguments, sentence):
    code, _, error = command("power", *arguments)
    assert code == 2
    assert sentence in error


def test_the_page_runs(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # it writes files
    names = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        exec(compile(block, "docs/identify.md", "exec"), names)
    said = capsys.readouterr().out
    assert names["found"].rule == "linearized-reparameterized"
    assert "\nlinearized-reparameterized\n" in said  # from the rates
    assert [len(design) for design in (names["group"].animals, names["plan"].designs())] == [6, 2]


def test_the_page_names_files_and_options_that_exist(command):
    for link in re.findall(r"\]\(([\w./-]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / link).exists()
    for line in re.findall(r"^ratenet .+$", PAGE, flags=re.MULTILINE):
        name, *options = line.split()[1:]
        code, said, _ = command(name, "--help")
        assert code == 0
        assert all(option in said for option in options if option.startswith("--"))
