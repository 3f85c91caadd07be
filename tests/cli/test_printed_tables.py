"""Tables on the terminal: in the narrowest one no number is cut."""

import pytest
from rich.table import Table

from ratenet.cli.output import print_table


@pytest.mark.parametrize("width", [20, 80, 200])
def test_no_number_is_cut(width: int, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    table = Table(title="Fixed points")
    for heading in ("", "stability", "abscissa (1/s)", "residual", "y_0 (dimensionless)", "y_1"):
        table.add_column(heading, justify="right")
    numbers = ("-1.234e+04", "1.2e-12", "1.234e-05", "-0.001234")
    table.add_row("0", "undecided", *numbers)
    print_table(table)
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(number in printed for number in (*numbers, "undecided"))
    assert max(map(len, printed.splitlines())) <= max(width, 80)


def test_wide_terminals_are_not_filled(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    table = Table("a", "b")
    table.add_row("1", "2")
    print_table(table)
    assert max(map(len, capsys.readouterr().out.splitlines())) < 20
