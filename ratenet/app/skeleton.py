"""The panels of the pages as HTML; the numbers and the drawings are put in by static/*.js."""

from html import escape

SCRIPTS = ("canvas", "run", "circuit", "learning")
HEAD = '<link rel="stylesheet" href="/ratenet/app.css">' + "".join(
    f'<script src="/ratenet/{name}.js"></script>' for name in SCRIPTS
)


def panel(
    name: str,
    title: str,
    kind: str = "plot",
    *,
    size: str = "",
    told: str = "",
    about: str = "",
    over: str = "",
    takes_keys: bool = False,
) -> str:
    """Return a panel: a title, numbers beside it, and a canvas with a description."""
    role = 'role="application" tabindex="0"' if takes_keys else 'role="img"'
    return (
        f'<figure class="{size}"><figcaption><b>{escape(title)}</b><span>{told}</span></figcaption>'
        f'<canvas id="{name}" class="{kind}" {role} aria-label="{escape(about or title)}">'
        f"</canvas>{over}</figure>"
    )


def number(name: str, before: str = "") -> str:
    """Return a place for a number that changes, too often to be read aloud each time."""
    return f'{before}<output id="{name}" aria-live="off"></output>'


def panels(*each: str) -> str:
    """Return panels in their grid."""
    return f'<div class="rn-panels">{"".join(each)}</div>'


RUN = panels(
    panel(
        "pad",
        "Draw here",
        "square",
        about="Draw a digit with the mouse or a finger",
        over='<p id="hint">a digit, with the mouse or a finger</p>',
    ),
    panel("image", "What the network sees", "square", told=number("label")),
    panel(
        "answers",
        "Answer",
        "square",
        size="broad",
        told=number("answer") + number("confidence", " \u00b7 ") + number("reached", " \u00b7 "),
        about="Confidence of each class",
    ),
    panel("drive", "Drive", "map", about="Drive of all units"),
    panel("rates", "Rates", "map", told=number("time"), about="Rates of all units"),
    panel(
        "target",
        "Fixed point",
        "map",
        size="broad",
        told=number("found"),
        about="Rates of all units at the fixed point of the image",
    ),
    panel(
        "traces",
        "Six units over time",
        size="wide broad",
        told="circles: fixed point",
        about="Rates of six units over time, their fixed points as circles",
    ),
    panel(
        "distances",
        "Distance to the fixed point",
        size="wide broad",
        told=number("distance") + number("predicted", " · predicted lag "),
        about="Distance of the rates to the fixed point over time, and the predicted lag",
    ),
    panel(
        "eigenvalues",
        "Eigenvalues",
        size="full",
        told=number("abscissa"),
        about="Eigenvalues of the Jacobian in the complex plane; unstable to the right of 0",
    ),
)

CIRCUIT = panels(
    panel(
        "plane",
        "Phase plane",
        "tall",
        size="wide broad",
        told="click, or arrow keys and Enter: a trajectory",
        about="Phase plane with nullclines, basins and fixed points; arrow keys move a cross, and "
        "Enter starts a trajectory there",
        takes_keys=True,
    ),
    panel(
        "diagram",
        "Fixed points",
        "tall",
        size="wide broad",
        told=number("along", "against "),
        about="Bifurcation diagram of the first unit",
    ),
    panel(
        "course",
        "Trajectory",
        size="full",
        told=number("course-note"),
        about="Both units over time",
    ),
)

LEARNING = panels(
    panel(
        "accuracy",
        "Accuracy",
        size="wide broad",
        told='<i class="rn-left">left</i> <i class="rn-right">right</i>: batch; thick: test',
        about="Accuracy of both rules over the steps",
    ),
    panel(
        "slowest",
        "Slowest mode",
        size="wide broad",
        told="at the mean gains of the batch",
        about="Largest real part of the eigenvalues over the steps; unstable above 0",
    ),
    *(
        panel(
            f"{side}-eigenvalues",
            f"Eigenvalues, {side}",
            size="wide broad",
            told=number(f"{side}-accuracy", "batch ")
            + number(f"{side}-test", " \u00b7 test ")
            + number(f"{side}-abscissa", " \u00b7 slowest "),
            about="Eigenvalues of the Jacobian at the fixed point of the first test image",
            over=f'<p class="rn-note rn-wrong" id="{side}-note"></p>',
        )
        for side in ("left", "right")
    ),
)
