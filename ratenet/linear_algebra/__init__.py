"""Linear algebra for batches: Krylov methods, and small systems of each unit."""

from ratenet.linear_algebra.batched_solve import solve_units as solve_units
from ratenet.linear_algebra.gmres import gmres as gmres
from ratenet.linear_algebra.memory import require_memory as require_memory
