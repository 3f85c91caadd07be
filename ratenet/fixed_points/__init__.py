"""Fixed points: solvers, certificates and adjoint (transposed) solves."""

from ratenet.fixed_points.adjoint import Adjoint as Adjoint
from ratenet.fixed_points.adjoint import solve_adjoint as solve_adjoint
from ratenet.fixed_points.anderson import Anderson as Anderson
from ratenet.fixed_points.branch import Branch as Branch
from ratenet.fixed_points.branch import BranchEnd as BranchEnd
from ratenet.fixed_points.branch import SpecialKind as SpecialKind
from ratenet.fixed_points.branch import SpecialPoint as SpecialPoint
from ratenet.fixed_points.certificate import default_tolerance as default_tolerance
from ratenet.fixed_points.certificate import fixed_points_at as fixed_points_at
from ratenet.fixed_points.continuation import continue_fixed_points as continue_fixed_points
from ratenet.fixed_points.damped import DampedIteration as DampedIteration
from ratenet.fixed_points.find import find_fixed_points as find_fixed_points
from ratenet.fixed_points.find_all import FixedPointSet as FixedPointSet
from ratenet.fixed_points.find_all import find_all_fixed_points as find_all_fixed_points
from ratenet.fixed_points.relaxation import Relaxation as Relaxation
from ratenet.fixed_points.solver import AbstractSolver as AbstractSolver
from ratenet.fixed_points.solver import Fallback as Fallback
from ratenet.fixed_points.sweep import Sweep as Sweep
from ratenet.fixed_points.sweep import sweep_fixed_points as sweep_fixed_points
from ratenet.fixed_points.vary import AbstractVariation as AbstractVariation
from ratenet.fixed_points.vary import DriveScale as DriveScale
from ratenet.fixed_points.vary import DriveShift as DriveShift
from ratenet.fixed_points.vary import ModelParameter as ModelParameter
from ratenet.fixed_points.vary import WeightScale as WeightScale
