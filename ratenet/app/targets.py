"""What the page is about, by a word of the command: a trained run, or a circuit of two units."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ratenet import circuits
from ratenet.app.plane import Plane
from ratenet.errors import RatenetError, UnknownNameError, UnsupportedError
from ratenet.files import refuse_no_run
from ratenet.stimuli import ImageSet, load_images
from ratenet.training import LoadedRun, load_run

DEMO = Path("runs/demo")


@dataclass(frozen=True)
class RunTarget:
    """A run folder, read anew by every tab, so that each shows the latest weights."""

    folder: Path

    def load(self) -> LoadedRun:
        """Return the run.

        Raises
        ------
        RunFolderError
            If it is not there, or damaged.
        UnsupportedError
            If it is a stack of layers, or does not classify images.
        """
        refuse_no_run(self.folder)
        run = load_run(self.folder)
        _ = run.network  # refuses a stack
        if run.data.classes is None or len(run.data.shape) < 2:
            raise UnsupportedError(
                f"{str(self.folder)!r}: the page shows runs that classify images of a height and a "
                "width; look at others with ratenet.load_run.",
                argument="target",
            )
        return run

    @cached_property
    def images(self) -> "ImageSet | str":
        """The run's images; a sentence where they cannot be loaded."""
        config = self.load().config
        try:
            return load_images(config.data, root=config.data_root)
        except RatenetError as error:
            return f"The images of the run cannot be shown: {error}"


@dataclass(frozen=True)
class CircuitTarget:
    """A circuit of two units by its name."""

    name: str


def target_of(word: str | None) -> RunTarget | CircuitTarget:
    """Return what a word of the command means: a run folder, or else the name of a circuit.

    Raises
    ------
    UnknownNameError
        If it is neither.
    UnsupportedError
        If the circuit does not have two units with one state variable each.

    Examples
    --------
    >>> target_of("wilson_cowan_multistable")
    CircuitTarget(name='wilson_cowan_multistable')
    """
    if word is None:
        return RunTarget(DEMO)
    if word and (Path(word).exists() or "/" in word):
        return RunTarget(Path(word))
    if word not in circuits.names():
        raise UnknownNameError.among(
            "run folder or circuit", word, circuits.names(), "a trained run is given by its folder"
        )
    Plane(word)  # refuses what has no phase plane
    return CircuitTarget(word)
