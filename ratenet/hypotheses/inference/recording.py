"""Recording: what was shown to a network that learns, and what was seen of it, along time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ratenet.equations.arrays import real_numbers
from ratenet.equations.units import DIMENSIONLESS, Dimension, Quantity, second
from ratenet.errors import InputError, counted, shorten, show_any
from ratenet.hypotheses.identification.long_tables import in_words, label
from ratenet.hypotheses.inference.rate_units import check_rates
from ratenet.network.coerce import check_unit
from ratenet.notebook import table

if TYPE_CHECKING:
    import xarray

ARRAYS = {"drive": "(T, N)", "rates": "(T, N)", "weights": "(T, N, N)"}
LARGEST = 1e100  # so that sums of squares are finite


@dataclass(frozen=True, eq=False)
class Recording:
    """What was recorded of one animal in one session while it learned.

    Row t is what was shown and seen at `time[t]`, before the plasticity that it causes; between two
    rows stimuli and rates stay as they are in the first of the two. Two rows are before and after.
    Whatever was not observed is NaN; an array of which nothing was observed may be left out.

    Parameters
    ----------
    time : array_like, shape (T,)
        Increasing, in seconds (or a Brian2 quantity).
    drive : array_like, shape (T, N), optional
        External input of each unit.
    rates : array_like, shape (T, N), optional
        Rates; their unit is `rate_unit`.
    weights : array_like, shape (T, N, N), optional
        W[post, pre] of the synapses, at the times, at which they were observed.
    stimulus : array_like, shape (T,), optional
        Number of the stimulus that was shown; NaN for none.
    signals : mapping of str to array_like, shape (T,) or (T, N), optional
        Third factors by name, such as a reward: shared by all units, or each with its own.
    noise : mapping of str to float or array_like, optional
        Standard deviation of the measurement error of ``"rates"`` and ``"weights"``, where it is
        known.
    names : sequence of str, optional
        Names of the N units.
    rate_unit : str
        Unit of the rates, such as ``"Hz"`` or ``"dF/F"``; rates in Hz are not negative.
    animal, session : str, optional

    Raises
    ------
    InputError
        If lengths do not fit, `time` does not increase, entries are infinite or of another kind
        than numbers, or `rate_unit` is not that of a rate.

    Examples
    --------
    >>> import numpy as np
    >>> rates = np.random.default_rng(0).random((3, 4))
    >>> Recording(time=[0.0, 0.5, 1.0], rates=rates, signals={"reward": [0.0, 1.0, np.nan]})
    Recording: 3 times from 0 to 1 s, 4 units; rates (100 % observed), signals reward
    """

    time: Any
    drive: Any = None
    rates: Any = None
    weights: Any = None
    stimulus: Any = None
    signals: Mapping[str, Any] = field(default_factory=dict)
    noise: Mapping[str, Any] = field(default_factory=dict)
    names: Sequence[str] | None = None
    rate_unit: str = ""
    animal: str | None = None
    session: str | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "time", _time(self.time))
        for name in ARRAYS:
            if getattr(self, name) is not None:
                put(self, name, _array(getattr(self, name), name))
        if all(getattr(self, name) is None for name in ARRAYS):
            raise InputError("rates: nothing was observed; give rates, weights or both.",
                             argument="rates")  # fmt: skip
        if self.rates is not None:
            check_rates(self.rates, self.rate_unit)
        for name, shape in ARRAYS.items():
            self._check_shape(name, getattr(self, name), shape)
        put(self, "signals", MappingProxyType(self._signals()))
        put(self, "noise", MappingProxyType(self._noise()))
        if self.stimulus is not None:
            put(self, "stimulus", self._numbers_of_stimuli())
        put(self, "names", self._names())
        for name in ("animal", "session"):
            if getattr(self, name) is not None:
                put(self, name, label(getattr(self, name)))

    @classmethod
    def load(cls, path: Path | str, **nwb: Any) -> "Recording":
        """Read a recording: .npz, .zarr, .nc, a folder of CSV tables, or .nwb.

        Parameters
        ----------
        path : Path or str
            Arrays have the names of the parameters, signals ``signal_NAME`` and errors
            ``noise_rates`` and ``noise_weights`` (docs/recordings.md). Nothing is unpickled.
        **nwb
            Paths inside an NWB file, which has no such names, as in `from_nwb`.

        Raises
        ------
        DataError
            If it is missing, of another kind, or damaged.
        InputError
            As `Recording`, with the path before the sentence.
        """
        from ratenet.hypotheses.inference.recording_files import arguments, read_contents

        place = Path(path)
        if place.suffix == ".nwb":
            return cls.from_nwb(place, **nwb)
        if nwb:
            raise InputError.at(next(iter(nwb)), found="a path inside a file that is not NWB",
                                expected="a file .nwb")  # fmt: skip
        return cls._within(place, arguments(read_contents(place)))

    @classmethod
    def from_nwb(
        cls,
        path: Path | str,
        rates: str | None = None,
        *,
        drive: str | None = None,
        weights: str | None = None,
        stimulus: str | None = None,
        signals: Mapping[str, str] | None = None,
        noise: Mapping[str, Any] | None = None,
        animal: str | None = None,
        session: str | None = None,
    ) -> "Recording":
        """Read an NWB file; needs pynwb, ``pip install 'ratenet[nwb]'``.

        Parameters
        ----------
        path : Path or str
        rates : str, optional
            Path of a time series (T, N) inside the file, such as
            ``"processing/ophys/DfOverF/RoiResponseSeries"``; any end of it that is unique will do.
            Its times, unit and conversion are taken over, and its times are those of the recording.
        drive, weights : str, optional
            Paths of time series (., N) and (., N, N). A drive stays as it is until its next value;
            weights belong to the first time at or after their own.
        stimulus : str, optional
            Path of a column of intervals, such as ``"intervals/presentations/image"``: labels
            become numbers in sorted order; outside of the intervals no stimulus is shown.
        signals : mapping of str to str, optional
            Paths of time series (.,), or of columns of intervals, which are 0 outside. Of labels
            ``"intervals/trials/outcome=hit"`` is 1 where they are the one that is named.
        noise, animal, session : optional
            As of `Recording`.

        Raises
        ------
        DataError
            If it cannot be read as NWB.
        UnknownNameError
            If there is no such path; what is there is listed.
        InputError
            As `Recording`, with the path before the sentence.
        UnsupportedError
            If pynwb is not installed.
        """
        from ratenet.hypotheses.inference.nwb_files import read_nwb

        contents = read_nwb(
            Path(path), rates=rates, drive=drive, weights=weights, stimulus=stimulus,
            signals=signals, noise=noise, animal=animal, session=session,
        )  # fmt: skip
        return cls._within(Path(path), contents)

    @classmethod
    def from_xarray(cls, dataset: "xarray.Dataset") -> "Recording":
        """Take over a data set of xarray with the names and dimensions of `to_xarray`."""
        from ratenet.hypotheses.inference.recording_files import arguments, from_dataset

        return cls(**arguments(from_dataset(dataset)))

    @classmethod
    def _within(cls, path: Path, given: dict[str, Any]) -> "Recording":
        try:
            return cls(**given)
        except InputError as error:
            raise error.within(shorten(str(path))) from None

    def to_xarray(self) -> "xarray.Dataset":
        """Return a data set of xarray: dimensions time, unit, post and pre."""
        from ratenet.hypotheses.inference.recording_files import contents_of, to_dataset

        return to_dataset(contents_of(self))

    def save(self, path: Path | str) -> None:
        """Write the recording as `load` reads it: .npz, .zarr, .nc, or a folder of CSV tables.

        Raises
        ------
        InputError
            If the path has another suffix.
        RunFolderError
            If it cannot be written, or a folder is there already.
        """
        from ratenet.hypotheses.inference.recording_files import contents_of, write

        write(contents_of(self), Path(path))

    @property
    def units(self) -> int:
        """N, the number of units, recorded or not."""
        found = [each for each in (self.rates, self.drive, self.weights) if each is not None]
        return int(found[0].shape[-1])

    @property
    def place(self) -> str:
        """The animal and session in words; empty where they have no names."""
        return in_words(self.animal, self.session)

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        first, last = float(self.time[0]), float(self.time[-1])
        seen = [f"{name} ({_share(getattr(self, name))} observed)" for name in ARRAYS
                if getattr(self, name) is not None]  # fmt: skip
        if self.stimulus is not None:
            shown = len(np.unique(self.stimulus[~np.isnan(self.stimulus)]))
            seen.append(counted(shown, "stimulus"))
        if self.signals:
            seen.append(f"signals {', '.join(self.signals)}")
        of = f" of {self.place}" if self.place else ""
        return (
            f"Recording{of}: {counted(len(self), 'time')} from {first:g} to {last:g} s, "
            f"{counted(self.units, 'unit')}; {', '.join(seen)}"
        )

    def _repr_html_(self) -> str:
        said, _, seen = repr(self).partition("; ")
        return table(said, {"observed": seen})

    def plot(self, ax: Any = None, *, units: Any = None, what: str | None = None) -> Any:
        """Draw what was recorded along time; nothing where it was not observed.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; default new axes, which a notebook shows.
        units : int or sequence of int, optional
            Which ones; where weights are drawn, the postsynaptic ones. Default: at most 6, evenly
            chosen among those that were observed.
        what : {"rates", "weights", "drive"}, optional
            Default the first of these that was recorded.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        InputError, UnknownNameError
            If there is no such unit, or it was not recorded.
        """
        from ratenet.report.pictures import plot_recording

        return plot_recording(self, ax, units, what)

    def _check_shape(self, name: str, value: np.ndarray | None, wanted: str) -> None:
        """Refuse an array whose lengths are not those of the time and of the units."""
        if value is None:
            return
        sizes = {"T": len(self.time), "N": self.units}
        letters = wanted.strip("(,)").split(", ")
        shape = tuple(sizes[letter] for letter in letters)
        if value.shape != shape:
            raise InputError.at(
                name,
                got=value.shape,
                expected=f"{wanted}, here {shape}: a row for each time"
                + (", a column for each unit" if "N" in letters else ""),
            )

    def _signals(self) -> dict[str, np.ndarray]:
        found = {}
        for name, value in _mapping(self.signals, "signals").items():
            array = _array(value, f"signals, {name}")
            self._check_shape(f"signals, {name}", array, "(T, N)" if array.ndim == 2 else "(T,)")
            found[name] = array
        return found

    def _noise(self) -> dict[str, np.ndarray]:
        """Return standard deviations, each a number or as large as what it is the error of."""
        found = {}
        for name, value in _mapping(self.noise, "noise").items():
            where = f"noise, {name}"
            if name not in ("rates", "weights") or getattr(self, name) is None:
                allowed = [each for each in ("rates", "weights") if getattr(self, each) is not None]
                raise InputError.at("noise", got=name, expected=f"the error of {allowed}")
            array, observed = _array(value, where), getattr(self, name)
            if array.ndim:
                self._check_shape(where, array, ARRAYS[name])
            there = array[~np.isnan(observed)] if array.ndim else array
            if not np.all(there >= 0):  # NaN is not
                raise InputError.at(where, got=value, expected="standard deviations of at least 0",
                                    remedy="leave it out where it is not known")  # fmt: skip
            found[name] = array
        return found

    def _numbers_of_stimuli(self) -> np.ndarray:
        found = _array(self.stimulus, "stimulus")
        self._check_shape("stimulus", found, "(T,)")
        shown = found[~np.isnan(found)]
        if np.any((shown < 0) | (shown % 1 != 0)):
            wrong = float(shown[(shown < 0) | (shown % 1 != 0)][0])
            raise InputError.at("stimulus", got=wrong, expected="whole numbers of at least 0",
                                remedy="NaN stands for no stimulus")  # fmt: skip
        return found

    def _names(self) -> tuple[str, ...] | None:
        if self.names is None:
            return None
        given = self.names
        if isinstance(given, str) or not isinstance(given, Sequence | np.ndarray):
            raise InputError.at("names", got=given, expected=f"{self.units} names of units")
        found = tuple(map(label, given))
        if len(found) != self.units or len(set(found)) < len(found):
            count = f"{len(found)} names, {len(set(found))} of them different"
            raise InputError.at("names", found=count, expected=f"{self.units} different names")
        return found


def _time(value: Any) -> np.ndarray:
    if value is None:
        raise InputError.at("time", got=value, expected="the times (T,) in seconds")
    time = _array(value, "time", second.dim)
    if time.ndim != 1 or len(time) < 2:
        raise InputError.at("time", got=time.shape, expected="(T,), two times or more")
    if np.isnan(time).any():
        raise InputError.at("time", found="NaN", expected="a time in seconds for each row")
    later = np.diff(time) > 0
    if not later.all():
        row = int(np.argmin(later))
        raise InputError.at(
            "time",
            found=f"{time[row + 1]:.12g} after {time[row]:.12g} in row {row + 1}",
            expected="increasing times",
            remedy="sort the rows, or give each session as a recording of its own",
        )
    return time


def _array(value: Any, where: str, dimensions: Dimension = DIMENSIONLESS) -> np.ndarray:
    """Return an array of its own in SI units, NaN where nothing was observed."""
    found = real_numbers(value, where)
    if isinstance(found, Quantity):
        check_unit(found, dimensions, where, note=" (`rate_unit` says that of the rates)"
                   if where == "rates" else "")  # fmt: skip
    if hasattr(found, "detach"):
        found = found.detach().cpu().numpy()
    array: np.ndarray = np.array(found, dtype=np.float64)
    if np.any(np.abs(array) > LARGEST):  # NaN is not
        raise InputError.at(
            where,
            found="infinite or huge entries",
            expected=f"numbers of at most {LARGEST:g}, or NaN where nothing was observed",
        )
    return array


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError.at(where, got=value, expected="a dict of arrays by name")
    wrong = [name for name in value if not isinstance(name, str) or not name.isidentifier()]
    if wrong:
        raise InputError.at(where, found=show_any(wrong[0]), expected="names such as 'reward'")
    return {shorten(name): each for name, each in value.items()}


def _share(values: np.ndarray) -> str:
    share = 100 * float(np.mean(~np.isnan(values))) if values.size else 0.0
    return f"{share:.0f} %" if share in (0, 100) or 1 <= share <= 99 else f"{share:.2g} %"
