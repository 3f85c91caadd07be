"""The quasi-static limit of plasticity: weights that move while a network trails its fixed points.

A stimulus x(t) of duration P is shown at a speed s, as x(s t) in the time P / s, while weights
change by p s h(w, v, y), at a speed of plasticity p. The rule at fixed points predicts

    change of w   p * integral of h(w0, v*, y*(x)) over a showing

What a simulation does differs from it, to first order in s and p, by the derivatives of h along

    rates       s J^{-1} ds*/dt                              they trail y* (`predict_lag`)
    variables   s A^{-1} du*/dt, A = dF_u/du                 fast ones trail their rest
                p * integral of F_v                          slow ones move away from their rest
    weights     p * integral of h, and -J^{-1} F_I dw y*     weights move, and y* with them

each with the fast variables' response to it. The derivatives are those of the rule's own equations.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.equations import PlasticitySpec, expressions, load_plasticity
from ratenet.equations.units import unit_text
from ratenet.errors import ConvergenceError, DivergenceError, InputError, UnsupportedError
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.fixed_points.status import Status, at_rest
from ratenet.linear_algebra import require_memory
from ratenet.network import Network
from ratenet.quasi_static.lag import predict_lag
from ratenet.quasi_static.plasticity_equations import Values
from ratenet.quasi_static.plasticity_limit import MOST, Corrections, Limit
from ratenet.quasi_static.plasticity_results import PlasticityLag
from ratenet.quasi_static.showing import Showing, showing_of
from ratenet.simulation import Trajectory
from ratenet.simulation.plasticity import Plasticity, bind
from ratenet.simulation.plasticity.bound import MODES
from ratenet.simulation.plasticity.constraint import constraint_of
from ratenet.simulation.plasticity.layout import Listed, layout_of
from ratenet.simulation.plasticity.signals import Feedback, Signal


@computation()
@torch.no_grad()
def measure_plasticity_lag(
    network: Network,
    drive: Any,
    duration: Any,
    dt: Any,
    plasticity: PlasticitySpec | str | Path,
    *,
    slow: Sequence[str] = (),
    signals: Mapping[str, Any] | None = None,
    weights: str = "own",
    speeds: Sequence[float] = (1.0, 0.5, 0.25),
    plasticity_speeds: float | Sequence[float] | None = None,
    initial: Any = None,
    records: int = 200,
    method: str = "euler",
    tol: float | None = None,
) -> PlasticityLag:
    """Measure how far plasticity in time differs from the rule at fixed points, and predict it.

    Parameters
    ----------
    network : Network
        The network that is simulated, with its weights at the beginning of the showing.
    drive : Drive, SampledDrive or function, or array_like of shape (S, N)
        A stimulus that changes continuously. An array holds at least two stimuli, shown in turn:
        each changes into the next, and the last one into the first.
    duration, dt : Quantity or float
        Length of a showing at speed 1, and the longest time step of the simulations; floats are
        seconds.
    plasticity : PlasticitySpec, str or Path
        Equations of the weights, as `load_plasticity` takes them.
    slow : sequence of str
        Variables of units that are slower than the stimulus, as for `PlasticitySpec.rule`.
    signals : mapping, optional
        Third factors, as for `simulate`; those that change in time change with the stimulus.
    weights : {"own", "shared"}
        Whether each stream of the drive has weights of its own, or all share theirs.
    speeds : sequence of float
        Speeds s of the stimulus: x(s t) is shown, for duration / s. The ratio of the network's time
        constants to the stimulus' is proportional to it.
    plasticity_speeds : float or sequence of float, optional
        Speeds p of plasticity, one for all or one for each of `speeds`: a showing changes the
        weights p times as much, for dw/dt and the slow variables' derivatives are multiplied by
        p s. The ratio of the duration to the weights' time constant is proportional to it.
        Default: `speeds`.

    Other Parameters
    ----------------
    initial : mapping or array_like, optional
        State from which the first fixed point is looked for, as for `find_fixed_points`.
    records : int
        Times of a showing, apart from its beginning, at which fixed points are solved for.
    method : {"euler", "exponential_euler", "rk4"}
        Integration method of the rates.
    tol : float, optional
        Largest residual of a fixed point, as for `find_fixed_points`.

    Returns
    -------
    PlasticityLag

    Raises
    ------
    InputError
        If an argument does not fit, the drive does not change or jumps, or the rule changes no
        weight.
    UnsupportedError
        If the rule has none at fixed points (`PlasticitySpec.rule`), the model has noise, or the
        connectivity does not let each synapse change by itself.
    ConvergenceError
        If the network has no stable fixed point at some time.
    DivergenceError
        If weights explode in a simulation.

    Notes
    -----
    Rates and variables start at rest for the beginning of the stimulus, slow variables at rest for
    its mean; what they need to begin to trail is of second order. A step's change of weights takes
    the rates at its beginning, and so does the change at fixed points. The prediction costs about
    ten evaluations of dw/dt for each record, in the memory of B N^2 numbers each.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("rate", [[0.0, 0.4], [0.3, 0.0]], parameters={"tau": [0.01, 0.02]})
    >>> found = measure_plasticity_lag(
    ...     network, [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], 1.0, 2e-3, "oja", speeds=[0.25]
    ... )
    >>> print(found.to_dataframe()[["difference", "predicted", "remaining"]].round(4))
       difference  predicted  remaining
    0      0.0063     0.0057     0.0011
    """
    if weights not in MODES:
        raise InputError.at("weights", got=weights, expected="'own' or 'shared'")
    showing = showing_of(network, drive, duration, dt, speeds, plasticity_speeds, records, method)
    rule = _rule(network, plasticity, slow, signals, showing)
    path = _path(showing, initial, tol)
    lag = predict_lag(path, showing.velocities())
    names = (slow,) if isinstance(slow, str) else tuple(dict.fromkeys(slow))
    limit = Limit(rule, names, path, lag, showing.step, weights == "shared")
    rest = limit.slow_rest()
    corrections = limit.corrections(rest)
    if not bool(corrections.at_fixed_points.any()):
        raise InputError(
            f"plasticity: {rule.spec.name!r} changes no weight at these fixed points, so there is "
            "nothing to compare a simulation with; name variables that are slower than the "
            "stimulus in slow=.",
            argument="plasticity",
            got=rule.spec.name,
        )
    start = limit.start(rest)
    runs = [
        _simulated(showing, rule, names, weights, start, path, index)
        for index in range(len(showing.speeds))
    ]
    return _results(showing, limit, corrections, runs)


def _rule(
    network: Network, plasticity: Any, slow: Any, signals: Any, showing: Showing
) -> Plasticity:
    """Return the rule with its parameters and signals; refuse one that has none at fixed points."""
    spec = load_plasticity(plasticity)
    given = spec.given_signals(signals)
    spec.rule(slow, dict.fromkeys(given, 1.0))  # refuses what has no rest, whatever the signals
    W = network.connectivity
    if not constraint_of(W).is_direct or isinstance(layout_of(W), Listed):
        raise UnsupportedError(
            "network: the prediction needs weights that change synapse by synapse, as Dense, "
            "Masked and Signed (projection) weights do; use "
            "network.changed(W=network.connectivity.dense()).",
            argument="network",
            got=network.connectivity,
        )
    B, N = showing.streams, network.units
    rows = max(B, MOST // N**2)
    require_memory(
        30.0 * rows * N**2 * network.dtype.itemsize,
        f"plasticity: dw/dt of {N * N:,} synapses for {B:,} stimuli",
        "use fewer units or stimuli",
        device=network.device,
    )
    return bind(spec, network, B, "own", signals, None)


def _path(showing: Showing, initial: Any, tol: float | None) -> FixedPoints:
    """Return the fixed points of all records: those that a slow simulation follows."""
    network, drives = showing.network, showing.drives()
    first = find_fixed_points(network, drives[: showing.streams], initial=initial, tol=tol)
    run = showing.simulated(min(showing.speeds), first.state)
    state = torch.stack([run.states[name] for name in network.model.states]).flatten(1, 2)
    found = find_fixed_points(network, drives, initial=state, tol=tol, on_failure="return")
    missing = torch.nonzero(~at_rest(found.status))
    if len(missing):
        row = int(missing[0])
        t, stream = showing.times[row // showing.streams], row % showing.streams
        sentence = Status(int(found.status[row])).sentence
        raise ConvergenceError(
            f"drive: the network is at no stable fixed point at t = {t:g} s of stimulus {stream}. "
            f"{sentence}",
            found,
            argument="drive",
        )
    return found


def _simulated(
    showing: Showing,
    rule: Plasticity,
    slow: Sequence[str],
    weights: str,
    start: Values,
    path: FixedPoints,
    index: int,
) -> Trajectory:
    """Simulate the rule, scaled to the speeds."""
    speed, moving = showing.speeds[index], showing.plasticity_speeds[index]
    try:
        return showing.simulated(
            speed,
            path.state[:, : showing.streams],
            plasticity=_scaled(rule.spec, (rule.weight, *slow), speed * moving),
            weights=weights,
            signals={name: _slowed(signal, speed) for name, signal in rule.signals.items()},
            initial_plasticity=start,
        )
    except DivergenceError as error:
        raise error.within(f"speed {speed:g}, plasticity {moving:g}") from None


def _slowed(signal: Signal, speed: float) -> Any:
    if signal.is_constant:
        return signal.source
    return Feedback(lambda t, rates: signal.at(speed * t, rates))


def _scaled(spec: PlasticitySpec, names: Sequence[str], factor: float) -> PlasticitySpec:
    """Return the rule with the derivatives of some variables multiplied by a factor."""
    lines = []
    for statement in spec.statements:
        unit, name = unit_text(statement.dimensions), statement.name
        left = f"d{name}/dt" if statement.is_differential else name
        right = ""
        if statement.expression is not None:
            right = f" = {expressions.to_text(statement.expression)}"
            if name in names and statement.is_differential:
                right = f" = {factor!r} * ({expressions.to_text(statement.expression)})"
        lines.append(f"{left}{right} : {unit}{' (summed)' if statement.is_sum else ''}")
    return dataclasses.replace(spec, equations="\n".join(lines))


def _results(
    showing: Showing, limit: Limit, found: Corrections, runs: Sequence[Trajectory]
) -> PlasticityLag:
    rule, B = limit.rule, showing.streams
    W = rule.initial[rule.weight][:1]
    y, lag = (rates.unflatten(0, (-1, B)) for rates in (limit.fp.rates, limit.lag.rates))
    size = y.square().sum(dim=(0, 2)).sqrt()  # (B,)
    rows = []
    for run, s, p in zip(runs, showing.speeds, showing.plasticity_speeds, strict=True):
        shift = 0.5 * showing.duration / showing.steps(s)  # Euler takes the left end of each step
        change = p * (found.at_fixed_points - shift * (found.last - found.first))
        allowed = _constrained(rule, W + change)
        kept = allowed == W + change  # the others stop at 0
        lags = run.rates - y, s * lag + p * found.shift
        rows.append(
            {
                "change": run.final_weights - W,
                "at_fixed_points": allowed - W,
                "from_rates": p * s * found.rates * kept,
                "from_variables": p * (s * found.trailing + p * found.drifting) * kept,
                "from_weights": p * p * found.weights * kept,
                "rates_lag": lags[0].square().sum(dim=(0, 2)).sqrt() / size,
                "rates_predicted": lags[1].square().sum(dim=(0, 2)).sqrt() / size,
            }
        )
    return PlasticityLag(
        speeds=y.new_tensor(showing.speeds),
        plasticity_speeds=y.new_tensor(showing.plasticity_speeds),
        fixed_points=limit.fp,
        **{name: torch.stack([row[name] for row in rows]) for name in rows[0]},
    )


def _constrained(rule: Plasticity, weights: Tensor) -> Tensor:
    """Return weights as the connectivity lets them be."""
    allowed = weights.clone()
    rule.constraint.constrain_(allowed, are_weights=True)
    return allowed
