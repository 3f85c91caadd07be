"""What each rule would have changed: from the network before learning to predicted changes.

weights     D_k = dW_k / eta                       as eta goes to 0
rates       (I - G W)^{-1} G D_k y                 at the same stimuli, to first order
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ratenet.connectivity import Dense
from ratenet.equations.recording import without_folders
from ratenet.equations.units import DIMENSIONLESS, Dimension, Quantity
from ratenet.errors import InputError, SingularError, UnsettledError, counted
from ratenet.fixed_points import FixedPoints, find_fixed_points
from ratenet.fixed_points.solvers.newton import preconditioner
from ratenet.linear_algebra import gmres
from ratenet.network import Network
from ratenet.network.coerce import as_tensor
from ratenet.plasticity import RULES, AbstractRule, Loss, rule_named
from ratenet.plasticity.loss import slope

Rules = Sequence[Any] | Mapping[str, Any]
ROWS = 20_000  # samples that are solved at once


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the network was shown and taught, at its fixed points before learning.

    Attributes
    ----------
    fp : FixedPoints
    error : Tensor or None, shape (B, N)
        e = dL/dy.
    loss : callable or None
        From rates (B, N) to each sample's loss (B,).
    """

    fp: FixedPoints
    error: Tensor | None = None
    loss: Loss | None = None


def lesson(
    network: Network, drive: Any, *, error: Any = None, target: Any = None, loss: Loss | None = None
) -> Lesson:
    """Find the fixed points before learning, and the errors there.

    Raises
    ------
    InputError
        If shapes or units do not fit, or both an error and a target are given.
    UnsettledError
        If no sample settles.
    """
    if error is not None and target is not None:
        raise InputError.at("error", found="error and target", expected="one of the two")
    fp = find_fixed_points(network, drive, on_failure="return")
    if not fp.converged.any():
        raise UnsettledError(f"None of the stimuli has a fixed point to learn at.\n{fp.summary()}")
    if error is not None:
        # The unit is that of the loss over the rates, and every loss is allowed.
        plain = np.asarray(error) if isinstance(error, Quantity) else error
        return Lesson(fp, _rows(fp, plain, "error", DIMENSIONLESS), loss)
    if target is not None:
        aim = _rows(fp, target, "target", network.model.output_dimensions)
        return Lesson(fp, fp.rates - aim, loss or (lambda y: ((y - aim) ** 2).sum(dim=1) / 2))
    return Lesson(fp, None if loss is None else slope(loss, fp.rates), loss)


def _rows(fp: FixedPoints, value: Any, where: str, dimensions: Dimension) -> Tensor:
    """Return an array as (B, N); (N,) is the same for all stimuli."""
    like = fp.rates
    tensor = as_tensor(value, dimensions, where, like.dtype, like.device)
    if tensor.shape not in (like.shape, like.shape[1:]):
        raise InputError.at(
            where,
            got=tuple(tensor.shape),
            expected=f"shape (B, N) = {tuple(like.shape)}, one row per stimulus",
        )
    return tensor.expand_as(like)


def named_rules(rules: Rules) -> dict[str, AbstractRule]:
    """Return the candidates by the names that results show.

    Raises
    ------
    InputError
        If there is none, one is not a rule, or two have the same name.
    UnknownNameError
        If there is no rule of a name.
    """
    if isinstance(rules, Mapping) and "name" not in rules:
        pairs = [(str(name), rule_named(rule)) for name, rule in rules.items()]
    else:
        single = isinstance(rules, str | Mapping | type) or not isinstance(rules, Iterable)
        read = [rule_named(rule) for rule in ([rules] if single else rules)]
        pairs = [(_label(rule), rule) for rule in read]
    named = dict(pairs)
    if not named or len(named) < len(pairs) or "none" in named:
        raise InputError.at(
            "rules",
            got=[name for name, _ in pairs],
            expected="one or more, each once, and none called 'none'",
        )
    return named


def _label(rule: AbstractRule) -> str:
    """Return what results call a rule: as it is written, its file without folders."""
    text = without_folders(RULES.written(rule))
    return str(getattr(rule, "name", text)) if text.startswith("<") else text


def predict_weights(taught: Lesson, rules: Mapping[str, AbstractRule]) -> Tensor:
    """Return the change of W for unit learning rate by each rule, shape (K, N, N).

    Raises
    ------
    InputError
        If a rule needs an error or a loss that is not there.
    UnsupportedError, SingularError
        If a rule is not defined for this network; the rule is named.
    """
    return torch.stack([_prediction(taught, name, rule) for name, rule in rules.items()])


def _prediction(taught: Lesson, name: str, rule: AbstractRule) -> Tensor:
    if rule.traits.uses_error and taught.error is None:
        raise InputError(f"rule {name}: it needs errors; give error=, target= or loss=.")
    fp = taught.fp
    error = torch.zeros_like(fp.rates) if taught.error is None else taught.error
    # Small, so that a step that is not proportional to the rate is taken to first order.
    rate = torch.finfo(fp.rates.dtype).eps ** 0.5
    delta = rule.update(fp, error, rate, loss=taught.loss)
    W = fp.network.connectivity
    if isinstance(W, Dense):
        return W.named(delta)["W"] / rate
    moved = W.with_parameters({key: value.clone() for key, value in W.parameters.items()})
    moved.add_(delta)
    return (moved.dense() - W.dense()) / rate


def predict_rates(fp: FixedPoints, changes: Tensor) -> Tensor:
    """Return the changes of the rates that changes of W (K, N, N) make, shape (K, B, N).

    To first order, at the same drives: (I - G W)^{-1} G D y; NaN for samples that did not settle.

    Raises
    ------
    SingularError
        If I - G W is singular to working precision for a settled sample.
    """
    settled = torch.nonzero(fp.converged)[:, 0]
    rates, gain = fp.rates[settled], fp.gain[settled]
    result = changes.new_full((len(changes), *fp.rates.shape), torch.nan)
    some = max(1, ROWS // len(settled))
    for begin in range(0, len(changes), some):
        part = changes[begin : begin + some]
        push = gain * torch.einsum("bj,kij->kbi", rates, part)
        solved = _respond(fp, gain.repeat(len(part), 1), push.flatten(0, 1))
        result[begin : begin + some, settled] = solved.view_as(push)
    return result


def _respond(fp: FixedPoints, gain: Tensor, right: Tensor) -> Tensor:
    """Return (I - G W)^{-1} right for each row, by GMRES."""
    W, Q = fp.network.connectivity, fp.mean_response

    def operator(samples: Tensor, vectors: Tensor) -> Tensor:
        return torch.addcmul(vectors, gain[samples], W.apply(vectors), value=-1)

    tol = 1e-10 if right.dtype == torch.float64 else 1e-5
    found = gmres(operator, right, tol, 300, preconditioner(gain, Q))
    missing = int((~(found.residual <= tol)).sum())
    if missing:
        raise SingularError(
            f"The response of the rates to a change of W was not found for {missing} of "
            f"{counted(len(right), 'row')}: I - G W is close to singular; leave these stimuli out, "
            "or compare weights instead."
        )
    return found.values
