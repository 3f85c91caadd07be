"""A trained run that is shown images: every number is the library's own."""

import math

import pytest
import torch

import ratenet as rn
from ratenet.app.controls import Controls, as_query, from_query
from ratenet.app.messages import as_json, examined_message, facts_of, frame_message
from ratenet.app.settling import Settling, controls_of
from ratenet.errors import InputError
from ratenet.quasi_static import predict_lag


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run of 40 units that has learned a little."""
    config = rn.TrainingConfig(epochs=1, units=40, batch_size=500, presentation="static")
    out = tmp_path_factory.mktemp("runs") / "run"
    rn.train(config, out=out, show_progress=False)
    return rn.load_run(out)


@pytest.fixture(scope="module")
def digits():
    return rn.stimuli.load_images("mnist-5k").test


def settled(session, seconds=8.0):
    """Return the frame after some seconds on the screen."""
    for _ in range(round(seconds / 0.4)):
        frame = session.advance(0.4)  # two time constants, the most that a frame shows
    return frame


def test_rates_come_to_the_fixed_point_of_the_image_shown(run, digits):
    session = Settling(run, digits)
    session.show(7)
    frame = settled(session)
    fp = run.respond(digits[7:8])
    assert torch.allclose(frame.rates, fp.rates[0], atol=1e-4)
    assert torch.allclose(frame.target, fp.rates[0], atol=1e-4)
    assert frame.answer == int(run.answer(digits[7:8]).argmax())
    assert frame.label == int(digits.labels[7])
    assert torch.allclose(frame.confidence, run.answer(digits[7:8]).softmax(1)[0], atol=1e-4)
    assert frame.distance < 1e-4 and frame.predicted == 0
    assert frame.residual < 1e-4


def test_drawing_a_stored_digit_gives_the_answer_to_it(run, digits):
    agree = 0
    for n in range(0, len(digits), len(digits) // 8):
        session = Settling(run, None, Controls(fade=0))
        session.draw(digits.pixels[n].tolist())
        agree += settled(session, 4.0).answer == int(run.answer(digits[n : n + 1]).argmax())
    assert agree >= 7  # placed anew by a pixel, one may change sides


def test_predicted_lag_is_that_of_the_library_while_images_fade(run, digits):
    session = Settling(run, digits, Controls(hold=1, fade=50, speed=5))
    for _ in range(20):
        frame = session.advance(0.4)
    read_in, t = session._read_in, session.time
    fp = rn.find_fixed_points(session.network, read_in.at(t))
    dt = session.network.shortest_time_constant() / 20
    lag = predict_lag(fp, (read_in.at(t + dt) - read_in.at(t - dt)) / (2 * dt)).rates
    assert frame.predicted == pytest.approx(float(lag.norm() / fp.rates.norm()), rel=1e-2)
    assert frame.distance == pytest.approx(frame.predicted, rel=0.2)  # a slow fade


@pytest.mark.parametrize("name, value", [("weight_scale", 0.5), ("gain", 2.0)])
def test_sliders_move_the_fixed_point(run, digits, name, value):
    session = Settling(run, digits, Controls(**{name: value}))
    session.show(0)
    W, drive = run.network.connectivity.dense(), run.learner.drive(digits.pixels[:1])
    network = run.network.changed(W=W * (value if name == "weight_scale" else 1))
    fp = rn.find_fixed_points(network, drive * (value if name == "gain" else 1))
    assert torch.allclose(settled(session).rates, fp.rates[0], atol=1e-4)


def test_tau_slows_the_network_and_moves_no_fixed_point(run, digits):
    sessions = [Settling(run, digits, Controls(tau=tau)) for tau in (10, 40)]
    for session in sessions:
        session.show(3)
    fast, slow = (settled(session) for session in sessions)
    assert slow.time == pytest.approx(4 * fast.time)
    assert torch.allclose(fast.rates, slow.rates, atol=1e-4)
    assert slow.reached == pytest.approx(4 * fast.reached, abs=0.02)


def test_noise_moves_the_rates_about_the_fixed_point_of_the_clean_image(run, digits):
    session = Settling(run, digits, Controls(noise=0.5))
    session.show(3)
    frame = settled(session)
    clean = run.respond(digits[3:4]).rates[0]
    assert torch.allclose(frame.target, clean, atol=1e-4)
    assert frame.distance > 0.01
    assert not torch.equal(frame.drive, session._read_in.at(session.time)[0])


def test_strong_weights_are_seen_as_unstable(run, digits):
    growth = float(torch.linalg.eigvals(run.network.connectivity.dense()).real.max())
    session = Settling(run, digits)
    for scale in (1.0, 4.0):  # without a drive, zero is a fixed point at any weights
        session.move(Controls(weight_scale=scale, gain=0))
        session.advance(0.2)
        found = session.examine()
        assert found.abscissa == pytest.approx((scale * growth - 1) / 0.01, rel=1e-3)
        assert found.at_fixed_point
    assert found.abscissa > 0 and not found.converged
    assert found.sentence.startswith("Unstable. The state is an unstable fixed point")


def test_where_nothing_settles_the_sentence_says_so(run, digits):
    session = Settling(run, digits, Controls(weight_scale=5))
    session.show(0)
    settled(session, 2.0)
    found = session.examine()
    assert not found.converged and found.sentence.startswith("Oscillating. The dynamics return")


def test_examined_is_the_certificate_of_the_fixed_point(run, digits):
    session = Settling(run, digits)
    session.show(0)
    settled(session)
    examined = session.examine()
    fp = run.respond(digits[:1])
    assert examined.converged
    assert examined.abscissa == pytest.approx(float(fp.abscissa()[0]), rel=1e-3)
    assert examined.sentence.startswith("Settled. The residual is at most the tolerance.")


def test_a_change_of_a_slider_keeps_state_and_image(run, digits):
    session = Settling(run, digits)
    before = settled(session, 3.0)
    session.move(Controls(hold=10, tau=20))
    after = session.advance(0.0)
    assert torch.equal(before.rates, after.rates)
    assert torch.allclose(before.image, after.image) and before.label == after.label


def test_images_follow_one_another(run, digits):
    session = Settling(run, digits, Controls(hold=5, fade=1, speed=5))
    labels = [session.advance(0.4).label for _ in range(20)]
    assert len(set(labels)) > 2


def test_long_frames_show_no_more_than_two_time_constants(run, digits):
    session = Settling(run, digits)
    session.advance(1000.0)
    assert session.time == pytest.approx(0.02)


def test_growth_without_end_begins_anew_with_a_sentence(tmp_path, digits, run):
    linear = rn.TrainingConfig(
        epochs=1, units=20, batch_size=500, presentation="static", model="linear"
    )
    rn.train(linear, out=tmp_path / "run", show_progress=False)
    session = Settling(rn.load_run(tmp_path / "run"), digits, Controls(weight_scale=5))
    session.show(0)
    notes = (session.advance(0.4).note for _ in range(200))
    assert any(note.startswith("The rates began anew from zero: ") for note in notes)


def test_table_holds_what_was_seen(run, digits):
    session = Settling(run, digits)
    frames = [session.advance(0.1) for _ in range(20)]
    table = session.table()
    assert list(table.columns[:3]) == ["time", "label", "answer"]
    assert table["distance"].tolist()[-1] == frames[-1].distance
    assert table["time"].is_monotonic_increasing


@pytest.mark.parametrize("index", [-1, 10**6])
def test_an_image_that_is_not_there_is_refused(run, digits, index):
    with pytest.raises(InputError, match="image: expected a whole number from 0 to"):
        Settling(run, digits).show(index)


def test_without_images_only_drawings_are_shown(run):
    session = Settling(run)
    assert session.advance(0.1).label == -1
    with pytest.raises(InputError, match="draw one"):
        session.show(0)
    with pytest.raises(InputError, match="drawing: expected a digit, got an empty frame"):
        session.draw([0.0] * 784)


def test_frames_are_sent_as_json(run, digits):
    session = Settling(run, digits)
    frame = session.advance(0.1)
    message = frame_message(frame, session.shape)
    assert len(message["image"]) == 784 and len(message["rates"]) == 40
    assert message["distance"] == frame.distance
    assert as_json({"x": math.nan, "y": [1.5, "</script>"]}) == (
        '{"x": null, "y": [1.5, "\\u003c/script>"]}'
    )
    assert facts_of(session)["classes"] == [str(k) for k in range(10)]
    assert len(examined_message(session.examine())["eigenvalues"]) == 40


def test_controls_go_into_the_address_and_come_back(run):
    start = controls_of(run)
    moved = Controls(tau=25, noise=0.1)
    query = as_query(moved, start)
    assert query == "tau=25&noise=0.1"
    assert from_query(start, dict(part.split("=") for part in query.split("&"))) == moved


@pytest.mark.parametrize(
    "query, said",
    [
        ({"tau": "fast"}, "address, tau: expected a number, got 'fast'"),
        ({"tau": "-1"}, "address, tau: expected a number from 1 to 200, got -1.0"),
        ({"tau": "nan"}, "address, tau: expected"),
        ({"tua": "1"}, "Unknown query parameter 'tua'; did you mean 'tau'"),
    ],
)
def test_wrong_addresses_are_refused_in_a_sentence(query, said):
    with pytest.raises(InputError) as caught:
        from_query(Controls(), query)
    assert said in str(caught.value)
