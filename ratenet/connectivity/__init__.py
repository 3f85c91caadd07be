"""Recurrent connectivity: what rules, solvers and backends see of W."""

from ratenet.connectivity.base import AbstractConnectivity as AbstractConnectivity
from ratenet.connectivity.combined import Block as Block
from ratenet.connectivity.combined import Sum as Sum
from ratenet.connectivity.convolution import Convolution as Convolution
from ratenet.connectivity.dense import Dense as Dense
from ratenet.connectivity.initial import balanced_weights as balanced_weights
from ratenet.connectivity.initial import random_kernel as random_kernel
from ratenet.connectivity.initial import random_mask as random_mask
from ratenet.connectivity.initial import random_weights as random_weights
from ratenet.connectivity.initial import with_radius as with_radius
from ratenet.connectivity.low_rank import LowRank as LowRank
from ratenet.connectivity.masked import Masked as Masked
from ratenet.connectivity.matmul import choose_route as choose_route
from ratenet.connectivity.signed import Signed as Signed
from ratenet.connectivity.spectrum import abscissa as abscissa
from ratenet.connectivity.spectrum import eigenvalues as eigenvalues
from ratenet.connectivity.spectrum import norm as norm
