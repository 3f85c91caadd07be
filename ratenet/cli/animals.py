"""What ``ratenet identify`` writes and prints where several animals were measured."""

from typing import TYPE_CHECKING, Any

from ratenet.cli.output import print_table
from ratenet.files import figure_files

if TYPE_CHECKING:
    from ratenet.files import ResultsFolder
    from ratenet.hypotheses import GroupIdentification

FILES = (
    "frequencies.csv", "animals.csv", "evidence.csv", "summary.json", *figure_files("frequencies"),
)  # fmt: skip


def write_animals(
    found: "GroupIdentification", record: dict[str, Any], results: "ResultsFolder", form: str
) -> None:
    """Write tables, verdict and picture."""
    from ratenet.report.figures import figure_writes
    from ratenet.report.identification import frequency_figure
    from ratenet.report.record import write_config, write_json

    results.write("config.toml", lambda path: write_config(path, record))
    for name in ("frequencies", "animals", "evidence"):
        results.write(f"{name}.csv", getattr(found, name).to_csv)
    keys = ("rule", "best", "confidence", "kind", "measured", "unsettled", "misfits", "fits",
            "level", "smallest")  # fmt: skip
    summary = {key: getattr(found, key) for key in keys}
    results.write("summary.json", lambda path: write_json(path, summary))
    figure = frequency_figure(found.frequencies, found.posteriors)
    results.write_all(figure_writes(figure, "frequencies", form))


def print_animals(found: "GroupIdentification") -> None:
    """Print how frequent each rule is, and what each animal says."""
    from rich.table import Table
    from rich.text import Text

    from ratenet.errors import escape

    frequencies, animals = Table(title="Frequencies among animals"), Table(title="Animals")
    frequencies.add_column("rule", no_wrap=True)
    for heading in ("frequency", "95 %", "exceedance", "p"):
        frequencies.add_column(heading, justify="right", no_wrap=True)
    for name, row in found.frequencies.iterrows():
        has_p = row["p_value"] == row["p_value"]  # NaN for what is not a candidate
        numbers = (f"{row['frequency']:.2f}", f"[{row['low']:.2f}, {row['high']:.2f}]",
                   f"{row['protected']:.3f}", f"{row['p_value']:.2g}" if has_p else "")  # fmt: skip
        frequencies.add_row(*map(Text, (str(name), *numbers)))
    animals.add_column("animal", overflow="fold")
    animals.add_column("best", no_wrap=True)
    for heading in ("posterior", "alignment", "p", "named"):
        animals.add_column(heading, justify="right")
    for name, row in found.animals[found.animals["sessions"] > 0].iterrows():
        named = "yes" if row["rule"] == row["best"] else "no"
        shown = (escape(str(name)), str(row["best"]), f"{row['posterior']:.3f}",
                 f"{row['alignment']:.3f}", f"{row['p_value']:.2g}", named)  # fmt: skip
        animals.add_row(*map(Text, shown))
    for table in (frequencies, animals):
        print_table(table)
