# The public names: the table of contents of ratenet. Each is imported when it is first used.

from . import (
    circuits as circuits,
    conformance as conformance,
    connectivity as connectivity,
    equations as equations,
    errors as errors,
    fixed_points as fixed_points,
    hypotheses as hypotheses,
    layers as layers,
    linear_algebra as linear_algebra,
    network as network,
    plasticity as plasticity,
    quasi_static as quasi_static,
    report as report,
    reproduce as reproduce,
    simulation as simulation,
    stimuli as stimuli,
    training as training,
)
from .conformance import (
    check_model as check_model,
    check_plasticity as check_plasticity,
)
from .connectivity import (
    Dense as Dense,
)
from .equations import (
    ModelSpec as ModelSpec,
    PlasticitySpec as PlasticitySpec,
    load_model as load_model,
    load_plasticity as load_plasticity,
    model_names as model_names,
    plasticity_names as plasticity_names,
)
from .fixed_points import (
    Anderson as Anderson,
    Automatic as Automatic,
    Branch as Branch,
    BranchEnd as BranchEnd,
    DampedIteration as DampedIteration,
    DriveScale as DriveScale,
    DriveShift as DriveShift,
    FixedPoints as FixedPoints,
    FixedPointSet as FixedPointSet,
    MapFixedPoints as MapFixedPoints,
    MeanGain as MeanGain,
    ModelParameter as ModelParameter,
    NewtonKrylov as NewtonKrylov,
    Relaxation as Relaxation,
    SpecialKind as SpecialKind,
    Status as Status,
    Sweep as Sweep,
    WeightScale as WeightScale,
    continue_fixed_points as continue_fixed_points,
    estimate_distances as estimate_distances,
    find_all_fixed_points as find_all_fixed_points,
    find_fixed_points as find_fixed_points,
    fixed_points_at as fixed_points_at,
    fixed_points_of as fixed_points_of,
    predict_state as predict_state,
    solve_adjoint as solve_adjoint,
    sweep_fixed_points as sweep_fixed_points,
)
from .layers import (
    ConvFixedPointLayer as ConvFixedPointLayer,
    FixedPointCore as FixedPointCore,
    FixedPointLayer as FixedPointLayer,
    Stack as Stack,
)
from .network import (
    AffineReadIn as AffineReadIn,
    Network as Network,
    from_rnn as from_rnn,
    load_network as load_network,
)
from .quasi_static import (
    JointCertificate as JointCertificate,
    Lag as Lag,
    PlasticityLag as PlasticityLag,
    QuasiStatic as QuasiStatic,
    certify_state as certify_state,
    correct_lag as correct_lag,
    measure_lag as measure_lag,
    measure_plasticity_lag as measure_plasticity_lag,
    predict_lag as predict_lag,
)
from .simulation import (
    Drive as Drive,
    SampledDrive as SampledDrive,
    Statistics as Statistics,
    Trajectory as Trajectory,
    dt_check as dt_check,
    simulate as simulate,
)
from .training import (
    LoadedRun as LoadedRun,
    TrainingConfig as TrainingConfig,
    evaluate as evaluate,
    load_run as load_run,
    resume as resume,
    train as train,
)

__version__: str
