"""One door: objects, names with settings, tables, the user's own files and modules, packages."""

import pickle
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ratenet.equations import registry
from ratenet.equations.own_code import Parcel, sources_of
from ratenet.equations.recording import Recorded, recorded, without_folders
from ratenet.errors import InputError, UnknownNameError
from ratenet.plasticity import (
    RULES,
    AbstractRule,
    Euclidean,
    Hebb,
    MirrorDescent,
    Mixed,
    PNorm,
    Traits,
    TruncatedAdjoint,
    rule,
)

OWN = '''
"""Rules of somebody's own."""

import json
from dataclasses import dataclass

import ratenet as rn
from beside import GAIN

number = 3


@rn.plasticity.rule(metric="none")
def three_factor(fp, error, learning_rate):
    return -learning_rate * GAIN * error.T @ fp.rates / len(fp)


def undecorated(fp, error, learning_rate):
    return error


@dataclass(frozen=True)
class Mine(rn.plasticity.AbstractRule):
    terms: int
    gain: float = 1.0

    @property
    def traits(self):
        return rn.plasticity.Traits("none")

    def change(self, fp, error, learning_rate, loss=None):
        return fp.network.connectivity.accumulate(error, fp.rates)


def make(terms=2):
    return Mine(terms) if terms else 0


seven = Mine(7)
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("GAIN = 2")
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


@dataclass(frozen=True)
class Local(AbstractRule):
    """A rule of this module."""

    strength: float = 1.0

    @property
    def traits(self) -> Traits:
        return Traits("none")

    def change(self, fp, error, learning_rate, loss=None):
        return error


@pytest.mark.parametrize(
    ("ending", "shown"),
    [
        (":three_factor", "FunctionRule(name='three_factor')"),
        (":Mine(terms=3)", "Mine(terms=3, gain=1.0)"),
        (":make", "Mine(terms=2, gain=1.0)"),
        (":make(terms=4)", "Mine(terms=4, gain=1.0)"),
        (":seven", "Mine(terms=7, gain=1.0)"),
    ],
)
def test_what_a_file_holds_is_taken_and_written_so_that_it_is_read_again(
    own: Path, ending: str, shown: str
) -> None:
    found = RULES.read(f"{own}{ending}")
    assert repr(found) == shown
    assert RULES.names_own(RULES.written(found))
    assert RULES.read(RULES.written(found)) == found
    assert [source.text for source in sources_of(found)] == [OWN]


def test_sums_take_the_users_own(own: Path) -> None:
    found = RULES.read(f"0.5*{own}:Mine(terms=3, gain=2)+0.5*hebb")
    assert isinstance(found, Mixed)
    assert found.rules[1] == (0.5, Hebb())
    assert RULES.written(found) == f"0.5*{own}:Mine(terms=3, gain=2)+0.5*hebb"
    assert without_folders(RULES.written(found)) == "0.5*mine.py:Mine(terms=3, gain=2)+0.5*hebb"


def test_a_path_with_signs_of_the_grammar_is_quoted(own: Path) -> None:
    folder = own.parent / "a+b (2), c*"
    folder.mkdir()
    odd = folder / "mine.py"
    odd.write_text(
        "from ratenet.plasticity import Hebb\nmine = [Hebb()]\ndef make(): return mine[0]"
    )
    assert RULES.read(f"2*'{odd}':make") == Mixed(((2.0, Hebb()),))
    with pytest.raises(InputError, match="FILE.py:NAME|expected"):
        RULES.read(f"{odd}:make")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (TruncatedAdjoint(5), "truncated-adjoint(terms=5)"),
        (TruncatedAdjoint, "truncated-adjoint"),
        ({"name": "truncated-adjoint", "terms": 5}, "truncated-adjoint(terms=5)"),
        ({"name": "bptt", "duration": "50*ms"}, "bptt(duration=0.05)"),
        (Mixed(((0.5, Euclidean()), (1, Hebb()))), "0.5*euclidean+1.0*hebb"),
        ("2*hebb", "2.0*hebb"),
        (Local(), f"{__name__}:Local"),
        (Local(0.5), f"{__name__}:Local(strength=0.5)"),
    ],
)
def test_objects_and_tables_are_written_as_text(given: object, text: str) -> None:
    found = RULES.read(given)
    assert RULES.written(found) == text
    assert RULES.read(text) == found


def test_what_has_no_text_is_marked() -> None:
    @rule(metric="none")
    def inside(fp, error, learning_rate):
        return error

    assert RULES.written(inside) == "<FunctionRule(name='inside')>"
    assert RULES.written(MirrorDescent(PNorm(4.0))) == "<MirrorDescent(potential=PNorm(p=4.0))>"
    with pytest.raises(InputError, match="an object without a name; give the rule again"):
        RULES.read(Recorded("<FunctionRule(name='inside')>"))


@pytest.mark.parametrize(
    ("ending", "sentence"),
    [
        ("", "expected what in the file is meant, FILE.py:NAME"),
        (":nope", r"Unknown name in .*: 'nope'; available: .*three_factor.*seven"),
        (":number", r"number: expected a rule: its name, .*, got 3\."),
        (":undecorated", "expected a rule: .*decorated with.*; got a function"),
        (":Mine", r"the setting 'terms' is missing: write .*:Mine\(terms=\.\.\.\)\."),
        (":Mine(term=3)", "Unknown setting of rule .*'term'; did you mean 'terms'"),
        (":seven(gain=2)", "expected no settings for an object, got gain; leave them out"),
        (":make(terms=0)", "expected a rule: .*, got 0"),
        (":json", "expected a rule: .*got <module"),
    ],
)
def test_a_wrong_name_in_a_file_is_one_sentence(own: Path, ending: str, sentence: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=sentence) as caught:
        RULES.read(f"{own}{ending}")
    assert "\n" not in str(caught.value)
    assert "GAIN" not in str(caught.value) or ending == ":nope"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("x = 1\ny = x.z", r"cannot be imported \(line 2, AttributeError: 'int'"),
        ("x = (", r"cannot be imported \(line 1, SyntaxError: '\(' was never closed\)"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("x = '\xff'".encode("latin1"), "is not Python code in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_sentence(
    tmp_path: Path, content: str | bytes | None, sentence: str
) -> None:
    file, before = tmp_path / "broken.py", set(sys.modules)
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=sentence) as caught:
        RULES.read(f"{file}:x")
    assert str(caught.value).startswith("rule '")
    assert {name for name in set(sys.modules) - before if name.startswith("ratenet_own")} == set()


@pytest.mark.parametrize(
    "given", [3, None, [], {"name": 3}, {}, {"name": "2*hebb"}, "json:dumps", "no_module_x.y:z"]
)
def test_anything_else_is_one_sentence(given: object) -> None:
    with pytest.raises(InputError, match="rule"):
        RULES.read(given)


def test_a_file_that_was_edited_is_imported_anew(own: Path) -> None:
    before = RULES.read(f"{own}:make")
    own.write_text(OWN.replace("terms=2", "terms=9"))
    assert repr(before).startswith("Mine(terms=2")
    assert repr(RULES.read(f"{own}:make")).startswith("Mine(terms=9")


@pytest.mark.parametrize("given", ["{}:Mine(terms=3)", {"name": "{}:Mine", "terms": 3}])
def test_recorded_code_is_not_imported_by_itself(own: Path, given: object) -> None:
    text = str(given).replace("{}", str(own)) if isinstance(given, str) else given
    if isinstance(text, dict):
        text = {**text, "name": f"{own}:Mine"}
    own.write_text("raise SystemExit")
    marked = recorded(text)
    RULES.check(marked)  # which is no reason to refuse the rest of the configuration
    assert RULES.normal(marked) == marked
    with pytest.raises(InputError, match="not imported by itself; give the rule again .*--trust"):
        RULES.read(marked)
    assert RULES.read(Recorded("truncated-adjoint(terms=5)")) == TruncatedAdjoint(5)


class _Broken(EntryPoint):
    def load(self) -> object:
        raise ImportError("no such thing")


def test_packages_offer_rules_and_broken_ones_break_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = {
        "local": EntryPoint("local", f"{__name__}:Local", "ratenet.rules"),
        "broken": _Broken("broken", "nowhere:x", "ratenet.rules"),
    }
    monkeypatch.setattr(registry, "offered", lambda group: points)
    assert RULES.names[-2:] == ["local", "broken"]
    assert RULES.read("0.5*local(strength=2)+0.5*hebb").rules[0] == (0.5, Local(2))
    assert RULES.read(Recorded("local(strength=2)")) == Local(2)
    assert RULES.normal("local(strength=2)") == "local(strength=2)"
    sentence = r"rule broken: a package offers it and cannot be imported \(ImportError: no such"
    with pytest.raises(InputError, match=sentence):
        RULES.read("broken")
    with pytest.raises(UnknownNameError, match="Unknown rule 'locall'; did you mean 'local'"):
        RULES.read("locall")


def test_a_parcel_carries_the_code_to_another_process(own: Path) -> None:
    sent = pickle.dumps(Parcel([RULES.read(f"{own}:Mine(terms=3)"), Local(3)]))
    for name in [name for name in sys.modules if name.startswith("ratenet_own")]:
        del sys.modules[name]
    own.unlink()
    found = pickle.loads(sent).content
    assert repr(found) == "[Mine(terms=3, gain=1.0), Local(strength=3)]"
    with pytest.raises(InputError, match="rules: .* cannot be sent to other processes .*use one"):
        Parcel(lambda: None).check("rules")
