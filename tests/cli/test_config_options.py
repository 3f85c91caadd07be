"""Options of the command line come from the fields of a configuration."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ratenet.cli.config_options import split_list, takes_options_of
from ratenet.errors import InputError
from ratenet.layers.tables import TABLES
from ratenet.training import TrainingConfig
from ratenet.training.config_checks import times
from ratenet.training.config_file import training_schema
from ratenet.validation import descriptions


def asked(*arguments: str) -> dict[str, Any]:
    """Return what a command with the options of a training run gets."""
    app, found = typer.Typer(), {}

    @app.command()
    @takes_options_of(TrainingConfig, leave_out=("layers",))
    def command(own: str = "default", **options: Any) -> None:
        found.update(options, own=own)

    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return found


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        (("--epochs", "3", "--own", "x"), {"epochs": 3, "own": "x"}),
        (("--learning-rate", "1e-3"), {"learning_rate": 0.001}),
        (("--hold", "200"), {"hold": 0.2}),
        (("--hold", "0"), {"hold": 0.0}),
        (("--hold", "0.2*second"), {"hold": "0.2*second"}),
        (("--update-at", "continuous"), {"update_at": "continuous"}),
        (("--update-at", "0.25,1"), {"update_at": [0.25, 1]}),
        (("--learn", "read-in, read-out"), {"learn": ["read-in", "read-out"]}),
        (("--correct-lag",), {"correct_lag": True}),
        (("--no-correct-lag",), {"correct_lag": False}),
        (
            ("--schedule-options", "step_size=100,gamma=0.5,milestones=30:60,mode=min"),
            {"schedule_options": {
                "step_size": 100, "gamma": 0.5, "milestones": [30, 60], "mode": "min"
            }},
        ),
    ],
)  # fmt: skip
def test_an_option_is_read_as_its_field_takes_it(arguments, options) -> None:
    found = asked(*arguments)
    assert found == {"own": "default", **options}
    assert [type(value) for value in found.values()] == [
        type({"own": "default", **options}[name]) for name in found
    ]


def test_an_entry_without_a_value_is_refused() -> None:
    with pytest.raises(InputError, match="schedule_options: expected NAME=VALUE, .*, got 'a'"):
        asked("--schedule-options", "a")


@pytest.mark.parametrize("option", ["learn", "update_at"])
@pytest.mark.parametrize("value", ["", " ", ","])
def test_a_list_without_entries_is_refused(option: str, value: str) -> None:
    """It would have no effect."""
    with pytest.raises(InputError, match=f"{option}: expected one value or more"):
        asked("--" + option.replace("_", "-"), value)


def test_every_option_has_a_help_and_its_default() -> None:
    from ratenet.cli import app

    command = typer.main.get_command(app).commands["train"]
    options = {each.name: each for each in command.params}
    for field in dataclasses.fields(TrainingConfig):
        if field.name in ("layers", "matrix_product"):
            assert field.name not in options
            continue
        said = options[field.name].help
        assert said.startswith(descriptions(TrainingConfig)[field.name])
        is_shown = isinstance(field.default, str | int | float) and field.default is not False
        assert f"Default: {field.default}." in said or not is_shown
        assert ("In ms" in said) == (field.name in times(TrainingConfig))


def test_the_documentation_of_the_configuration_is_that_of_its_fields() -> None:
    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    assert [name for name in descriptions(TrainingConfig) if name in names] == names
    assert times(TrainingConfig) == ["tau", "hold", "fade", "eligibility", "adjoint_tau", "dt"]


def test_brackets_hold_a_list_together() -> None:
    assert split_list("a, b(c=1, d=2),e") == ["a", "b(c=1, d=2)", "e"]


@pytest.mark.slow
def test_the_options_are_known_without_torch() -> None:
    code = "import sys, ratenet.cli; sys.exit(any(m in sys.modules for m in ('torch', 'brian2')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_schema_of_training_files_holds_every_option() -> None:
    from ratenet.cli import app

    result = CliRunner().invoke(app, ["train", "--schema"])
    schema = json.loads(result.stdout)
    options = schema["properties"]["training"]["properties"]
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    assert set(options) == names - {"layers"}
    recorded = {"model", "data", "code", "versions", "machine"}
    assert set(schema["properties"]) == {"training", "layers"} | recorded
    assert (options["epochs"]["minimum"], options["epochs"]["default"]) == (1, 30)
    assert options["presentation"]["enum"] == ["slow", "static"]
    assert options["hold"]["description"].startswith("Presentation time of an image.")


@pytest.mark.parametrize("kind", TABLES)
def test_the_schema_of_training_files_holds_every_key_of_a_layer(kind: str) -> None:
    layers = training_schema()["properties"]["layers"]["items"]["oneOf"]
    (schema,) = [each for each in layers if each["properties"]["kind"]["const"] == kind]
    own = dataclasses.fields(TABLES[kind])
    needed = [each.name for each in own if each.default is each.default_factory]  # both missing
    assert set(schema["properties"]) == {"kind", *(each.name for each in own)}
    assert schema["required"] == ["kind", *needed]
    assert schema["additionalProperties"] is False
    assert all(each["description"] for each in schema["properties"].values())
