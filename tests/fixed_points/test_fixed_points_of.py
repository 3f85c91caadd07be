"""Fixed points and slow points of maps: closed forms, torch's own iteration, and scipy."""

import math
import re

import numpy as np
import pytest
import torch
from helpers.problems import adaptation
from scipy.optimize import fsolve

import ratenet as rn
from ratenet.errors import InputError, StaleError, UnsupportedError
from ratenet.fixed_points import Status

FLOAT = torch.float64


def starts(rows: int = 40, units: int = 4, dtype: torch.dtype = FLOAT) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(rows, units, generator=generator, dtype=dtype) * 2 - 1


def one_unit(rows: int = 9) -> torch.Tensor:
    return torch.linspace(-2, 2, rows, dtype=FLOAT)[:, None]


def strong(module: torch.nn.Module, factor: float = 3.0) -> torch.nn.Module:
    """Return a module with recurrent weights strong enough for several fixed points."""
    with torch.no_grad():
        for name, weights in module.named_parameters():
            if "weight_hh" in name:
                weights.mul_(factor)
    return module


def made(kind: type, *sizes: int, **options) -> torch.nn.Module:
    torch.manual_seed(1)
    return strong(kind(*sizes, dtype=FLOAT, **options))


@pytest.mark.parametrize("w", [0.5, 1.2, 3.0])
def test_pitchfork_of_one_unit(w):
    found = rn.fixed_points_of(lambda u, h: torch.tanh(w * h + u), one_unit(), [0.0]).unique()
    root = fsolve(lambda h: math.tanh(w * h[0]) - h[0], 1.0)[0] if w > 1 else None
    known = [0.0] if root is None else [-root, root, 0.0]
    assert found.state[:, 0].tolist() == pytest.approx(known, abs=1e-8)
    assert found.stable.tolist() == ([True] if root is None else [True, True, False])
    radii = [w * (1 - h**2) for h in known]
    assert found.spectral_radius().tolist() == pytest.approx(radii, abs=1e-7)
    assert found.converged.all()
    assert (found.residual <= 1e-9).all()
    assert int(found.found_from.sum()) == 9


def test_a_linear_map_has_the_point_and_eigenvalues_of_its_matrix():
    A = torch.tensor([[0.0, -2.0], [2.0, 0.0]], dtype=FLOAT)
    found = rn.fixed_points_of(lambda u, h: h @ A.T + u, starts(5, 2), [1.0, 0.0]).unique()
    known = torch.linalg.solve(torch.eye(2, dtype=FLOAT) - A, torch.tensor([1.0, 0.0], dtype=FLOAT))
    torch.testing.assert_close(found.state[0], known)
    torch.testing.assert_close(found.jacobian(0), A)
    assert sorted(found.eigenvalues(0).imag.tolist()) == pytest.approx([-2.0, 2.0])
    assert found.stable.tolist() == [False]  # although its mode would be neutral in time


def test_a_gru_of_two_units_against_scipy():
    gru = made(torch.nn.GRUCell, 1, 2)
    u = torch.tensor([[0.3]], dtype=FLOAT)

    def equations(h: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return (gru(u, torch.from_numpy(h)[None])[0] - torch.from_numpy(h)).numpy()

    found = rn.fixed_points_of(gru, starts(60, 2), u).unique()
    solved = [fsolve(equations, h, full_output=True, xtol=1e-12) for h in starts(60, 2).numpy()]
    known = [h for h, _, success, _ in solved if success == 1 and abs(equations(h)).max() < 1e-10]
    assert len({tuple(np.round(h, 5)) for h in known}) == len(found)
    for h in known:
        assert (found.state - torch.from_numpy(h)).abs().amax(dim=1).min() < 1e-7


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize(
    ("kind", "layers", "units"),
    [
        (torch.nn.RNN, 1, 4),
        (torch.nn.RNN, 2, 8),
        (torch.nn.GRU, 2, 8),
        (torch.nn.LSTM, 1, 8),
        (torch.nn.LSTM, 2, 16),
    ],
)
def test_stable_points_are_where_the_module_stays(kind, layers, units, batch_first):
    module = made(kind, 3, 4, num_layers=layers, batch_first=batch_first)
    u = torch.tensor([0.5, -1.0, 0.2], dtype=FLOAT)
    found = rn.fixed_points_of(module, starts(20, units), u).unique()
    assert len(found)
    for state, stable in zip(found.state, found.stable.tolist(), strict=True):
        moved = state + 1e-6
        parts = [p.reshape(layers, 1, 4).contiguous() for p in moved.split(4 * layers)]
        steps = u.expand(1, 3000, 3) if batch_first else u.expand(3000, 1, 3)
        with torch.no_grad():
            end = module(steps, parts[0] if len(parts) == 1 else tuple(parts))[1]
        ends = torch.cat([p.flatten() for p in (end if isinstance(end, tuple) else (end,))])
        assert bool((ends - state).abs().max() < 1e-6) is stable


def test_cells_and_modules_have_the_same_points():
    for kind, cell_kind, units in (
        (torch.nn.RNN, torch.nn.RNNCell, 4),
        (torch.nn.GRU, torch.nn.GRUCell, 4),
        (torch.nn.LSTM, torch.nn.LSTMCell, 8),
    ):
        module, cell = made(kind, 3, 4), cell_kind(3, 4, dtype=FLOAT)
        weights = {name.removesuffix("_l0"): w for name, w in module.state_dict().items()}
        cell.load_state_dict(weights)
        one, other = (
            rn.fixed_points_of(f, starts(20, units), [1.0, 0.0, 0.0]) for f in (module, cell)
        )
        torch.testing.assert_close(one.state, other.state, rtol=0, atol=1e-9)


def test_the_network_of_an_rnn_has_the_same_points():
    rnn = made(torch.nn.RNN, 2, 6)
    network, read_in = rn.from_rnn(rnn)
    inputs = torch.tensor([[0.0, 0.0], [1.0, -1.0]], dtype=FLOAT)
    h0 = starts(60, 6)
    continuous = rn.find_all_fixed_points(network, read_in(inputs), starts=h0)
    for index, u in enumerate(inputs):
        of_map = rn.fixed_points_of(rnn, h0, u).unique()
        settled = of_map.state[of_map.converged]
        for rates in continuous.of(index).rates:
            assert (settled - rates).abs().amax(dim=1).min() < 1e-7
        assert len(settled) >= len(continuous.of(index))


def test_a_network_has_its_own_fixed_points_and_radius():
    rnn = made(torch.nn.RNN, 2, 6)
    network, read_in = rn.from_rnn(rnn)
    drive = read_in([1.0, -1.0])
    found = rn.fixed_points_of(network, starts(30, 6), drive).unique()
    same = rn.fixed_points_of(rnn, starts(30, 6), [1.0, -1.0]).unique()
    torch.testing.assert_close(found.state, same.state, rtol=0, atol=1e-7)
    settled = found.state[found.converged]
    fp = rn.fixed_points_at(network, drive.expand(len(settled), -1), settled, tol=1e-9)
    assert fp.converged.all()
    torch.testing.assert_close(found.residual[found.converged], fp.residual, rtol=0, atol=1e-15)
    radii = found.spectral_radius()[found.converged]
    torch.testing.assert_close(radii, fp.spectral_radius(), rtol=1e-6, atol=1e-9)


def test_a_network_just_past_its_fold_has_a_slow_point():
    network = rn.Network("rate", [[2.0]])  # folds at a drive of +-0.533
    past = rn.fixed_points_of(network, one_unit(20), [-0.54]).unique()
    assert past.status.tolist() == [Status.SETTLED, Status.SLOW_POINT]
    assert past.state[:, 0].tolist() == pytest.approx([-0.985, 0.71], abs=0.02)
    before = rn.fixed_points_of(network, one_unit(20), [-0.53]).unique()
    assert before.converged.tolist() == [True] * 3


def test_a_network_of_several_state_variables():
    problem = adaptation()
    network = problem.network()
    fp = rn.find_fixed_points(network, problem.drive)
    h0 = torch.zeros(len(fp), 2 * network.units, dtype=FLOAT)
    found = rn.fixed_points_of(network, h0, problem.drive)
    rows = fp.state.transpose(0, 1).flatten(1)
    torch.testing.assert_close(found.state, rows, rtol=0, atol=1e-7)
    with pytest.raises(InputError, match="h0: expected rows of"):
        rn.fixed_points_of(network, h0[:, :1], problem.drive)
    with pytest.raises(InputError, match="drive"):
        rn.fixed_points_of(network, h0, [0.0] * 17)


def test_the_call_of_fixed_point_finder():
    gru = made(torch.nn.GRU, 3, 4, batch_first=True)

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = gru

        def forward(self, inputs: torch.Tensor, hidden: torch.Tensor) -> tuple:
            assert inputs.ndim == hidden.ndim == 3
            return self.gru(inputs, hidden)

    h0, inputs = starts(12), torch.ones(12, 1, 3, dtype=FLOAT)
    own = rn.fixed_points_of(Model(), initial := h0[None], inputs)
    torch.testing.assert_close(own.state, rn.fixed_points_of(gru, h0, [1.0] * 3).state)
    cell = rn.fixed_points_of(
        lambda u, h: ("output", gru(u[:, None], h[None])[1][0]), h0, [1.0] * 3
    )
    torch.testing.assert_close(own.state, cell.state)
    assert initial.shape == (1, 12, 4)


def test_functions_of_rows_and_of_single_vectors_are_the_same_map():
    W = 1.5 * starts(4, 4)
    forms = [
        lambda u, h: torch.tanh(h @ W.T + u),
        lambda u, h: torch.tanh(W @ h + u),  # as many starts as units: rows would fit as well
    ]
    one, other = (rn.fixed_points_of(f, starts(4), torch.zeros(4)) for f in forms)
    torch.testing.assert_close(one.state, other.state, rtol=0, atol=1e-10)


@pytest.mark.parametrize("eps", [5e-2, 1e-3, 1e-6, 1e-8])
def test_the_ghost_of_a_fold_is_a_slow_point(eps):
    found = rn.fixed_points_of(lambda u, h: h + eps + h**2, one_unit(8), [0.0])
    assert not found.converged.any()
    assert found.slow.any()
    points = found.unique()
    assert len(points) == 1
    assert float(points.state[0, 0]) == pytest.approx(0.0, abs=1e-5)
    assert float(points.residual[0]) == pytest.approx(eps, rel=1e-3)
    assert float(points.speed[0]) == pytest.approx(eps**2 / 2, rel=1e-3)
    assert not points.stable.any()
    assert "0 fixed points, 0 stable, and 1 slow point." in found.summary()


def test_a_maximum_of_the_speed_is_not_a_slow_point():
    found = rn.fixed_points_of(lambda u, h: h - 1e-4 + h**2, [[0.0]], [0.0])
    assert found.converged.all()  # it went to one of the sides, at +-0.01
    assert float(found.state[0, 0].abs()) == pytest.approx(0.01)


def test_a_minimum_that_is_fast_is_not_a_slow_point():
    found = rn.fixed_points_of(lambda u, h: torch.exp(h), one_unit(), [0.0])
    assert (found.status == Status.UNSETTLED).all()  # e^h - h >= 1
    assert rn.fixed_points_of(lambda u, h: torch.exp(h), one_unit(), [0.0], slow=1.1).slow.all()


def test_starts_that_become_nan_or_run_away_are_told():
    roots = rn.fixed_points_of(lambda u, h: torch.sqrt(h), one_unit(8), [0.0])
    assert (roots.status == Status.DIVERGED).tolist() == [True] * 4 + [False] * 4
    assert "4 diverged" in repr(roots)
    away = rn.fixed_points_of(lambda u, h: h + torch.exp(-h), [[5.0]], [0.0], tol=1e-3)
    assert not away.converged.any()  # a residual of 1e-3 is reached, and no root is near


def test_starts_and_inputs_in_pairs():
    inputs = torch.tensor([[0.0], [1.0], [0.0]], dtype=FLOAT)
    found = rn.fixed_points_of(lambda u, h: 0.5 * h + u, torch.zeros(3, 1), inputs)
    assert found.state[:, 0].tolist() == pytest.approx([0.0, 2.0, 0.0])
    assert found.unique().inputs[:, 0].tolist() == [0.0, 1.0]
    one_start = rn.fixed_points_of(lambda u, h: 0.5 * h + u, [0.0], inputs)
    assert one_start.state[:, 0].tolist() == pytest.approx([0.0, 2.0, 0.0])


def test_a_function_may_write_into_its_arguments():
    h0 = one_unit()
    found = rn.fixed_points_of(lambda u, h: h.mul_(0.5).add_(u), h0, [1.0])
    assert found.state[:, 0].tolist() == pytest.approx([2.0] * 9)
    assert torch.equal(h0, one_unit())
    torch.testing.assert_close(found.jacobian(0), torch.tensor([[0.5]], dtype=FLOAT))


def test_starts_that_lead_to_nothing_have_no_points():
    found = rn.fixed_points_of(lambda u, h: torch.sqrt(h), [[-1.0], [-2.0]], [0.0])
    assert len(found.unique()) == 0
    assert repr(found.unique()) == "MapFixedPoints(no points; 1 unit)"
    assert found.summary().startswith("0 fixed points, 0 stable, and 0 slow points.")
    assert found.unique().to_pandas().shape == (0, 7)
    with pytest.raises(InputError, match="sample 0 has a NaN or infinite state or step"):
        found.jacobian(0)


def test_settings_of_torch_do_not_matter():
    gru = made(torch.nn.GRU, 3, 4).requires_grad_(False)
    known = rn.fixed_points_of(gru, starts(6), [1.0] * 3)
    with torch.inference_mode():
        found = rn.fixed_points_of(gru, starts(6), [1.0] * 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = rn.fixed_points_of(gru.eval(), starts(6), [1.0] * 3)
    assert torch.equal(found.state, known.state)
    assert torch.equal(other.state, known.state)
    assert not found.state.requires_grad


def test_float32_is_kept():
    gru = torch.nn.GRU(3, 20)
    found = rn.fixed_points_of(gru, starts(10, 20).numpy(), [0.0] * 3)
    assert found.state.dtype == torch.float32
    assert found.tol == 1e-5
    assert found.converged.all()


def test_a_pair_of_an_lstm_is_its_state_side_by_side():
    lstm = made(torch.nn.LSTM, 3, 4)
    pair = rn.fixed_points_of(lstm, (starts(6), 0.5 * starts(6)), [0.0] * 3)
    row = rn.fixed_points_of(lstm, torch.cat([starts(6), 0.5 * starts(6)], 1), [0.0] * 3)
    assert torch.equal(pair.state, row.state)
    layered = rn.fixed_points_of(lstm, (starts(6)[None], 0.5 * starts(6)[None]), [0.0] * 3)
    assert torch.equal(pair.state, layered.state)


def test_it_prints_as_a_line_and_makes_a_table():
    found = rn.fixed_points_of(lambda u, h: torch.tanh(2 * h + u), one_unit(), [0.0])
    assert re.fullmatch(
        r"MapFixedPoints\(9 fixed points with residual at most \S+; 1 unit\)", repr(found)
    )
    assert found.summary().startswith("3 fixed points, 2 stable, and 0 slow points.\nWhere 9")
    table = found.unique().to_pandas()
    assert table["status"].tolist() == ["settled"] * 3
    assert list(table.columns[-2:]) == ["input_0", "state_0"]
    assert len(found.select(found.state[:, 0] > 0)) == 4


def test_a_function_that_changed_makes_them_stale():
    gru = made(torch.nn.GRU, 3, 4)
    found = rn.fixed_points_of(gru, starts(5), [1.0, 0.0, 0.0])
    with torch.no_grad():
        gru.weight_hh_l0.mul_(0.5)
    with pytest.raises(StaleError, match="older than the function"):
        found.spectral_radius([0])
    with pytest.raises(InputError, match="no sample 9"):
        found.jacobian(9)


def identity(u, h):
    return h


GRU = torch.nn.GRU(3, 4, dtype=FLOAT)
H0 = torch.zeros(5, 4, dtype=FLOAT)


@pytest.mark.parametrize(
    ("function", "h0", "inputs", "message"),
    [
        (3, H0, [0.0], "function: expected a function"),
        (lambda u, h: h[:, :1], H0, [0.0], r"it returned shape \(5, 1\)"),
        (lambda u, h: np.zeros(3), H0, [0.0], "it returned ndarray"),
        (lambda u, h: h.float(), H0, [0.0], "it returned torch.float32 for torch.float64"),
        (lambda u, h: h / missing, H0, [0.0], "it raised NameError"),  # noqa: F821
        (lambda u, h: torch.tanh(h.detach()), H0, [0.0], "no derivative with respect to h"),
        (
            lambda u, h: h + torch.rand(h.shape),
            H0,
            [0.0],
            "depends on the other rows, or on chance",
        ),
        (lambda u, h: h - h.mean(0), starts(), [0.0], "depends on the other rows"),
        (torch.nn.GRU(3, 2, 2, dropout=0.5, dtype=FLOAT), starts(), [1.0] * 3, r"\.eval\(\)"),
        (torch.nn.GRU, H0, [0.0], "function: expected a map"),
        (GRU, H0, [0.0], "it raised RuntimeError: input.size"),
        (GRU, torch.zeros(5, 3), [0.0] * 3, "h0: expected rows of 4 numbers.*got 3"),
        (torch.nn.LSTMCell(3, 4), H0, [0.0] * 3, "h0: expected rows of 8 numbers.*got 4"),
        (identity, [math.nan], [0.0], "h0: NaN or infinite"),
        (identity, H0, [math.inf], "inputs: NaN or infinite"),
        (identity, np.zeros((0, 4)), [0.0], r"h0: expected shape \(H,\) or \(S, H\)"),
        (identity, 1.0, [0.0], r"h0: expected shape"),
        (identity, "abc", [0.0], "h0: expected"),
        (identity, [[0.0], [0.0, 1.0]], [0.0], "h0: expected"),
        (identity, H0, None, "inputs: expected"),
        (identity, H0, torch.zeros(7, 1), r"inputs: expected .* S = 5 starts, got \(7, 1\)"),
        (identity, H0, torch.zeros(5, 2, 1), r"inputs: expected .*got \(5, 2, 1\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # addresses differ by process
)
def test_bad_input_is_one_sentence(function, h0, inputs, message):
    with pytest.raises(InputError, match=message) as caught:
        rn.fixed_points_of(function, h0, inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tol": 0.0}, "tol: expected at least"),
        ({"tol": "small"}, "tol: expected a number"),
        ({"max_iterations": 0}, "max_iterations: expected a whole number of at least 1, got 0"),
        ({"max_iterations": 2.5}, "max_iterations: .*got 2.5"),
        ({"slow": -1.0}, "slow: expected a finite number of at least 0"),
        ({"slow": math.nan}, "slow: expected"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(InputError, match=message):
        rn.fixed_points_of(identity, H0, [0.0], **options)
    with pytest.raises(InputError, match="distance: expected a finite number above 0"):
        rn.fixed_points_of(identity, H0, [0.0]).unique(0.0)


def test_modules_without_a_step_in_time_or_in_half_precision_are_refused():
    with pytest.raises(UnsupportedError, match="bidirectional=False"):
        rn.fixed_points_of(torch.nn.GRU(3, 4, bidirectional=True), H0, [0.0] * 3)
    with pytest.raises(UnsupportedError, match=r"module\.float\(\)"):
        rn.fixed_points_of(torch.nn.GRU(3, 4).half(), H0, [0.0] * 3)
