"""What the command line answers without torch and Brian2, and that it says the same as they do."""

import json
import subprocess
import sys

import pytest

from ratenet.cli.names import KNOWN, check_name
from ratenet.equations import load_model, load_plasticity
from ratenet.equations.files import MODELS, PLASTICITY
from ratenet.equations.shipped import (
    model_names,
    models_folder,
    plasticity_folder,
    plasticity_names,
    text_of_shipped,
)
from ratenet.errors import UnknownNameError
from ratenet.hypotheses.tasks import TASKS
from ratenet.plasticity import RULES
from ratenet.reproduce import FIGURES, TRAINED
from ratenet.stimuli import DATA, STIMULI
from ratenet.training.losses import LOSSES

REGISTRIES = {"rule": RULES, "data": DATA, "stimulus": STIMULI, "loss": LOSSES, "task": TASKS}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_an_unknown_name_is_told_as_the_registry_tells_it(kind: str) -> None:
    registry = REGISTRIES[kind]
    for name in registry.names:
        check_name(kind, name)
    with pytest.raises(UnknownNameError) as known:
        check_name(kind, "nope")
    with pytest.raises(UnknownNameError) as read:
        registry.maker("nope")
    assert str(known.value) == str(read.value)


@pytest.mark.parametrize(("kind", "load"), [("model", load_model), ("plasticity", load_plasticity)])
def test_an_unknown_model_or_rule_is_told_as_loading_tells_it(kind: str, load) -> None:
    with pytest.raises(UnknownNameError) as known:
        check_name(kind, "nope")
    with pytest.raises(UnknownNameError) as loaded:
        load("nope")
    assert str(known.value) == str(loaded.value)


def test_all_figures_are_known() -> None:
    assert [*KNOWN["figure"].names()] == [*FIGURES, *TRAINED]


@pytest.mark.parametrize(
    ("kind", "word"),
    [("rule", "0.5*hebb+0.5*oja"), ("rule", "own.py:Rule"), ("rule", "oja(decay=2)"),
     ("rule", None), ("model", "nope.toml"), ("data", "nope.npz"), ("data", 3)],
)  # fmt: skip
def test_only_plain_words_are_looked_at(kind: str, word: object) -> None:
    check_name(kind, word)


def test_a_folder_is_data(tmp_path, monkeypatch) -> None:
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    check_name("data", "photos")


def test_what_is_shipped_is_shown_as_it_is_printed_when_it_is_read() -> None:
    for name in model_names():
        assert text_of_shipped(models_folder(), name) == str(MODELS.read(name))
    for name in plasticity_names():
        assert text_of_shipped(plasticity_folder(), name) == str(PLASTICITY.read(name))


ANSWERED = {
    "--help": 0,
    "models": 0,
    "models adaptation": 0,
    "models nope": 2,
    "plasticity": 0,
    "plasticity bcm": 0,
    "plasticity nope": 2,
    "simulate nope": 2,
    "fixed-points nope": 2,
    "evaluate nope": 2,
    "train --help": 0,
    "train --rule nope": 2,
    "train --data nope": 2,
    "train --model nope": 2,
    "train --stimulus nope": 2,
    "train --epochs x": 2,
    "train --epochs -1": 2,
    "compare --rules euclidean,nope": 2,
    "compare --tasks nope": 2,
    "identify data --rules nope": 2,
    "power --rules nope": 2,
    "reproduce nope": 2,
}
COMMANDS = """
import json, sys
from ratenet.cli import main
for words, code in json.loads(sys.argv[1]).items():
    sys.argv = ["ratenet", *words.split()]
    try:
        main()
    except SystemExit as exit:
        assert exit.code == code, (words, exit.code)
    slow = {"torch", "brian2", "sympy", "pandas", "matplotlib"} & {*sys.modules}
    assert not slow, (words, slow)
"""


@pytest.mark.slow
def test_torch_and_brian2_are_not_imported_for_lists_and_slips(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(ANSWERED)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
