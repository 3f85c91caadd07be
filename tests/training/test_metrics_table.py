"""metrics.csv: a table of numbers with steps 1, 2, ..."""

import pytest

from ratenet.errors import RunFolderError
from ratenet.training.metrics_table import METRICS, keep_metrics, read_metrics

HEADING = ",".join(METRICS)
ROWS = [f"{step},1,{0.5 / step}" + "," * (len(METRICS) - 3) for step in range(1, 6)]


def table(*rows: str, end: str = "\n") -> str:
    return "\n".join([HEADING, *rows]) + end


def test_a_whole_table_is_read(tmp_path):
    (tmp_path / "m.csv").write_text(table(*ROWS))
    found = read_metrics(tmp_path / "m.csv")
    assert found["step"].tolist() == [1, 2, 3, 4, 5]
    assert found["train_loss"].tolist() == [0.5 / step for step in range(1, 6)]
    assert found["test_accuracy"].isna().all()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (table(*ROWS, end=""), 6),
        (table(*ROWS[:4], ROWS[4][:6]), 6),
        (table(ROWS[0], ROWS[2], ROWS[1]), 3),
        (table(ROWS[0], ROWS[0]), 3),
        (table(ROWS[0], ROWS[1].replace("0.25", "much")), 3),
        (table(*ROWS).replace("train_loss", "loss"), 2),
        ("", 2),
    ],
)
def test_damage_is_named_by_its_line(text, line, tmp_path):
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(RunFolderError, match=f"m.csv: damaged in line {line};"):
        read_metrics(tmp_path / "m.csv")


def test_later_rows_are_dropped_and_damaged_ones_come_from_the_checkpoint(tmp_path):
    file = tmp_path / "m.csv"
    for text in (table(*ROWS), table(*ROWS[:3], ROWS[3][:5]), table(*ROWS[:2])):
        file.write_text(text)
        keep_metrics(file, 4, ROWS[2:4])
        assert file.read_text() == table(*ROWS[:4])


def test_rows_that_nobody_has_are_missed(tmp_path):
    (tmp_path / "m.csv").write_text(table(ROWS[0]))
    with pytest.raises(RunFolderError, match="first 1 row is whole, the checkpoint is at step 4"):
        keep_metrics(tmp_path / "m.csv", 4, ROWS[2:4])
