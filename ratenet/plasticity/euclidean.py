"""The Euclidean gradient (rule 1): gradient descent on W by the implicit function theorem."""

from dataclasses import dataclass

from torch import Tensor

from ratenet.errors import SingularError
from ratenet.fixed_points import FixedPoints, adjoint_of
from ratenet.plasticity.base import AbstractEuclideanRule, Traits, descent
from ratenet.plasticity.loss import Loss
from ratenet.plasticity.proposal import LeftOut, Proposal


@dataclass(frozen=True)
class Euclidean(AbstractEuclideanRule):
    """Exact gradient descent on the loss at the fixed point, with W as the parameters (rule 1).

        lambda = G (I - W^T G)^{-1} e,       dW = -eta mean(lambda y^T)

    Notes
    -----
    Where an eigenvalue of G W comes near 1, the inverse is singular: the loss has singularities
    over W, and the rule makes huge steps beside them. A sample whose adjoint cannot be solved is
    left out with a warning. Cost: a batched GMRES, about 20 products with W^T.

    References
    ----------
    Zhu and Rosenbaum 2024, arXiv 2307.06732, delta W1; Almeida 1987; Pineda 1987.

    Examples
    --------
    >>> import torch, ratenet as rn
    >>> network = rn.Network("linear", [[0.5]])
    >>> fp = rn.find_fixed_points(network, [1.0])  # y = 2, lambda = 2 e
    >>> Euclidean().update(fp, torch.ones(1, 1, dtype=torch.float64), learning_rate=0.1)
    tensor([[-0.4000]], dtype=torch.float64)
    """

    @property
    def traits(self) -> Traits:
        """Euclidean."""
        return Traits("Euclidean in W", uses_adjoint=True)

    def change(
        self, fp: FixedPoints, error: Tensor, learning_rate: float, loss: Loss | None = None
    ) -> Proposal:
        """Return -eta mean(lambda y^T)."""
        adjoint, solved, left_out = solved_adjoint(fp, error, "Euclidean")
        return Proposal(descent(fp, adjoint, fp.rates[solved], learning_rate), *left_out)


def solved_adjoint(fp: FixedPoints, error: Tensor, rule: str) -> tuple[Tensor, Tensor, LeftOut]:
    """Return the adjoints of the samples that have one, which these are, and what is left out.

    Returns
    -------
    Tensor, shape (S, N)
        lambda = G (I - W^T G)^{-1} e.
    Tensor of bool, shape (B,)
        S of them are True.
    LeftOut
        How many are not, and why.

    Raises
    ------
    SingularError
        If no sample has an adjoint.
    """
    adjoint = adjoint_of(fp, error)
    solved = adjoint.converged
    if not solved.any():
        raise SingularError(
            f"I - G W is singular to working precision for every sample: the change of {rule} "
            "does not exist here; use a reparameterized rule or smaller weights. "
            f"{adjoint.summary()}"
        )
    missing = int((~solved).sum())
    if not missing:
        return adjoint.values, solved, LeftOut()
    reason = (
        f"{rule}: {missing} of {len(solved)} samples are left out, since their I - G W is "
        f"singular to working precision: {adjoint.summary()}"
    )
    return adjoint.values[solved], solved, LeftOut(missing, reason)
