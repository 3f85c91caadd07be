"""A read-out that is fitted and not learned: ridge regression of the targets on the rates.

R minimises sum_b |t_b - R y_b|^2 + lambda |R|^2 over the training images, with the rates y_b at
solved fixed points; a class is a one-hot target. With s_i the eigenvalues of Y^T Y,

    GCV(lambda) = RSS(lambda) / (n - d)^2,     d = sum_i s_i / (s_i + lambda)

is the generalised cross-validation error (Golub, Heath & Wahba 1979, Technometrics 21:215); lambda
is where it is least.
"""

import torch
from torch import Tensor

from ratenet.errors import UnsettledError
from ratenet.stimuli import Images
from ratenet.stimuli.images import is_answerable
from ratenet.training.classifier import Classifier
from ratenet.training.evaluation import batches_of
from ratenet.training.presentation import Static

PENALTIES = torch.logspace(-8, 2, 41, dtype=torch.float64)  # times the largest eigenvalue


@torch.no_grad()
def fitted_read_out(classifier: Classifier, images: Images) -> Tensor:
    """Return the read-out (K, N) that answers best to the fixed points of images.

    Images that have none, or no target, are left out.

    Raises
    ------
    UnsettledError
        If none remains.
    """
    rates, targets = [], []
    for batch in batches_of(images):
        fp = Static().show(classifier.network, batch.drive(classifier))
        used = fp.converged & is_answerable(batch.labels)
        rates.append(fp.rates[used].double())
        targets.append(_as_targets(batch.labels[used], len(classifier.read_out)))
    Y, T = torch.cat(rates), torch.cat(targets)
    if not len(Y):
        raise UnsettledError(
            "no training image has a fixed point, so that no read-out can be fitted; slow the "
            "plasticity down, or bound the weights in its equations."
        )
    return ridge(Y, T).to(classifier.read_out)


def _as_targets(labels: Tensor, outputs: int) -> Tensor:
    if labels.is_floating_point():
        return labels.double()
    return torch.nn.functional.one_hot(labels, outputs).double()


def ridge(rates: Tensor, targets: Tensor) -> Tensor:
    """Return the ridge regression of targets (n, K) on rates (n, N) as (K, N), float64.

    Examples
    --------
    >>> rates = torch.eye(2, dtype=torch.float64).repeat(50, 1)
    >>> ridge(rates, rates @ torch.tensor([[1.0], [2.0]], dtype=torch.float64))
    tensor([[1.0000, 2.0000]], dtype=torch.float64)
    """
    values, vectors = torch.linalg.eigh(rates.T @ rates)
    values = values.clamp(min=0)
    if not float(values[-1]) > 0:
        return rates.new_zeros(targets.shape[1], rates.shape[1])
    aligned = vectors.T @ (rates.T @ targets)  # (N, K)
    penalties = (PENALTIES.to(values) * values[-1])[:, None]  # (L, 1)
    shrunk = values / (values + penalties)  # (L, N)
    explained = (2 - shrunk) / (values + penalties) * aligned.square().sum(dim=1)
    unexplained = targets.square().sum() - explained.sum(dim=1)
    best = int((unexplained / (len(rates) - shrunk.sum(dim=1)).square()).argmin())
    return ((vectors / (values + penalties[best])) @ aligned).T
