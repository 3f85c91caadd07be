"""Newton's step of the whole network, and what follows from it: distances, predicted states.

    delta s = d + c (W delta y),      (I - g W) delta y = b = rho_s d

with each unit's step d at fixed input, c = ds/dI, rho_s = dy/ds and g = rho_s c. The system for
delta y is solved for each sample by GMRES: products with W only. Components that settle one after
another (`Network.components`) are solved in that order, with b + g F delta y of those before.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ratenet.connectivity.computation import computation
from ratenet.errors import InputError
from ratenet.fixed_points.certificate import UnitStep, unit_step
from ratenet.fixed_points.results import FixedPoints
from ratenet.linear_algebra import gmres
from ratenet.linear_algebra.gmres import Operator
from ratenet.network import Network

MAX_PRODUCTS = 60
SOLVED = 0.5  # largest residual of the linear system for which a step is worth anything


def corrected_step(found: UnitStep, Q: Tensor | None, step: Tensor) -> Tensor:
    """Return d + c (Q b) for steps d (k, b, N); d itself without Q."""
    if Q is None:
        return step
    output = (found.rho_s * step).sum(dim=0) if len(step) > 1 else found.rho_s[0] * step[0]
    product = output @ Q.T
    del output  # memory for the result
    return torch.addcmul(step, found.response, product)


class NewtonStep(NamedTuple):
    """Newton's step of the whole network, as far as GMRES solved for it."""

    step: Tensor  # (k, b, N)
    residual: Tensor  # (b,): of the linear system, relative
    products: int  # with W


def newton_step(
    network: Network, found: UnitStep, tol: float, max_products: int, Q: Tensor | None = None
) -> NewtonStep:
    """Solve for Newton's step to a relative residual of `tol`."""
    if network.components:
        return _in_turn(network, found, tol, max_products)
    gain, apply = found.gain, network.connectivity.apply

    def operator(samples: Tensor, values: Tensor) -> Tensor:
        return torch.addcmul(values, gain[samples], apply(values), value=-1)

    output = (found.rho_s * found.step).sum(dim=0)
    solved = gmres(operator, output, tol, max_products - 1, preconditioner(gain, Q))
    step = found.step + found.response * apply(solved.values)
    return NewtonStep(step, solved.residual, solved.products + 1)


def _in_turn(network: Network, found: UnitStep, tol: float, max_products: int) -> NewtonStep:
    """Solve for the steps of one component after the other."""
    step, output = found.step.clone(), torch.zeros_like(found.step[0])
    residual, products = torch.zeros_like(found.residual), 0
    for part in network.components:
        own = found.within(part)
        own = own._replace(step=own.step + own.response * part.input(output))
        solved = newton_step(part.network, own, tol, max_products)
        part.put_states(step, solved.step)
        part.of(output).copy_((own.rho_s * solved.step).sum(dim=0))
        residual = torch.maximum(residual, solved.residual)
        products = max(products, solved.products)
    return NewtonStep(step, residual, products)


def preconditioner(gain: Tensor, Q: Tensor | None) -> Operator | None:
    """Return v -> v + g (Q v), which is close to (I - g W)^{-1} v."""
    if Q is None:
        return None
    return lambda samples, values: (values @ Q.T).mul_(gain[samples]).add_(values)


@computation()
@torch.no_grad()
def estimate_distances(fp: FixedPoints) -> Tensor:
    """Estimate the distance of each state from the nearby fixed point.

    Parameters
    ----------
    fp : FixedPoints
        Fixed points, solved or measured.

    Returns
    -------
    Tensor, shape (B,)
        Largest entry of Newton's step of the whole network, in SI units of the state; NaN where
        the state is not finite, or the linear system is not solved within 60 products.

    Raises
    ------
    StaleError
        If the weights changed after the fixed points were found.

    Notes
    -----
    The residual says how far each unit is from rest at its present input; with the feedback of
    the others it may be a multiple of that from the fixed point. Newton's step is that distance
    up to its square, and to the tenth up to which the linear system is solved. In float32 what
    rounding hides of the residual cannot be seen. Cost: about ten products with W.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.9]])  # y = 10
    >>> fp = rn.fixed_points_at(network, [1.0], [9.0])
    >>> fp.absolute_residual, rn.estimate_distances(fp)
    (tensor([0.1000], dtype=torch.float64), tensor([1.0000], dtype=torch.float64))
    """
    fp.check_current()
    found = unit_step(fp.network, fp.state, fp.drive)
    newton = newton_step(fp.network, found, 0.05, MAX_PRODUCTS, fp.mean_response)
    distance = newton.step.abs().amax(dim=(0, 2))
    return distance.where((newton.residual <= SOLVED) & torch.isfinite(distance), torch.nan)


@computation()
@torch.no_grad()
def predict_state(fp: FixedPoints, drive: Any) -> Tensor:
    """Predict the fixed point at another drive, as the initial state of a solve.

    Parameters
    ----------
    fp : FixedPoints
        The fixed points at the present drive.
    drive : array_like, shape (N,) or (B, N)
        The new drives, one for each of the samples.

    Returns
    -------
    Tensor, shape (k, B, N)
        For `initial` of `find_fixed_points`, in SI units. To first order in the change dx of the
        drive the rates are y* + A dx, A = (I - G W)^{-1} G.

    Raises
    ------
    InputError
        If shapes or units of the drives do not match.
    StaleError
        If the weights changed after the fixed points were found.

    Notes
    -----
    One Newton step of the whole network from the old state at the new drive: about ten products
    with W. A sample whose linear system is not solved keeps its old state.

    Examples
    --------
    >>> import ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> fp = rn.find_fixed_points(network, [1.0])  # y = 2 x
    >>> predict_state(fp, [1.5])
    tensor([[[3.]]], dtype=torch.float64)
    """
    fp.check_current()
    drive = fp.network.as_drive(drive)
    if len(drive) not in (1, len(fp)):
        raise InputError(
            f"drive: expected 1 or {len(fp)} drives, one for each fixed point, got {len(drive)}.",
            argument="drive", got=drive, expected=f"1 or {len(fp)} drives",
        )  # fmt: skip
    drive = drive.expand(len(fp), -1)
    found = unit_step(fp.network, fp.state, drive)
    newton = newton_step(fp.network, found, 0.01, MAX_PRODUCTS, fp.mean_response)
    predicted = fp.state + newton.step
    good = (newton.residual <= SOLVED) & torch.isfinite(predicted).all(dim=2).all(dim=0)  # (B,)
    return torch.where(good[:, None], predicted, fp.state)
