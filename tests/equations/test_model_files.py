"""load_model: by name, by path, back to a table; nothing is executed; the wheel."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tomli_w
from helpers.specs import EQUATIONS, table

from ratenet import load_model, model_names, plasticity_names
from ratenet.equations.files import models_folder, parse_model
from ratenet.equations.table import model_schema
from ratenet.errors import ModelError, RatenetWarning, UnknownNameError

REPOSITORY = Path(__file__).parents[2]


def test_the_shipped_models() -> None:
    expected = {"adaptation", "linear", "rate", "threshold_linear", "voltage"}
    assert expected <= set(model_names())
    assert model_names() == sorted(model_names())


@pytest.mark.parametrize("name", model_names())
def test_every_shipped_model_loads_and_bears_its_name(name: str) -> None:
    model = load_model(name)
    assert model.name == name
    assert model.title
    assert model.source
    assert model.states
    assert len(model.own_rates) == len(model.states)


@pytest.mark.parametrize("name", model_names())
def test_a_model_by_path_is_the_model_by_name(name: str) -> None:
    path = models_folder() / f"{name}.toml"
    assert load_model(path) == load_model(str(path)) == load_model(name)


@pytest.mark.parametrize("name", ["rat", "Rate", "", "../models/rate", "rate.json", "a\0b"])
def test_an_unknown_name_lists_the_models(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_model(name)
    sentence, listed = str(caught.value), ", ".join(model_names())
    assert sentence.startswith(f"Unknown model {name!r}; ")
    assert sentence.endswith(f"vailable: {listed}; or give the path of a .toml file.")


def test_a_misspelt_name_is_understood() -> None:
    with pytest.raises(UnknownNameError, match="'adaption'; did you mean 'adaptation'"):
        load_model("adaption")


@pytest.mark.parametrize("name", model_names())
def test_a_table_gives_the_model_again(name: str) -> None:
    model = load_model(name)
    assert parse_model(model.to_table()) == model


def test_a_table_can_be_written_and_read_as_toml(tmp_path: Path) -> None:
    model = parse_model(
        table(
            functions={"f": "b*tanh(n*u)"},
            parameters={"tau": ["10*ms", "20*ms"], "b": 0.5, "n": [1, 2]},
        )
    )
    path = tmp_path / "model.toml"
    path.write_text(tomli_w.dumps(model.to_table()), encoding="utf-8")
    assert load_model(path) == model


def test_functions_and_parameters_may_be_left_out() -> None:
    small = table(
        equations="dr/dt = (-r + I_rec + I_ext)*rate : 1\nrate = sqrt(4.0)*hertz_1 : hertz"
    )
    del small["functions"]
    small["parameters"] = {"hertz_1": "1*Hz"}
    assert parse_model(small).states == ("r",)
    del small["parameters"]
    with pytest.raises(ModelError, match="unknown name 'hertz_1'"):
        parse_model(small)


@pytest.mark.parametrize("key", ["equations", "output", "recurrent", "drive"])
def test_each_text_is_needed(key: str) -> None:
    without = table()
    del without[key]
    with pytest.raises(ModelError, match=f"{key}: missing; expected a non-empty string"):
        parse_model(without)


def test_name_title_and_source_may_be_left_out() -> None:
    without = table()
    del without["title"], without["source"]
    model = parse_model(without)
    assert (model.title, model.source, model.heading) == ("test", "", "test")
    del without["name"]
    assert parse_model(without).name == "model"


def test_a_file_that_begins_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (models_folder() / "rate.toml").read_bytes())
    assert load_model(path) == load_model("rate")


@pytest.mark.parametrize(("name", "hint"), [("taus", "did you mean 'tau'? "), ("gain_of_all", "")])
def test_a_parameter_that_nothing_uses_is_warned_of(tmp_path: Path, name: str, hint: str) -> None:
    path = tmp_path / "model.toml"
    path.write_text(tomli_w.dumps(table(parameters={"tau": "10*ms", name: "20*ms"})))
    with pytest.warns(RatenetWarning) as caught:
        load_model(path)
    (warning,) = caught
    assert str(warning.message) == (
        f"{path}: parameters, {name}: never used; {hint}Use it or delete it."
    )


def test_parameters_are_used_in_functions_output_and_subexpressions() -> None:
    model = parse_model(
        table(
            equations=EQUATIONS + "\nunseen = c : 1",
            output="d*r",
            functions={"f": "a*u", "g": "b*u"},
            parameters={"tau": "10*ms", "a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "e_": 1.0},
        )
    )
    assert model.unused_parameters == ("e_",)


def test_the_schema_of_model_files_agrees_with_what_is_loaded() -> None:
    schema = model_schema()
    keys = set(load_model("wilson_cowan").to_table())
    assert set(schema["properties"]) == keys
    assert set(schema["required"]) == {"equations", "output", "recurrent", "drive"}
    assert schema["additionalProperties"] is False
    assert all(schema["properties"][key]["description"] for key in keys)
    sizes = schema["properties"]["populations"]["additionalProperties"]["anyOf"]
    assert [size["type"] for size in sizes] == ["integer", "number"]


CODE = "__import__('pathlib').Path('executed').touch()"


@pytest.mark.parametrize(
    "change",
    [
        {"functions": {"f": CODE}},
        {"parameters": {"tau": CODE}},
        {"output": CODE},
        {"recurrent": CODE},
        {"equations": f"dr/dt = {CODE} : 1"},
        {"equations": f"dr/dt = (-r + I_rec + I_ext)/tau : {CODE}"},
    ],
    ids=["function", "parameter", "output", "role", "equation", "unit"],
)
def test_no_text_is_executed(
    change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError):
        parse_model(table(**change))
    assert not Path("executed").exists()


# The wheel -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel without network: hatchling is installed beside the tests."""
    pytest.importorskip("hatchling", reason="building the wheel offline needs hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
    done = subprocess.run(build, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_every_model(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"ratenet/models/{name}.toml" for name in model_names()} <= names
    assert {f"ratenet/models/plasticity/{name}.toml" for name in plasticity_names()} <= names


@pytest.mark.slow
def test_an_installed_package_finds_its_models_beside_no_repository(
    wheel: Path, tmp_path: Path
) -> None:
    unpacked, elsewhere = tmp_path / "unpacked", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    code = (
        "import ratenet, ratenet.equations.files as m; print(ratenet.__file__); "
        "print(m.models_folder()); print(ratenet.load_model('rate').name); "
        "print(ratenet.load_plasticity('oja').name)"
    )
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    package = unpacked.resolve() / "ratenet"
    assert done.stdout.splitlines() == [
        str(unpacked / "ratenet" / "__init__.py"),
        str(package / "models"),
        "rate",
        "oja",
    ]
