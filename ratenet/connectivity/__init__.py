"""Recurrent connectivity: what rules, solvers and backends see of W."""

from ratenet.connectivity.base import AbstractConnectivity as AbstractConnectivity
from ratenet.connectivity.combined import Block as Block, Chain as Chain, Sum as Sum
from ratenet.connectivity.convolution import Convolution as Convolution
from ratenet.connectivity.dense import Dense as Dense
from ratenet.connectivity.initial import (
    balanced_weights as balanced_weights,
    random_kernel as random_kernel,
    random_mask as random_mask,
    random_weights as random_weights,
    sparse_weights as sparse_weights,
    with_radius as with_radius,
)
from ratenet.connectivity.low_rank import LowRank as LowRank
from ratenet.connectivity.masked import Masked as Masked
from ratenet.connectivity.matmul import choose_route as choose_route
from ratenet.connectivity.pooling import Pooling as Pooling
from ratenet.connectivity.signed import Signed as Signed
from ratenet.connectivity.spectrum import (
    abscissa as abscissa,
    eigenvalues as eigenvalues,
    norm as norm,
)
