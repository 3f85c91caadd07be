"""The panels of the pages as HTML; the numbers and the drawings are put in by static/app.js."""

from html import escape

HEAD = """<link rel="stylesheet" href="/ratenet/app.css"><script src="/ratenet/app.js"></script>"""


def panel(
    name: str, title: str, kind: str = "plot", *, size: str = "", told: str = "", about: str = ""
) -> str:
    """Return a panel: a title, numbers beside it, and a canvas with a description."""
    return (
        f'<figure class="{size}"><figcaption><b>{escape(title)}</b><span>{told}</span></figcaption>'
        f'<canvas id="{name}" class="{kind}" role="img" aria-label="{escape(about or title)}">'
        "</canvas></figure>"
    )


def number(name: str, before: str = "") -> str:
    """Return a place for a number that changes."""
    return f'{before}<output id="{name}"></output>'


RUN = "".join(
    (
        '<div class="rn-panels">',
        panel("pad", "Draw here", "square", about="Draw a digit with the mouse or a finger"),
        panel("image", "What the network sees", "square", told=number("label")),
        panel(
            "answers",
            "Answer",
            "square",
            size="broad",
            told=f"{number('answer')} {number('confidence')} {number('reached')}",
            about="Confidence of each class",
        ),
        panel("drive", "Drive", "map", about="Drive of all units"),
        panel("rates", "Rates", "map", told=number("time"), about="Rates of all units"),
        panel(
            "target", "Fixed point", "map", size="broad", told=number("found"),
            about="Rates of all units at the fixed point of the image",
        ),
        panel(
            "traces", "Some rates over time", size="wide broad", told="circles: fixed point",
            about="Rates of six units over time, their fixed points as circles",
        ),
        panel(
            "distances",
            "Distance",
            size="wide broad",
            told=number("distance", "to the fixed point ") + number("predicted", ", predicted "),
            about="Distance of the rates to the fixed point over time, and the predicted lag",
        ),
        panel(
            "eigenvalues", "Eigenvalues", size="full", told=number("abscissa"),
            about="Eigenvalues of the Jacobian in the complex plane; unstable to the right of 0",
        ),
        "</div>",
    )
)  # fmt: skip
