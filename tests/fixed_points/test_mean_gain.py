"""When the mean-gain preconditioner is kept, and when it is made anew."""

import pytest
import torch
from helpers.problems import FLOAT, random, random_weights

import ratenet as rn
from ratenet.fixed_points import MeanGain

GAIN = torch.full((2, 6), 0.5, dtype=FLOAT)


def network() -> rn.Network:
    return rn.Network("rate", random_weights(6, seed=90, scale=0.5))


def change(net: rn.Network) -> None:
    net.connectivity.add_({"W": random(6, 6, seed=91, scale=1e-3)})


@pytest.mark.parametrize(("shift", "is_far"), [(0.05, False), (0.2, True), (float("nan"), False)])
def test_amid_a_solve_it_is_made_anew_where_gains_are_far(shift: float, is_far: bool) -> None:
    net, maker = network(), MeanGain()
    maker.make(net, GAIN)
    assert maker.is_far(net, GAIN + shift) == is_far
    if is_far:
        found = maker.again(net, GAIN + shift)
        assert torch.equal(found.matrix, MeanGain().make(net, GAIN + shift).matrix)


def test_the_next_solve_begins_with_what_the_last_one_found() -> None:
    net, maker = network(), MeanGain(stale_after=1)
    assert not maker.make(net, GAIN).is_kept
    found = maker.again(net, GAIN + 0.4)
    kept = maker.make(net, GAIN)
    assert kept.is_kept
    assert kept.matrix is found.matrix
    assert not maker.make(network(), GAIN).is_kept  # another network


def test_without_staleness_it_is_kept_for_gains_that_are_near() -> None:
    net, maker = network(), MeanGain()
    first = maker.make(net, GAIN).matrix
    assert maker.make(net, GAIN + 0.05).matrix is first
    assert maker.make(net, GAIN + 0.2).matrix is not first


def test_what_is_left_out_is_not_made_later() -> None:
    net, maker = network(), MeanGain(max_units=5)
    assert "max_units = 5" in maker.make(net, GAIN).note
    assert not maker.is_far(net, GAIN + 0.4)


@pytest.mark.parametrize("stale_after", [0, 2])
def test_it_is_made_anew_for_weights_that_changed_too_often(stale_after: int) -> None:
    net, maker = network(), MeanGain(stale_after=stale_after)
    first = maker.make(net, GAIN).matrix
    for _ in range(stale_after):
        change(net)
        assert maker.make(net, GAIN).matrix is first
    change(net)
    # With 0, results depend on the weights alone; else the gains found last are the better ones.
    gain = GAIN if stale_after else GAIN + 0.2
    expected = MeanGain().make(net, gain).matrix
    assert torch.equal(maker.make(net, GAIN + 0.2).matrix, expected)


def test_it_can_be_renewed_before_its_time() -> None:
    net, maker = network(), MeanGain(stale_after=5)
    first = maker.make(net, GAIN).matrix
    change(net)
    maker.renew()
    found = maker.make(net, GAIN + 0.2)
    assert found.matrix is not first
    assert torch.equal(found.matrix, MeanGain().make(net, GAIN).matrix)
    assert maker.make(net, GAIN).matrix is found.matrix


def test_what_it_keeps_can_be_stored() -> None:
    net, maker, other = network(), MeanGain(stale_after=5), MeanGain(stale_after=5)
    assert maker.state_dict() == {}
    first = maker.make(net, GAIN)
    other.load_state_dict(maker.state_dict())
    found = other.make(net, GAIN + 0.2)  # as after a change of the weights
    assert torch.equal(found.matrix, first.matrix)
    assert other.make(network(), GAIN).matrix is not found.matrix  # it belongs to the first network
    other.load_state_dict({})
    assert other.state_dict() == {}


def test_what_was_loaded_can_be_renewed_before_it_is_used() -> None:
    """A run may be resumed at the very step at which Q is made anew, with the gains it kept."""
    net, maker, other = network(), MeanGain(stale_after=5), MeanGain(stale_after=5)
    first = maker.make(net, GAIN)
    other.load_state_dict(maker.state_dict())
    other.renew()
    change(net)
    found = other.make(net, GAIN + 0.2)
    assert not torch.equal(found.matrix, first.matrix)
    assert torch.equal(found.matrix, MeanGain().make(net, GAIN).matrix)


def test_what_was_loaded_from_a_network_of_another_size_is_not_used() -> None:
    maker, other = MeanGain(), MeanGain()
    maker.make(network(), GAIN)
    other.load_state_dict(maker.state_dict())
    small = rn.Network("rate", random_weights(4, seed=95, scale=0.5))
    assert other.make(small, GAIN[:, :4]).matrix.shape == (4, 4)


@pytest.mark.parametrize("solver", [rn.Anderson, rn.NewtonKrylov])
def test_a_solve_looks_for_gains_nearer_to_rest(solver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mean gains at zero, where a solve begins, are up to 0.24 from those at rest."""
    W = random_weights(60, seed=64, scale=1.2) - 3.0 * torch.eye(60, dtype=FLOAT)
    net, drive = rn.Network("rate", W), random(20, 60, seed=65, scale=0.5)

    def iterations() -> float:
        fp = rn.find_fixed_points(net, drive, solver=solver(preconditioner=MeanGain()))
        return float(fp.iterations.double().mean())

    with_looks = iterations()
    monkeypatch.setattr(MeanGain, "is_far", lambda *given: False)
    assert with_looks < 0.8 * iterations()


def test_few_that_are_left_over_do_not_decide_for_all() -> None:
    """The gains of one strong drive make a Q that is worse than none for the weak ones."""
    W = 0.8 * random_weights(100, seed=92, scale=1.0) - 2.0 * torch.eye(100, dtype=FLOAT)
    drive = random(32, 100, seed=93, scale=0.1)
    drive[0] *= 80
    fp = rn.find_fixed_points(rn.Network("rate", W), drive)
    adjoint = rn.solve_adjoint(fp, random(32, 100, seed=94))
    assert fp.iterations.max() < 40
    assert adjoint.converged.all()
    assert adjoint.iterations < 25


def test_what_could_not_be_made_is_not_kept() -> None:
    net, maker = network(), MeanGain(stale_after=5)
    assert maker.make(net, GAIN[:0]).matrix is None  # no sample, no mean
    assert maker.state_dict() == {}
    first = maker.make(net, GAIN)
    assert not first.is_kept
    other = rn.Network("rate", random_weights(4, seed=95, scale=0.5))
    assert maker.make(other, GAIN[:0, :4]).matrix is None  # what is kept is of another size
    assert maker.make(net, GAIN).matrix is first.matrix
    assert maker.again(other, GAIN[:0, :4]).matrix is None
    assert maker.state_dict() == {}


def test_gains_that_make_it_singular_leave_it_at_those_before() -> None:
    net, maker = rn.Network("rate", torch.diag(torch.full((6,), 2.0, dtype=FLOAT))), MeanGain()
    first = maker.make(net, GAIN - 0.25)
    assert maker.is_far(net, GAIN)  # I - 0.5 W = 0
    found = maker.again(net, GAIN)
    assert torch.equal(found.matrix, first.matrix)
    assert maker.make(net, GAIN - 0.25).matrix is found.matrix
