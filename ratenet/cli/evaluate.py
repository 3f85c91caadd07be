"""``ratenet evaluate``: a trained run on the test images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ratenet.cli.output import print_table

if TYPE_CHECKING:
    from torch import Tensor

    from ratenet.training import Evaluation


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data_root: Annotated[
        Path | None, typer.Option(help="Folder of torchvision's files. [where they were]")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The images, if they are not where they were.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda. [as trained]")] = None,
    rule: Annotated[str | None, typer.Option(help="Your own rule again, FILE.py:NAME.")] = None,
    loss: Annotated[str | None, typer.Option(help="Your own loss again, FILE.py:NAME.")] = None,
    stimulus: Annotated[
        str | None, typer.Option(help="Your own stimulus again, FILE.py:NAME.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Import your own code that the run folder names.")
    ] = False,
) -> None:
    """Evaluate a trained run on the test images; writes evaluation.json into the run folder.

    Example: `ratenet evaluate runs/demo`
    """
    from ratenet.files import refuse_no_run

    refuse_no_run(run)

    from ratenet.report.record import write_json
    from ratenet.training import evaluate as evaluate_run
    from ratenet.training.run_folder import RunFolder

    folder = RunFolder(run)
    folder.read_config({"device": device} if device else {})  # before a folder is made
    root = None if data_root is None else str(data_root)
    with folder.opened():
        again = {"data": data, "rule": rule, "loss": loss, "stimulus": stimulus}
        solved, slow = evaluate_run(run, data_root=root, device=device, trust=trust, **again)
        write_json(folder.evaluation_file, _result(solved, slow))
    _report(solved, slow)


def _result(solved: "Evaluation", slow: "Evaluation | None") -> dict[str, Any]:
    result: dict[str, Any] = {
        f"test_{solved.score_name}": solved.score,
        "test_loss": solved.loss,
        "test_unsettled": solved.unsettled,
    }
    if solved.confusion is not None:
        result["confusion"] = solved.confusion.tolist()
    if slow is not None:
        result |= {
            f"test_{slow.score_name}_slow": slow.score,
            "test_unsettled_slow": slow.unsettled,
        }
    return result


def _report(solved: "Evaluation", slow: "Evaluation | None") -> None:
    if solved.confusion is not None:
        _report_classes(solved.confusion)
    head = f"test {solved.score_name}"
    print(f"{head:14s} {solved.score:.3f} at solved fixed points, {solved.unsettled} unsettled")
    if slow is not None:
        print(f"{slow.score:20.3f} in slow presentation, {slow.unsettled} unsettled")


def _report_classes(confusion: "Tensor") -> None:
    from rich.table import Table

    right, shown = confusion.diagonal(), confusion.sum(dim=1)
    table = Table(title="Test images by class")
    for heading in ("class", "settled images", "correct", "accuracy", "most common error"):
        table.add_column(heading, justify="right")
    for label in range(len(right)):
        mistakes = confusion[label].clone()
        mistakes[label] = 0
        share = float(right[label]) / max(1, int(shown[label]))
        most = str(int(mistakes.argmax())) if int(mistakes.sum()) else "-"
        table.add_row(
            str(label), str(int(shown[label])), str(int(right[label])), f"{share:.3f}", most
        )
    print_table(table)
