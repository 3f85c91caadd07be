"""The examples: each runs in a folder of its own, says what it found, and saves its figure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

FOLDER = Path(__file__).parents[2] / "examples"
GALLERY = FOLDER.parent / "docs" / "gallery"


def run(name, folder):
    """Return what an example prints; fail with its traceback."""
    script = FOLDER / f"{name}.py"
    done = subprocess.run(
        [sys.executable, script, "figure.png"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert imread(folder / "figure.png").std() > 0.05  # something is drawn
    shown = GALLERY / f"{name}.txt"
    if shown.is_file():
        said = without_numbers(done.stdout)
        assert said == without_numbers(shown.read_text()), f"python docs/gallery.py {name}"
    return done.stdout


def without_numbers(text):
    """Return a text with each number as #: the last digits differ between machines."""
    return re.sub(r"[-+]?\d[\d.]*(?:e[-+]?\d+)?", "#", text)


def test_the_gallery_has_figure_and_output_of_examples_that_exist():
    figures = sorted(GALLERY.glob("*.png"))
    assert len(figures) >= 10
    for figure in figures:
        assert (FOLDER / f"{figure.stem}.py").is_file(), figure
        assert imread(figure).std() > 0.05
        assert figure.with_suffix(".txt").stat().st_size > 20


@pytest.mark.slow
@pytest.mark.brian2
def test_one_model_two_backends(tmp_path):
    said = run("01_one_model_two_backends", tmp_path)
    assert float(re.search(r"time: (\S+) Hz", said)[1]) < 1e-11


@pytest.mark.slow
def test_paradoxical_inhibition(tmp_path):
    said = run("02_paradoxical_inhibition", tmp_path)
    slopes = [float(found) for found in re.findall(r"= ([+-]\S+)", said)]
    assert slopes == pytest.approx([-4 / 7, 2 / 19], abs=1e-4)


@pytest.mark.slow
def test_contrast_and_surround(tmp_path):
    said = run("03_ssn_contrast_and_surround", tmp_path)
    ratios = [float(found) for found in re.findall(r"= (0\.\d+|1\.\d+)", said)]
    indices = [float(found) for found in re.findall(r"index (\S+)", said)]
    assert ratios == pytest.approx([1.34, 0.65], abs=0.01)
    assert indices[1:] == pytest.approx([0.34, 0.70], abs=0.01)


@pytest.mark.slow
def test_limit_cycle(tmp_path):
    said = run("04_wilson_cowan_limit_cycle", tmp_path)
    assert re.findall(r"(fold|Hopf) at P = (\S+)", said) == [
        ("fold", "1.087"), ("fold", "0.909"), ("Hopf", "1.879"),
    ]  # fmt: skip
    assert float(re.search(r"P = 1.25: (\S+) Hz", said)[1]) == pytest.approx(25.0, abs=0.2)


@pytest.mark.slow
def test_how_slow_is_slow_enough(tmp_path):
    said = run("05_how_slow_is_slow_enough", tmp_path)
    first = re.search(
        r"0.01 +lag +(\S+) % +predicted +(\S+) % +left after correction +(\S+) %", said
    )
    assert [float(v) for v in first.groups()] == pytest.approx([1.82, 1.81, 0.0127], rel=0.02)


@pytest.mark.slow
def test_stop_and_resume(tmp_path):
    said = run("06_stop_and_resume", tmp_path)
    assert "Interrupted after step 25 of 60" in said
    assert "largest difference of a weight: 0\n" in said
    assert "metrics.csv the same: True" in said
    accuracies = re.search(r"test accuracy: (\S+) and (\S+)", said).groups()
    assert accuracies[0] == accuracies[1]
    assert float(accuracies[0]) > 0.4  # something was learned; chance is 0.1


@pytest.mark.slow
def test_train_slowly(tmp_path):
    said = run("07_train_slowly", tmp_path)
    accuracies = [float(found) for found in re.findall(r"test accuracy (\S+),", said)]
    assert len(accuracies) == 4
    assert min(accuracies) > 0.7
    assert re.findall(r"settled +(\S+) %", said) == ["100.0", "100.0", "0.0", "0.0"]


@pytest.mark.slow
def test_several_processes(tmp_path):
    said = run("08_several_processes", tmp_path)
    assert float(re.search(r"difference of a weight: (\S+)", said)[1]) < 1e-6
    assert said.count("'summary.json'") == 2


@pytest.mark.slow
def test_fixed_point_layer(tmp_path):
    said = run("09_fixed_point_layer", tmp_path)
    accuracies = [float(found) for found in re.findall(r"test accuracy (\S+),", said)]
    assert len(accuracies) == 2
    assert min(accuracies) > 0.85
    assert re.findall(r"unsettled samples (\d+)", said) == ["0", "0"]


@pytest.mark.slow
def test_which_rule(tmp_path):
    said = run("10_which_rule", tmp_path)
    cases = dict(re.findall(r"--- ([a-z ]+): (.+)", said))
    assert cases["synapses"] == "linearized-reparameterized, confidence 1.000."
    assert cases["rates"] == "linearized-reparameterized, confidence 1.000."
    assert cases["random changes"].startswith("No rule is named")
    assert "not among the candidates" in said.split("another rule")[1]
    assert "not among the candidates" not in said.split("another rule")[0]


@pytest.mark.slow
def test_compare_rules(tmp_path):
    said = run("11_compare_rules", tmp_path)
    number = r"([+-]\S+)"
    found = re.findall(rf"(\w+): euclidean less \S+ {number} \[{number}, {number}\]", said)
    intervals = {task: (float(low), float(high)) for task, _, low, high in found}
    assert intervals["teacher"][1] < -0.4
    assert intervals["association"][0] > 0.4
    assert "teacher: linearized-reparameterized at 1 highest" in said


@pytest.mark.slow
def test_flip_flop(tmp_path):
    said = run("12_flip_flop", tmp_path)
    assert float(re.search(r"correct answers (\S+) %", said)[1]) > 98
    assert "fixed points, 8 stable, and " in said
    assert float(re.search(r"largest spectral radius (\S+)", said)[1]) < 1
    assert "memories held: 8 of 8" in said
    points = int(re.search(r"(\d+) fixed points", said)[1])
    assert re.search(r"(\d+) settled, 8 stable in continuous time", said)[1] == str(points)
    saddles, of_one, edges = re.search(
        r"saddles: (\d+), with one unstable direction: (\d+), .* one bit: (\d+)", said
    ).groups()
    assert int(saddles) == points - 8
    assert int(of_one) >= int(edges) >= 7  # enough to reach each memory from each


@pytest.mark.slow
def test_several_animals(tmp_path):
    said = run("13_several_animals", tmp_path)
    cases = dict(re.findall(r"--- ([a-z ,]+): (.+)", said))
    assert cases["learning"].startswith("linearized-reparameterized, confidence")
    assert cases["drift, without controls"].startswith("hebb, confidence")
    assert cases["drift, with controls"].startswith("No rule is named")
    low, high = re.search(r"^linearized-reparameterized +\S+ +(\S+) +(\S+)$", said, re.M).groups()
    assert float(low) < 0.9 < float(high)
    assert "hebb in 1 of 10" in said


@pytest.mark.slow
def test_bcm_selectivity(tmp_path):
    said = run("14_bcm_selectivity", tmp_path)
    found = re.findall(r"selectivity (\S+) \((\S+) to (\S+)\), (\d+) classes", said)
    (before, *_), (after, least, _, preferred) = [[*map(float, each)] for each in found]
    assert before < 0.35
    assert after > 0.7
    assert least > 0.6
    assert preferred >= 4


def test_inhibitory_balance(tmp_path):
    said = run("15_inhibitory_balance", tmp_path)
    found = re.findall(r"rates (\S+) \+- (\S+), target \S+; correlation .* (\S+)$", said, re.M)
    (_, spread, untuned), (mean, narrow, tuned) = [[*map(float, each)] for each in found]
    assert abs(mean - 0.2) < 0.005
    assert narrow < 0.15 * spread
    assert abs(untuned) < 0.05
    assert tuned > 0.98
