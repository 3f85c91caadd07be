"""Linear algebra for batches: Krylov methods, and small systems of each unit."""

from ratenet.linear_algebra.arpack import (
    largest_singular_value as largest_singular_value,
    rightmost_eigenvalue as rightmost_eigenvalue,
    spectral_radius as spectral_radius,
)
from ratenet.linear_algebra.batched_solve import (
    solve_samples as solve_samples,
    solve_units as solve_units,
)
from ratenet.linear_algebra.dense import all_eigenvalues as all_eigenvalues
from ratenet.linear_algebra.finite import is_finite as is_finite
from ratenet.linear_algebra.gmres import gmres as gmres
from ratenet.linear_algebra.krylov import (
    KrylovSpace as KrylovSpace,
    arnoldi as arnoldi,
    lanczos as lanczos,
    random_start as random_start,
    rightmost_ritz as rightmost_ritz,
    ritz_values_left_of as ritz_values_left_of,
)
from ratenet.linear_algebra.memory import require_memory as require_memory
from ratenet.linear_algebra.tracking import (
    Eigenpair as Eigenpair,
    RightmostTracker as RightmostTracker,
)
