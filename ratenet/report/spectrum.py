"""A picture of the eigenvalues of recurrent weights in the complex plane."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ratenet.connectivity import AbstractConnectivity, eigenvalues
from ratenet.report.figures import COLOURS, GREY, entitle, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectrum(
    connectivity: AbstractConnectivity,
    *,
    radius: float | None = None,
    title: str = "",
    on: Any = None,
) -> "Figure":
    """Return the eigenvalues of W, with a circle and the border of stability.

    Where every gain is 1 and all time constants are equal, a network is stable just where all
    eigenvalues lie to the left of the line Re = 1.

    Parameters
    ----------
    connectivity : AbstractConnectivity
        Square.
    radius : float, optional
        Radius of the circle; default the spectral radius of W.
    title : str
    on : Axes, optional
        As for `new_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If W is not square.
    UnsupportedError
        If W would have to be built as a matrix of more than 10,000 units.

    Examples
    --------
    >>> from ratenet.connectivity import Dense, random_weights
    >>> figure = spectrum(Dense(random_weights(50, radius=0.8, seed=0)))
    >>> figure.axes[0].get_aspect()
    1.0
    """
    values = eigenvalues(connectivity).cpu().numpy()
    largest = float(np.abs(values).max())
    shown = largest if radius is None else radius
    figure, axis = new_figure(on=on, figsize=(5, 5.4))
    angles = np.linspace(0, 2 * np.pi, 400)
    axis.plot(
        shown * np.cos(angles),
        shown * np.sin(angles),
        color=GREY,
        lw=1,
        label=rf"$|\lambda|$ = {shown:.3g}",
    )
    axis.axvline(
        1, color=COLOURS[1], ls="--", lw=1.2, label=r"Re $\lambda$ = 1: unstable at gain 1"
    )
    size = 12 if len(values) < 500 else 3
    axis.scatter(
        values.real, values.imag, s=size, color=COLOURS[0], lw=0, zorder=3,
        label=f"{len(values)} eigenvalues of $W$",
    )  # fmt: skip
    reach = 1.08 * max(largest, shown, 1.0)
    axis.set_xlim(-reach, reach)
    axis.set_ylim(-reach, reach)
    axis.set_aspect("equal")
    axis.set_xlabel(r"real part of $\lambda$")
    axis.set_ylabel(r"imaginary part of $\lambda$")
    axis.legend(
        frameon=False, fontsize="small", ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    entitle(figure, title)
    return figure
