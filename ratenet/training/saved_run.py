"""A run as its folder holds it: read, restored, and evaluated, on this machine or another."""

import dataclasses
import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratenet.connectivity.computation import shielded
from ratenet.equations import ModelSpec
from ratenet.errors import InputError, RatenetWarning, counted
from ratenet.report.record import Entries, code_entries
from ratenet.stimuli import check_root
from ratenet.training.config import TrainingConfig
from ratenet.training.config_checks import code_of
from ratenet.training.evaluation import Evaluation
from ratenet.training.network_run import new_network_run
from ratenet.training.run import Run, on_machine
from ratenet.training.run_folder import OF_MACHINE, RunFolder
from ratenet.training.same_run import resumed_config
from ratenet.training.stack_run import new_stack_run
from ratenet.training.workers import ALONE, Workers


@shielded()
def evaluate(
    out: str | Path,
    *,
    data_root: str | None = None,
    device: str | None = None,
    trust: bool = False,
    **again: Any,
) -> tuple[Evaluation, Evaluation | None]:
    """Measure how well a trained run does on the test images.

    Parameters
    ----------
    out : path
        Its run folder, which is only read.
    data_root : str, optional
        Where torchvision's files are, if not where they were.
    device : str, optional
        "cpu" or "cuda", if not where it was trained.
    trust : bool
        Whether your own code that the run folder names may be imported.
    **again
        Your own code or data in its place: rule=, data=, as they were given to the training.

    Returns
    -------
    (Evaluation, Evaluation or None)
        At solved fixed points; and at the end of each hold, for a run trained so.

    Raises
    ------
    RunFolderError
        If there is no run or no checkpoint, or they are damaged.
    InputError
        If the run names code of your own, and it is neither given again nor trusted; or its images
        need no data_root.

    Examples
    --------
    >>> import ratenet as rn, tempfile
    >>> out = tempfile.mkdtemp()
    >>> config = rn.TrainingConfig(epochs=1, units=20, batch_size=500, presentation="static")
    >>> result = rn.train(config, out=out)
    >>> solved, slow = rn.evaluate(out)
    >>> solved.accuracy == result.summary["test_accuracy"], slow is None
    (True, True)
    """
    asked = {"data_root": data_root, "device": device, **again}
    given = {name: value for name, value in asked.items() if value is not None}
    saved = SavedRun.read(out, given, trust=trust)
    with saved.machine():
        run = saved.restored(saved.config.device, ALONE)
        if is_over(run):
            take_best(run)
        return run.test(), run.test_slowly()


@dataclass(frozen=True)
class SavedRun:
    """A run as its folder records it, and the configuration to continue it with."""

    folder: RunFolder
    recorded: TrainingConfig
    config: TrainingConfig
    model: ModelSpec | None
    code: Entries

    @classmethod
    def read(cls, out: str | Path, wanted: dict[str, Any], *, trust: bool = False) -> "SavedRun":
        """Read the configuration; what belongs to the machine may be another one's."""
        folder = RunFolder(Path(out))
        machine = {name: value for name, value in wanted.items() if name in OF_MACHINE}
        recorded, model = folder.read_config(machine, trust=trust)
        config, code = resumed_config(recorded, wanted), folder.read_code()
        if "data_root" in wanted:
            check_root(config.data)
        _tell_of_changes(code_entries(code_of(config)), code, folder)
        return cls(folder, recorded, config, model, code)

    def machine(self) -> AbstractContextManager[None]:
        """Return the context of its threads and products."""
        return on_machine(self.config.threads, self.config.matrix_product)

    def restored(self, device: str, workers: Workers) -> Run:
        """Return the run at its last checkpoint."""
        mine = dataclasses.replace(self.config, device=device)
        run = new_run(mine, self.model, self.folder, workers)
        run.code = self.code
        self.folder.read_data().check(run.data)
        run.restore()
        if self.config.epochs > self.recorded.epochs:
            run.progress.ended = None  # a run that has ended is continued where more is asked for
        if run.progress.step > run.steps:
            raise InputError(
                f"epochs: the run has done {counted(run.progress.step, 'step')} already, more than "
                f"the {run.steps} of {counted(self.config.epochs, 'epoch')}; ask for more epochs.",
                argument="epochs",
                got=self.config.epochs,
            )
        return run


def _tell_of_changes(now: Entries, begun: Entries, folder: RunFolder) -> None:
    """Warn of code that is not what the run was started with."""
    before = {Path(each["file"]).name: each for each in begun}
    for each in now:
        old = before.get(Path(each["file"]).name)
        if old is not None and old["sha256"] != each["sha256"]:
            warnings.warn(
                RatenetWarning(
                    f"{each['file']} has changed since the run was started (SHA-256 "
                    f"{each['sha256'][:8]}..., then {old['sha256'][:8]}...); what it was then is "
                    f"in {folder.path / old['copy']}."
                ),
                stacklevel=4,
            )


def is_over(run: Run) -> bool:
    """Return whether nothing is left to do."""
    return run.progress.ended is not None or run.progress.step == run.steps


def new_run(
    config: TrainingConfig, model: str | ModelSpec | None, folder: RunFolder, workers: Workers
) -> Run:
    """Return a run at its beginning: of one network, or of the layers of the configuration."""
    if model is None:
        return new_stack_run(config, folder, workers)
    return new_network_run(config, model, folder, workers)


def take_best(run: Run) -> None:
    """Take the weights with the best validation accuracy, if the run was to choose them."""
    if run.config.patience is not None and run.folder.best_file.exists():
        run.restore_best()
