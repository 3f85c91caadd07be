"""load_recordings: those of several animals from a folder that holds one for each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ratenet.errors import DataError, shorten
from ratenet.hypotheses.array_files import is_zarr
from ratenet.hypotheses.inference.recording import Recording


def load_recordings(path: Path | str, **nwb: Any) -> list[Recording]:
    """Read a recording, or those of several animals from a folder that holds one for each.

    Parameters
    ----------
    path : Path or str
        As of `Recording.load`; or a folder of such files and folders, whose names are those of the
        animals unless they hold a name themselves.
    **nwb
        Paths inside NWB files, as in `Recording.from_nwb`.

    Raises
    ------
    DataError, InputError
        As `Recording.load`; or if a folder holds none.
    """
    place = Path(path)
    if not place.is_dir() or is_zarr(place) or (place / "time.csv").exists():
        return [Recording.load(place, **nwb)]
    kinds = (".npz", ".zarr", ".nc", ".nwb")
    parts = [each for each in sorted(place.iterdir())
             if each.suffix in kinds or (each / "time.csv").exists()]  # fmt: skip
    if not parts:
        listed = ", ".join(shorten(each.name) for each in sorted(place.iterdir())[:10])
        raise DataError(
            f"{str(place)!r}: expected time.csv, or a recording for each animal (.npz, .zarr, .nc, "
            f".nwb or a folder with time.csv), got {listed or 'nothing'}."
        )
    found = [Recording.load(each, **nwb) for each in parts]
    return [each if each.animal else replace(each, animal=part.stem)
            for each, part in zip(found, parts, strict=True)]  # fmt: skip
