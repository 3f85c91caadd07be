"""Recurrent connectivity: what rules, solvers and backends see of W."""

from ratenet.connectivity.base import AbstractConnectivity as AbstractConnectivity
from ratenet.connectivity.dense import Dense as Dense
from ratenet.connectivity.given import as_connectivity as as_connectivity
from ratenet.connectivity.product import choose_route as choose_route
