"""Fixed points: solvers, certificates and adjoint (transposed) solves."""

from ratenet.fixed_points.adjoint import (
    Adjoint as Adjoint,
    adjoint_of as adjoint_of,
    solve_adjoint as solve_adjoint,
)
from ratenet.fixed_points.certificate import (
    default_tolerance as default_tolerance,
    fixed_points_at as fixed_points_at,
)
from ratenet.fixed_points.continuation.branch import (
    Branch as Branch,
    BranchEnd as BranchEnd,
    SpecialKind as SpecialKind,
    SpecialPoint as SpecialPoint,
)
from ratenet.fixed_points.continuation.follow import continue_fixed_points as continue_fixed_points
from ratenet.fixed_points.continuation.sweep import (
    Sweep as Sweep,
    sweep_fixed_points as sweep_fixed_points,
)
from ratenet.fixed_points.continuation.variations import (
    AbstractVariation as AbstractVariation,
    DriveScale as DriveScale,
    DriveShift as DriveShift,
    ModelParameter as ModelParameter,
    WeightScale as WeightScale,
)
from ratenet.fixed_points.find import find_fixed_points as find_fixed_points
from ratenet.fixed_points.find_all import find_all_fixed_points as find_all_fixed_points
from ratenet.fixed_points.fixed_point_set import FixedPointSet as FixedPointSet
from ratenet.fixed_points.maps.fixed_points_of import fixed_points_of as fixed_points_of
from ratenet.fixed_points.maps.results import MapFixedPoints as MapFixedPoints
from ratenet.fixed_points.results import FixedPoints as FixedPoints
from ratenet.fixed_points.solvers.anderson import Anderson as Anderson
from ratenet.fixed_points.solvers.automatic import Automatic as Automatic
from ratenet.fixed_points.solvers.base import AbstractSolver as AbstractSolver, Fallback as Fallback
from ratenet.fixed_points.solvers.damped import DampedIteration as DampedIteration
from ratenet.fixed_points.solvers.mean_gain import MeanGain as MeanGain
from ratenet.fixed_points.solvers.newton import (
    estimate_distances as estimate_distances,
    predict_state as predict_state,
)
from ratenet.fixed_points.solvers.newton_krylov import NewtonKrylov as NewtonKrylov
from ratenet.fixed_points.solvers.relaxation import Relaxation as Relaxation
from ratenet.fixed_points.status import Status as Status
