"""Every kind of connectivity: its products, its gradient, its constraint, and what uses it.

A new connectivity is one more row of KINDS; a rectangular one, of RECTANGULAR.
"""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from helpers.problems import FLOAT, random, random_weights
from torch import Tensor

import ratenet as rn
from ratenet.connectivity import (
    AbstractConnectivity,
    Block,
    Chain,
    Convolution,
    Dense,
    LowRank,
    Masked,
    Pooling,
    Signed,
    Sum,
)
from ratenet.connectivity.base import weight_change
from ratenet.errors import InputError, UnsupportedError
from ratenet.plasticity import (
    AbstractRule,
    Euclidean,
    GainFreeReparameterized,
    LinearizedReparameterized,
    Reparameterized,
)


def masked(post: int = 10, pre: int = 10, density: float = 0.4) -> Masked:
    mask = torch.rand(post, pre, generator=torch.Generator().manual_seed(1)) < density
    return Masked(random(post, pre, seed=2, scale=0.5 / (density * pre) ** 0.5) * mask, mask)


def signed(post: int = 10, pre: int = 10, update: str = "projection") -> Signed:
    signs = torch.ones(pre, dtype=FLOAT)
    signs[::3] = -1.0
    W = random(post, pre, seed=3, scale=0.3 / pre**0.5).abs() * signs
    W[0, 1] = 0.0
    return Signed(W, signs, update)


def low_rank(post: int = 10, pre: int = 10) -> LowRank:
    return LowRank(random(post, 2, seed=4), random(pre, 2, seed=5))


def convolution(post: int = 2, pre: int = 2, border: str = "circular", k: int = 3) -> Convolution:
    return Convolution(random(post, pre, k, k, seed=6, scale=0.1), 5, 6, border)


def strided(border: str, post: int = 3, k: int = 3, stride: int = 2) -> Convolution:
    return Convolution(random(post, 2, k, k, seed=6), 5, 6, border, stride=stride)


def pooled() -> Chain:
    """Return means over squares of two channels, without the last row, and weights behind."""
    pool = Pooling(torch.tensor(0.25, dtype=FLOAT), channels=2, height=5, width=6, size=2)
    return Chain({"pool": pool, "mask": masked(8, 12), "read_in": Dense(random(4, 8, seed=30))})


def two_parts() -> Sum:
    return Sum({"random": masked(), "structure": low_rank()})


def blocks(size: int = 10) -> Block:
    """Return a layer of 10 units and one of 4, with feedback and without a self-connection."""
    forth, back = random(4, size, seed=7, scale=0.1), signed(size, 4)
    parts = {"lower": {"lower": masked(), "upper": back}, "upper": {"lower": Dense(forth)}}
    return Block(parts, {"lower": size, "upper": 4})


def convolutional_blocks() -> Block:
    """Return two layers of 1 and 2 channels on the same grid, each a sum or a convolution."""
    parts = {
        "lower": {"lower": convolution(1, 1), "upper": convolution(1, 2, "zero")},
        "upper": {"upper": Sum({"near": convolution()}), "lower": convolution(2, 1)},
    }
    return Block(parts, {"lower": 30, "upper": 60})


KINDS: dict[str, Callable[[], AbstractConnectivity]] = {
    "dense": lambda: Dense(random_weights(10, seed=8)),
    "masked": masked,
    "masked_sparse": lambda: masked(40, 40, 0.04),
    "signed": signed,
    "signed_exponentiated": lambda: signed(update="exponentiated"),
    "low_rank": low_rank,
    "convolution_circular": convolution,
    "convolution_zero": lambda: convolution(border="zero"),
    "convolution_1x1": lambda: convolution(k=1),
    "convolution_5x5": lambda: convolution(k=5),
    "sum": two_parts,
    "block": blocks,
    "block_of_convolutions": convolutional_blocks,
}
RECTANGULAR: dict[str, Callable[[], AbstractConnectivity]] = {
    "dense": lambda: Dense(random(3, 7, seed=9)),
    "masked": lambda: masked(6, 9),
    "masked_sparse": lambda: masked(30, 50, 0.04),
    "signed": lambda: signed(5, 9),
    "low_rank": lambda: low_rank(5, 9),
    "convolution_circular": lambda: convolution(3, 2),
    "convolution_zero": lambda: convolution(1, 2, "zero"),
    "convolution_strided": lambda: strided("zero"),
    "convolution_strided_circular": lambda: strided("circular", 1, 5),
    "convolution_stride_3": lambda: strided("circular", 2, 3, 3),
    "chain": pooled,
    "chain_of_convolutions": lambda: Chain({"a": convolution(2, 1), "b": strided("zero")}),
    "sum": lambda: Sum({"a": low_rank(3, 7), "b": Dense(random(3, 7, seed=9))}),
}
ANY = {**KINDS, **{f"rectangular_{name}": make for name, make in RECTANGULAR.items()}}
every_kind = pytest.mark.parametrize("name", KINDS)
any_shape = pytest.mark.parametrize("name", ANY)
RULES = (Euclidean(), LinearizedReparameterized(), GainFreeReparameterized())
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)


def kept(connectivity: AbstractConnectivity) -> bool:
    """Return whether the constraint of a kind holds, looked at from its matrix."""
    match connectivity:
        case Masked(W=W, mask=mask):
            return bool((W[~mask] == 0).all())
        case Signed(W=W, signs=signs):
            return bool((W * signs >= 0).all())
        case LowRank():
            return int(torch.linalg.matrix_rank(connectivity.dense())) <= 2
        case Convolution(border="circular"):
            y = random(1, connectivity.shape[1], seed=10).view(1, -1, 5, 6)
            moved = connectivity.apply(y.roll((2, 1), (2, 3)).flatten(1)).view(1, -1, 5, 6)
            unmoved = connectivity.apply(y.flatten(1)).view(1, -1, 5, 6)
            return torch.allclose(moved, unmoved.roll((2, 1), (2, 3)), rtol=0, atol=1e-12)
        case Sum(parts=parts):
            return all(kept(part) for part in parts.values())
        case Block(blocks=blocks):
            return all(kept(part) for row in blocks.values() for part in row.values())
    return True


def on_the_pattern(connectivity: AbstractConnectivity, name: str, gradient: Tensor) -> Tensor:
    """Return a parameter's gradient without the entries that a mask leaves out."""
    for part in name.split(".")[:-1]:
        connectivity = connectivity.parts[part]
    return gradient * connectivity.mask if isinstance(connectivity, Masked) else gradient


# products ---------------------------------------------------------------------------------------


@any_shape
def test_apply_is_the_product_with_the_dense_matrix(name: str) -> None:
    connectivity = ANY[name]()
    W, y = connectivity.dense(), random(3, connectivity.shape[1], seed=11)
    assert W.shape == connectivity.shape
    torch.testing.assert_close(connectivity.apply(y), y @ W.T, rtol=0, atol=1e-13)


@any_shape
def test_apply_transpose_is_the_adjoint_of_apply(name: str) -> None:
    connectivity = ANY[name]()
    post, pre = connectivity.shape
    u, v = random(3, post, seed=12), random(3, pre, seed=13)
    forward = (u * connectivity.apply(v)).sum(1)
    backward = (connectivity.apply_transpose(u) * v).sum(1)
    torch.testing.assert_close(forward, backward, rtol=0, atol=1e-12)


@any_shape
def test_a_product_is_added_to_columns_of_a_larger_tensor(name: str) -> None:
    connectivity = ANY[name]()
    post, pre = connectivity.shape
    rates, values = random(3, pre + 2, seed=31)[:, 1:-1], random(3, post + 2, seed=32)[:, 1:-1]
    for given, size, apply, add_ in (
        (rates, post, connectivity.apply, connectivity.add_product_),
        (values, pre, connectivity.apply_transpose, connectivity.add_transposed_product_),
    ):
        whole = random(3, size + 5, seed=33)
        before = whole.clone()
        expected = before[:, 2:-3] + apply(given.contiguous())  # with gradients on: another way
        with torch.no_grad():
            add_(whole[:, 2:-3], given)
        torch.testing.assert_close(whole[:, 2:-3], expected, rtol=1e-14, atol=1e-14)
        for columns in (slice(0, 2), slice(-3, None)):
            assert torch.equal(whole[:, columns], before[:, columns])


def test_large_float32_products_of_columns_are_those_of_copies() -> None:
    # As large as the route for large products takes them, on a CPU that has it.
    product = Dense(torch.randn(130, 140, generator=torch.Generator().manual_seed(34)))
    rows = torch.randn(20, 150, generator=torch.Generator().manual_seed(35))[:, 5:145]
    total = torch.zeros(20, 200)
    with torch.no_grad():
        product.add_product_(total[:, 10:140], rows)
        assert torch.equal(total[:, 10:140], product.apply(rows.contiguous()))
        assert torch.equal(product.apply(rows), product.apply(rows.contiguous()))


@any_shape
def test_accumulate_is_the_gradient_for_the_parameters(name: str) -> None:
    connectivity = ANY[name]()
    post, pre = connectivity.shape
    left, right = random(3, post, seed=14), random(3, pre, seed=15)
    leaves = {key: p.clone().requires_grad_() for key, p in connectivity.parameters.items()}
    (left * connectivity.with_parameters(leaves).apply(right)).sum().backward()
    change = connectivity.accumulate(left, right)
    assert isinstance(change, Tensor) == (len(leaves) == 1)
    found = connectivity.named(change)
    assert list(found) == list(leaves)
    for key, leaf in leaves.items():
        expected = on_the_pattern(connectivity, key, leaf.grad)
        torch.testing.assert_close(found[key], expected, rtol=0, atol=1e-12)


@any_shape
def test_a_small_change_of_the_parameters_changes_the_matrix_so(name: str) -> None:
    connectivity = ANY[name]()
    post, pre = connectivity.shape
    change = connectivity.accumulate(random(3, post, seed=14), random(3, pre, seed=15))
    u, v = random(1, post, seed=16), random(1, pre, seed=17)
    found = (u @ weight_change(connectivity, change) @ v.T).item()
    slopes = connectivity.named(connectivity.accumulate(u, v))  # of u^T W v
    named = connectivity.named(change)
    expected = sum(float((slopes[key] * named[key]).sum()) for key in slopes)
    assert found == pytest.approx(expected, rel=1e-12)


@any_shape
def test_a_change_in_place_is_seen_by_all_products(name: str) -> None:
    connectivity = ANY[name]()
    post, pre = connectivity.shape
    y, u = random(2, pre, seed=16), random(2, post, seed=17)
    connectivity.apply(y), connectivity.apply_transpose(u)  # what is kept is made here
    version = connectivity.version
    assert connectivity.version == version
    change = connectivity.accumulate(random(2, post, seed=18, scale=0.1), y)
    connectivity.add_(change)
    assert connectivity.version != version
    W = connectivity.with_parameters(
        {key: p.clone() for key, p in connectivity.parameters.items()}
    ).dense()
    torch.testing.assert_close(connectivity.apply(y), y @ W.T, rtol=0, atol=1e-12)
    torch.testing.assert_close(connectivity.apply_transpose(u), u @ W, rtol=0, atol=1e-12)


@any_shape
def test_nobody_else_holds_a_product(name: str) -> None:
    connectivity = ANY[name]()
    y = random(3, connectivity.shape[1], seed=19)
    before = y.clone()
    first, again = connectivity.apply(y), connectivity.apply(y)
    first += 1.0
    assert torch.equal(y, before)
    assert torch.equal(connectivity.apply(y), again)


@pytest.mark.parametrize("transposed", [False, True])
def test_sparse_rows_in_float32_follow_the_weights(transposed: bool) -> None:
    mask = torch.rand(200, 200, generator=torch.Generator().manual_seed(20)) < 0.02
    sparse, y = Masked(random(200, 200, seed=21).float() * mask, mask), random(50, 200, seed=22)
    assert sparse.cost == int(mask.sum())
    product = sparse.apply_transpose if transposed else sparse.apply
    for _ in range(2):
        W = sparse.W.double()
        torch.testing.assert_close(
            product(y.float()).double(), y @ (W if transposed else W.T), rtol=0, atol=1e-4
        )
        sparse.add_(torch.ones(200, 200))


def test_what_products_cost() -> None:
    assert Dense(random_weights(10, seed=8)).cost == 100
    assert low_rank(10, 20).cost == 60
    assert convolution(2, 3).cost == 2 * 3 * 9 * 30
    assert two_parts().cost == 100 + 40


def test_a_chain_refuses_parts_that_do_not_meet() -> None:
    with pytest.raises(InputError, match="b takes 7 units, and a before it gives 5"):
        Chain({"a": Dense(random(5, 3, seed=1)), "b": Dense(random(2, 7, seed=1))})


def test_pooling_is_what_torch_says_and_refuses_large_squares() -> None:
    pool = Pooling(torch.tensor(1 / 9, dtype=FLOAT), channels=2, height=7, width=8, size=3)
    y = random(2, 2 * 7 * 8, seed=31)
    expected = torch.nn.AvgPool2d(3)(y.unflatten(1, (2, 7, 8))).flatten(1)
    torch.testing.assert_close(pool.apply(y), expected, rtol=0, atol=1e-15)
    assert pool.parameters == {} and pool.dtype == FLOAT
    with pytest.raises(InputError, match="size: expected at most the height 7 and the width 8"):
        Pooling(pool.share, channels=2, height=7, width=8, size=8)
    with pytest.raises(InputError, match="share"):
        Pooling(0.25, channels=2, height=7, width=8, size=2)


def test_no_matrix_is_built_of_many_units() -> None:
    large = Convolution(random(16, 16, 3, 3, seed=23).float(), 28, 28)
    with pytest.raises(UnsupportedError, match="12544 x 12544 units is not built"):
        large.dense()


# constraints ------------------------------------------------------------------------------------


def task(name: str) -> tuple[rn.Network, Tensor, Tensor]:
    """Return a tanh network of a kind, drives, and rates that it should have."""
    network = rn.Network("rate", KINDS[name]())
    drive = random(4, network.units, seed=24, scale=0.7)
    return network, drive, 0.5 * torch.tanh(random(4, network.units, seed=25))


@every_rule
@every_kind
def test_the_constraint_is_kept_by_every_rule(name: str, rule: AbstractRule) -> None:
    network, drive, target = task(name)
    weights = sum(p.numel() for p in network.connectivity.parameters.values())
    places = max(1.0, network.connectivity.cost / weights)  # that share a weight, on the average
    rate = (0.05 if isinstance(rule, Euclidean) else 0.005) / places
    losses = []
    before = network.connectivity.dense().clone()
    for _ in range(100):
        fp = rn.find_fixed_points(network, drive, tol=1e-7, certificate="residual")
        error = fp.rates - target
        losses.append(0.5 * float(error.square().sum(dim=1).mean()))
        network.connectivity.add_(rule.update(fp, error, rate))
    assert kept(network.connectivity)
    assert (network.connectivity.dense() - before).abs().max() > 1e-4
    assert losses[-1] < losses[0]
    if isinstance(rule, Euclidean):
        assert all(later <= earlier for earlier, later in itertools.pairwise(losses))


@every_kind
def test_what_others_changed_is_put_back(name: str) -> None:
    connectivity = KINDS[name]()
    allowed = {key: p.clone() for key, p in connectivity.parameters.items()}
    connectivity.constrain_()
    assert all(torch.equal(p, allowed[key]) for key, p in connectivity.parameters.items())
    for index, p in enumerate(connectivity.parameters.values()):
        p.add_(random(*p.shape, seed=26 + index))
    connectivity.constrain_()
    assert kept(connectivity)


def test_a_dense_change_of_masked_weights_stays_on_the_pattern() -> None:
    connectivity = masked()
    before = connectivity.W.clone()
    connectivity.add_(torch.ones(10, 10, dtype=FLOAT))
    assert torch.equal(connectivity.W, before + connectivity.mask)


def test_projection_goes_to_the_nearest_allowed_matrix() -> None:
    connectivity = signed()
    delta = random(10, 10, seed=27)
    wanted = connectivity.W + delta
    connectivity.add_(delta)
    expected = torch.where(wanted * connectivity.signs > 0, wanted, 0.0)
    torch.testing.assert_close(connectivity.W, expected, rtol=0, atol=0)


def test_the_exponentiated_update() -> None:
    """|W| exp(sign D), written out; to first order W changes by |W| D; zero stays zero."""
    connectivity = signed(update="exponentiated")
    W, delta = connectivity.W.clone(), random(10, 10, seed=28)
    connectivity.add_(delta)
    expected = torch.sign(W) * W.abs() * torch.exp(torch.sign(W) * delta)
    torch.testing.assert_close(connectivity.W, expected, rtol=1e-14, atol=0)
    assert connectivity.W[0, 1] == 0
    small = signed(update="exponentiated")
    small.add_(1e-6 * delta)
    torch.testing.assert_close((small.W - W) / 1e-6, W.abs() * delta, rtol=0, atol=1e-5)


# what uses them ---------------------------------------------------------------------------------


@every_kind
def test_solvers_simulation_and_stability_see_the_same_network(name: str) -> None:
    network, drive, _ = task(name)
    dense = network.changed(W=network.connectivity.dense().clone())
    fp, expected = rn.find_fixed_points(network, drive), rn.find_fixed_points(dense, drive)
    torch.testing.assert_close(fp.rates, expected.rates, rtol=0, atol=1e-8)
    torch.testing.assert_close(fp.abscissa([0]), expected.abscissa([0]), rtol=1e-6, atol=1e-6)
    error = random(*drive.shape, seed=29)
    adjoint = rn.solve_adjoint(fp, error)
    assert adjoint.converged.all()
    torch.testing.assert_close(
        adjoint.values, rn.solve_adjoint(expected, error).values, rtol=0, atol=1e-7
    )
    runs = [rn.simulate(n, drive, duration=0.02, dt=0.001) for n in (network, dense)]
    torch.testing.assert_close(runs[0].rates, runs[1].rates, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in KINDS if name != "dense"])
def test_the_exact_finite_step_is_for_dense_weights(name: str) -> None:
    network, drive, target = task(name)
    fp = rn.find_fixed_points(network, drive)
    with pytest.raises(UnsupportedError, match="defined for dense weights, not for"):
        Reparameterized().update(fp, fp.rates - target, 0.1)


def test_cheap_products_are_not_preconditioned_by_a_full_matrix() -> None:
    cheap = rn.find_fixed_points(*task("masked_sparse")[:2])
    assert "products with W cost a fraction" in cheap.summary()
    assert cheap.mean_response is None
    assert rn.find_fixed_points(*task("block")[:2]).mean_response is not None


def test_an_unsolved_adjoint_of_many_units_says_that_no_matrix_is_tried() -> None:
    factor = torch.ones(2001, 1, dtype=FLOAT)
    network = rn.Network("linear", LowRank(3.0 * factor, factor))
    fp = rn.fixed_points_at(network, torch.zeros(1, 2001), torch.zeros(1, 2001), tol=math.inf)
    adjoint = rn.solve_adjoint(fp, random(1, 2001, seed=30), max_iterations=1)
    assert not adjoint.converged.any()
    assert "above N = 2000 there is no dense solve" in adjoint.summary()


def test_two_layers_with_feedback_are_one_network() -> None:
    """Each its own time constant; at rest y = tanh(W y + x), with W put together by hand."""
    connectivity = blocks()
    tau = torch.cat([torch.full((10,), 0.01), torch.full((4,), 0.05)])
    network = rn.Network("rate", connectivity, parameters={"tau": tau})
    x = random(3, 14, seed=31)
    fp = rn.find_fixed_points(network, x)
    W = torch.zeros(14, 14, dtype=FLOAT)
    parts = connectivity.blocks
    W[:10, :10] = parts["lower"]["lower"].W
    W[:10, 10:] = parts["lower"]["upper"].W
    W[10:, :10] = parts["upper"]["lower"].W
    torch.testing.assert_close(fp.rates, torch.tanh(fp.rates @ W.T + x), rtol=0, atol=1e-9)
    jacobian = (fp.gain[0][:, None] * W - torch.eye(14, dtype=FLOAT)) / tau[:, None]
    abscissa = torch.linalg.eigvals(jacobian).real.max()
    torch.testing.assert_close(fp.abscissa([0])[0], abscissa, rtol=1e-9, atol=0)
    assert list(connectivity.parameters) == [
        "lower_from_lower.W",
        "lower_from_upper.W",
        "upper_from_lower.W",
    ]


# bad input --------------------------------------------------------------------------------------

SQUARE = torch.ones(3, 3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Dense(torch.ones(3)), r"W: expected shape \(post, pre\).*got \(3,\)"),
        (lambda: Dense([[1.0]]), "W: expected a torch tensor.*got list"),
        (lambda: Dense(torch.ones(2, 2, dtype=torch.int64)), "floating-point numbers"),
        (lambda: Dense(SQUARE * math.nan), r"9 NaN or infinite entries, the first at W\[0, 0\]"),
        (lambda: rn.Network("rate", Dense(torch.ones(2, 3))), "W: expected a square matrix"),
        (lambda: Masked(SQUARE, SQUARE), r"mask: expected a tensor of bool .* \(3, 3\)"),
        (lambda: Masked(SQUARE, torch.ones(2, 2).bool()), "mask: expected"),
        (lambda: Masked(0 * SQUARE, SQUARE == 0.5), "mask: expected at least one True"),
        (lambda: Masked(SQUARE, torch.eye(3).bool()), r"W has 6 entries.*first at W\[0, 1\]"),
        (lambda: Signed(SQUARE, torch.ones(2)), "signs: expected 3 numbers 1 or -1"),
        (lambda: Signed(SQUARE, torch.tensor([1, 0, -1])), "signs: expected 3 numbers"),
        (
            lambda: Signed(SQUARE, torch.tensor([1, 1, -1])),
            r"3 entries of the wrong sign, the first at W\[0, 2\]: unit 2 is inhibitory",
        ),
        (
            lambda: Signed(SQUARE, torch.ones(3), "clip"),
            "update: expected one of projection, exponentiated",
        ),
        (lambda: LowRank(torch.ones(3, 1), torch.ones(3, 2)), "m and n must have as many columns"),
        (lambda: LowRank(torch.ones(3), torch.ones(3)), r"m: expected shape \(post, R\)"),
        (lambda: Convolution(SQUARE, 3, 3), r"kernel: expected shape \(C_post, C_pre, k, k\)"),
        (lambda: Convolution(torch.ones(1, 1, 2, 2), 3, 3), "k odd.*got 2 x 2"),
        (lambda: Convolution(torch.ones(1, 1, 5, 5), 3, 9), "height 3.*got 5 x 5"),
        (
            lambda: Convolution(torch.ones(1, 1, 3, 3), 3.0, 3),
            "height: expected a whole number.*got 3.0",
        ),
        (
            lambda: Convolution(torch.ones(1, 1, 3, 3), 3, 3, "mirror"),
            "border: expected one of circular, zero",
        ),
        (lambda: Sum({}), "parts: expected at least one connectivity"),
        (
            lambda: Sum({"a.b": Dense(SQUARE)}),
            "expected a name without a dot, got 'a.b'",
        ),
        (
            lambda: Sum({"a": SQUARE}),
            r"parts, a: expected a connectivity, such as Dense\(W\), got Tensor",
        ),
        (
            lambda: Sum({"a": Dense(SQUARE), "b": Dense(SQUARE.double())}),
            "parts, b: torch.float64 on cpu does not go with a, torch.float32",
        ),
        (lambda: Sum({"a": Dense(SQUARE), "b": Dense(torch.ones(2, 2))}), "the same shape"),
        (
            lambda: Block({"a": {"b": Dense(SQUARE)}}, {"a": 3}),
            "blocks: Unknown population 'b'; available: a",
        ),
        (lambda: Block({"a": Dense(SQUARE)}, {"a": 3}), "blocks, a: expected a mapping"),
        (
            lambda: Block({"a": {"a": Dense(SQUARE)}}, {"a": 2}),
            r"a_from_a: expected .*, got \(3, 3\)",
        ),
        (
            lambda: Block({"a": {"a": Dense(SQUARE)}}, {"a": 0}),
            "sizes, a: expected a whole number.*got 0",
        ),
        (lambda: Block({}, {"a": 3}), "blocks: expected at least one connectivity"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make()
