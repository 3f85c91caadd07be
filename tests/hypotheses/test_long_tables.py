"""Long tables of animals, sessions and trials: what they hold, and what they may not."""

import numpy as np
import pandas as pd
import pytest
from helpers.problems import random_weights

import ratenet as rn
from ratenet.errors import InputError
from ratenet.hypotheses import Observations, observe_rates, observe_weights

N = 6
POST, PRE = np.divmod(np.arange(N * N), N)
NETWORK = rn.Network("rate", random_weights(N, seed=5))
W = NETWORK.connectivity.dense().numpy()


def session(animal: object, name: object, step: float = 0.1, **columns: object) -> pd.DataFrame:
    """Return a table of all synapses of one animal in one session."""
    before = W.ravel()
    after = before + step * np.random.default_rng(abs(hash(str(step)))).standard_normal(N * N)
    table = {"animal": animal, "session": name, "post": POST, "pre": PRE}
    return pd.DataFrame({**table, "before": before, "after": after, **columns})


def test_the_same_ids_in_two_animals_are_two_synapses():
    table = pd.concat([session("m2", 1, 0.1), session("m1", 1, 0.2)])
    found = observe_weights(NETWORK, table)
    assert isinstance(found, Observations)
    assert found.animals == ("m2", "m1")
    assert [len(changes) for changes in found.changes] == [N * N, N * N]
    for part, step in zip(found, (0.1, 0.2), strict=True):
        expected = session("", "", step)
        np.testing.assert_allclose(part.changes, expected["after"] - expected["before"])


def test_animals_may_be_the_index():
    found = observe_weights(NETWORK, both().set_index(["animal", "session"]))
    assert [(part.animal, part.session) for part in found] == [("m1", "1"), ("m2", "1")]


def test_animals_may_have_networks_of_other_sizes():
    small = rn.Network("rate", random_weights(4, seed=6))
    four = session("m2", 1).query("post < 4 and pre < 4")
    table = pd.concat([session("m1", 1), four])
    found = observe_weights({"m1": NETWORK, "m2": small}, table)
    assert [part.shape for part in found] == [(N, N), (4, 4)]
    with pytest.raises(
        InputError, match=r"animal m2, session 2, post and pre: .* from 0 to 3, the units"
    ):
        observe_weights({"m1": NETWORK, "m2": small}, pd.concat([four, session("m2", 2)]).assign(
            animal="m2"))  # fmt: skip
    by_session = observe_weights({("m1", 1): NETWORK, ("m2", "1"): small}, table)
    assert [part.shape for part in by_session] == [(N, N), (4, 4)]
    with pytest.raises(InputError, match="network: expected one for animal m2, session 1, or one"):
        observe_weights({"m1": NETWORK}, table)


def test_values_are_compared_with_the_session_before():
    sessions = {10: 0.1, 9: 0.0, 11: 0.4}  # told by number, not as they come
    table = pd.concat([
        session(1.0, name).drop(columns=["before", "after"])
        .assign(value=W.ravel() * (1 + step), error=0.3 + 0.1 * (name == 10))
        for name, step in sessions.items()
    ])  # fmt: skip
    found = observe_weights(NETWORK, table)
    assert [(part.animal, part.session) for part in found] == [("1", "10"), ("1", "11")]
    np.testing.assert_allclose(found[0].changes, 0.1 * W.ravel())
    np.testing.assert_allclose(found[1].changes, 0.3 * W.ravel())
    np.testing.assert_allclose(found[1].before, 1.1 * W.ravel())
    np.testing.assert_allclose(found[0].noise, 0.5)  # 0.3 and 0.4
    alone = observe_weights(NETWORK, table[table["session"] == 10])
    np.testing.assert_allclose(alone[0].changes, 0.1 * W.ravel())  # beside the network
    np.testing.assert_allclose(alone[0].noise, 0.4)


def test_sessions_without_learning_are_controls():
    table = pd.concat([session("m", 1, control="False"), session("m", 2, 0.2, control="true")])
    assert [part.control for part in observe_weights(NETWORK, table)] == [False, True]


def test_rates_of_trials_are_averaged_and_give_their_error():
    rng = np.random.default_rng(0)
    grid = np.indices((3, N, 8)).reshape(3, -1)
    table = pd.DataFrame(dict(zip(("stimulus", "unit", "trial"), grid, strict=True)))
    mean = rng.standard_normal((3, N))
    first, second = (rng.normal(0, sd, len(table)) for sd in (0.3, 0.4))
    flat = mean[table["stimulus"], table["unit"]]
    table = table.assign(before=flat + first, after=2 * flat + second)
    table.loc[(table["unit"] == 1) & (table["trial"] > 3), "after"] = np.nan  # fewer trials
    found = observe_rates(NETWORK, table)
    np.testing.assert_allclose(found.before, (flat + first).reshape(-1, 8).mean(axis=1))
    assert np.std(found.changes - mean[found.rows, found.columns]) < 0.3
    exact = np.sqrt(0.09 / 8 + 0.16 / np.where(found.columns == 1, 4, 8))
    np.testing.assert_allclose(found.noise, exact, rtol=0.15)
    assert found.shape == (None, N)
    with pytest.raises(InputError, match=r"expected shape \(2, 6\).*got \(3, 6\)"):
        found.check_shape((2, N))


def test_one_trial_of_each_leaves_the_error_unknown():
    table = pd.DataFrame({"stimulus": POST, "unit": PRE, "trial": 1, "before": 0.1, "after": 0.2})
    assert observe_rates(NETWORK, table).noise is None


def test_errors_are_by_entry():
    error = 0.1 + np.arange(N * N)
    found = observe_weights(NETWORK, session("m", 1, error=error))
    np.testing.assert_array_equal(found[0].noise, error)
    np.testing.assert_array_equal(found[0].select(error > 5).noise, error[error > 5])
    noise = np.full((N, N), 0.2)
    np.testing.assert_array_equal(observe_weights(NETWORK, W + 0.1, noise=noise).noise, 0.2)


def both(**columns: object) -> pd.DataFrame:
    return pd.concat([session("m1", 1), session("m2", 1)]).assign(**columns)


REPEATED = pd.concat([session("m1", 1), session("m1", 1)])


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (REPEATED, "synapses, animal m1, session 1: expected each synapse once, got post 0, pre 0 "
         "twice; average these rows, or tell them apart by a column animal, session or trial"),
        (REPEATED.assign(trial=7), "got post 0, pre 0, trial 7 twice"),
        (both(animal=[None] * N * N + ["m2"] * N * N), "column animal, row 0: expected a name"),
        (both(session=" "), "column session, row 0: expected a name or a number, got ''"),
        (both(error=0.0), "animal m1, session 1, column error: expected finite .* above 0, got 0"),
        (both(error=[1.0] * N * N + [np.nan] * N * N), "animal m2, .*column error: .*, got nan"),
        (both(error="small"), "column error, row 0: expected a number, got 'small'"),
        (both(error=1.0, trial=1), "expected one of the two, got the columns trial and error"),
        (both(trial=1, control="maybe"), "column control: expected true or false, .*got 'maybe'"),
        (both(control=[True, False] * N * N), "the same for all rows of a session, got 'True, Fal"),
        (both(value=1.0), "synapses: expected the columns post, pre, before, after .or value"),
        (both(after=np.nan), "animal m1, session 1: expected rows with before and after, got none"),
        (both(after=both()["before"]), "animal m1, session 1: weights: nothing has changed"),
        (both().groupby("animal").head(9), "animal m1, session 1: weights: .* 9 measured changes"),
        (both(after=1e200), "animal m1, session 1: weights: expected changes of at most 1e"),
        (both().assign(post=-1), "animal m1, session 1, post and pre: expected whole numbers"),
        (both().drop(columns="pre"), "expected the columns post, pre"),
        (both().head(0), "synapses: expected rows with before and after, got none"),
        (pd.concat([both(trial=1), both(trial=2)]), "expected trials that differ"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence_that_names_animal_and_session(table, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        observe_weights(NETWORK, table)
    assert "\n" not in str(error.value)


def test_other_mistakes_with_tables():
    rates = pd.DataFrame({"stimulus": POST, "unit": PRE, "value": 0.1, "animal": "m"})
    with pytest.raises(InputError, match="animal m: rates: expected two sessions or more"):
        observe_rates(NETWORK, rates)
    for stimulus in (-1, 1e300):
        with pytest.raises(InputError, match="animal m, stimulus: expected whole numbers from 0, "):
            observe_rates(NETWORK, rates.assign(stimulus=stimulus, before=0.2, after=0.3).drop(
                columns="value"))  # fmt: skip
    with pytest.raises(InputError, match="after: expected one table of both"):
        observe_rates(NETWORK, rates, W)
    with pytest.raises(InputError, match="noise: expected one of the two, got errors in the table"):
        observe_weights(NETWORK, both(error=0.1), noise=0.1)
    with pytest.raises(InputError, match="noise: expected a finite number above 0.*got 0.0"):
        observe_weights(NETWORK, both(), noise=0.0)
    with pytest.raises(InputError, match=r"noise: expected .*one for each change.*got \(3,\)"):
        observe_weights(NETWORK, W + 0.1, noise=[0.1, 0.2, 0.3])
    with pytest.raises(InputError, match="network: expected a network, got several; "):
        observe_weights({"m": NETWORK}, W + 0.1)


def test_observations_are_a_list_in_which_each_animal_and_session_stands_once():
    one, two = (observe_weights(NETWORK, W + step) for step in (0.1, 0.2))
    assert Observations((one, two)).animals == ("1", "2")
    found = observe_weights(NETWORK, both())
    assert repr(found[:1]) == "Observations of weights: 1 animal, 1 session, 36 changes"
    with pytest.raises(InputError, match="observed: expected .*, got animal m1, session 1 twice"):
        Observations((found[0], found[0]))
    with pytest.raises(InputError, match="expected an animal for all"):
        Observations((found[0], one))
    with pytest.raises(InputError, match=r"one or more of type Observation, got \[\]"):
        Observations(())
    with pytest.raises(InputError, match="one or more of type Observation, got 3"):
        Observations((one, 3))
