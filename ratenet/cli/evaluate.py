"""``ratenet evaluate``: a trained run on the test images."""

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data_root: Annotated[
        Path | None, typer.Option(help="Where torchvision's files are. [where they were]")
    ] = None,
) -> None:
    """Evaluate a trained run on the test images; writes evaluation.json into the run folder.

    Example: `ratenet evaluate runs/demo`
    """
    from rich.console import Console
    from rich.table import Table

    from ratenet.report.record import write_json
    from ratenet.training import evaluate as evaluate_run

    solved, slow = evaluate_run(run, data_root=None if data_root is None else str(data_root))
    right, shown = solved.confusion.diagonal(), solved.confusion.sum(dim=1)
    table = Table(title="Test images by class")
    for heading in ("class", "settled images", "right", "accuracy", "mostly taken for"):
        table.add_column(heading, justify="right")
    for label in range(len(right)):
        mistakes = solved.confusion[label].clone()
        mistakes[label] = 0
        share = float(right[label]) / max(1, int(shown[label]))
        most = str(int(mistakes.argmax())) if int(mistakes.sum()) else "-"
        table.add_row(
            str(label), str(int(shown[label])), str(int(right[label])), f"{share:.3f}", most
        )
    Console().print(table)
    result = {
        "test_accuracy": solved.accuracy,
        "test_loss": solved.loss,
        "test_unsettled": solved.unsettled,
        "confusion": solved.confusion.tolist(),
    }
    print(
        f"test accuracy  {solved.accuracy:.3f} at solved fixed points, {solved.unsettled} unsettled"
    )
    if slow is not None:
        result |= {"test_accuracy_slow": slow.accuracy, "test_unsettled_slow": slow.unsettled}
        print(
            f"               {slow.accuracy:.3f} at the end of slow holds, "
            f"{slow.unsettled} unsettled"
        )
    write_json(run / "evaluation.json", result)
