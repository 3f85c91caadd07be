"""Two rules on the same stream: each side is the run that `ratenet train` would make."""

import math

import pytest
import torch

import ratenet as rn
from ratenet.app.controls import as_query, from_query
from ratenet.app.learning import Learning, LearningControls, rule_names
from ratenet.app.messages import learned_message, spectra_message
from ratenet.errors import InputError, UnknownNameError

CONFIG = rn.TrainingConfig(units=30, batch_size=1000, presentation="static")  # 4 steps an epoch


@pytest.fixture(scope="module")
def images():
    return rn.stimuli.load_images("mnist-5k")


@pytest.fixture(scope="module")
def learned(images):
    learning = Learning(CONFIG, images, LearningControls(right="hebb", right_rate=0.05))
    return learning, [learning.advance() for _ in range(5)]


@pytest.mark.parametrize("side, rule, rate", [(0, None, 0.25), (1, "hebb", 0.05)])
def test_each_side_takes_the_steps_of_train(tmp_path, images, learned, side, rule, rate):
    config = rn.TrainingConfig(
        units=30, batch_size=1000, presentation="static", epochs=2, data=images,
        rule=rule, learning_rate=rate, evaluate_every=1,
    )  # fmt: skip
    metrics = rn.train(config, out=tmp_path / "run").metrics
    rows = [both[side] for both in learned[1]]
    assert [row.accuracy for row in rows] == pytest.approx(metrics["train_accuracy"][:5].tolist())
    gains = metrics["abscissa_mean_gain"][:5].tolist()
    assert [row.abscissa for row in rows] == pytest.approx(gains, rel=1e-4)
    assert rows[3].test == pytest.approx(metrics["test_accuracy"][3])
    assert math.isnan(rows[2].test) and rows[4].step == 5


def test_both_begin_with_the_same_weights_and_part(images):
    begun = Learning(CONFIG, images)
    W = [side.run.network.connectivity.dense() for side in begun._sides]
    assert torch.equal(*W)
    assert begun.advance()[0].accuracy == begun._sides[1]._rows[0].accuracy
    W = [side.run.network.connectivity.dense() for side in begun._sides]
    assert not torch.equal(*W)


def test_eigenvalues_are_those_at_the_fixed_point_of_the_first_test_image(learned):
    learning, _ = learned
    run = learning._sides[0].run
    fp = rn.find_fixed_points(run.network, run.classifier.drive(run.images.test.pixels[:1]))
    assert torch.allclose(learning.eigenvalues()[0].real.max(), fp.eigenvalues(0).real.max())


def test_a_rule_that_destabilizes_stops_with_a_sentence_and_the_other_goes_on(images):
    learning = Learning(CONFIG, images, LearningControls(right="mirror-descent", right_rate=2.0))
    for _ in range(6):
        left, right = learning.advance()
    assert "did not settle" in right.note and not right.fresh
    assert left.fresh and not left.note and not learning.is_over


def test_table_has_a_row_for_each_side_and_step(learned):
    table = learned[0].table()
    assert len(table) == 10
    assert table["rule"].unique().tolist() == ["linearized-reparameterized", "hebb"]


def test_messages_are_plain(learned):
    learning, rows = learned
    assert learned_message(rows[-1])[1]["step"] == 5
    assert len(spectra_message(learning.eigenvalues())[0]) == 30


def test_rules_go_into_the_address_and_come_back():
    moved = LearningControls(right="oja", left_rate=0.5)
    query = as_query(moved, LearningControls())
    assert query == "right=oja&left_rate=0.5"
    assert from_query(LearningControls(), {"right": "oja", "left_rate": "0.5"}) == moved


@pytest.mark.parametrize("name", ["hebbb", "/etc/x.py:rule", "os:path", "oja(eta=2)", ""])
def test_only_ratenet_s_own_rules_are_taken_from_an_address(name):
    with pytest.raises(UnknownNameError, match="Unknown left rule"):
        from_query(LearningControls(), {"left": name})
    with pytest.raises(InputError, match="left_rate"):
        from_query(LearningControls(), {"left_rate": "1e9"})


def test_all_rules_are_offered():
    assert set(rule_names()) >= {"euclidean", "linearized-reparameterized", "hebb", "frozen"}
