"""Fixed points: solvers, certificates and adjoint (transposed) solves."""

from ratenet.fixed_points.adjoint import Adjoint as Adjoint
from ratenet.fixed_points.adjoint import solve_adjoint as solve_adjoint
from ratenet.fixed_points.anderson import Anderson as Anderson
from ratenet.fixed_points.certificate import default_tolerance as default_tolerance
from ratenet.fixed_points.certificate import fixed_points_at as fixed_points_at
from ratenet.fixed_points.damped import DampedIteration as DampedIteration
from ratenet.fixed_points.find import find_fixed_points as find_fixed_points
from ratenet.fixed_points.relaxation import Relaxation as Relaxation
from ratenet.fixed_points.solver import AbstractSolver as AbstractSolver
from ratenet.fixed_points.solver import Fallback as Fallback
