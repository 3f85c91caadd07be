"""The command line: one file a command; errors become one sentence and an exit code.

Exit codes: 0 done; 2 the user's mistake; 3 stopped by the science (unsettled majority, NaN, a
singular step), with what was learned before saved; 130 interrupted and 143 terminated (SIGTERM),
likewise.
"""

import os
import sys
from typing import Annotated, Any

import typer

from ratenet.cli.app import app as page
from ratenet.cli.circuit_options import TakesCircuitOptions
from ratenet.cli.compare import compare
from ratenet.cli.data import app as data
from ratenet.cli.evaluate import evaluate
from ratenet.cli.fixed_points import fixed_points
from ratenet.cli.identify import identify
from ratenet.cli.infer import infer
from ratenet.cli.models import app as models
from ratenet.cli.output import (
    leftover_mistake,
    plain_warnings,
    print_what_cannot_be_encoded,
    say_error,
)
from ratenet.cli.plasticity import app as plasticity
from ratenet.cli.power import power
from ratenet.cli.reproduce import reproduce
from ratenet.cli.rules import rules
from ratenet.cli.simulate import simulate
from ratenet.cli.stimuli import stimuli
from ratenet.cli.train import train
from ratenet.errors import STOPPED_BY_SCIENCE, RatenetError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Recurrent rate networks: dynamics from one equation file, fixed points, plasticity.",
)
app.add_typer(models, name="models")
app.add_typer(plasticity, name="plasticity")
app.add_typer(data, name="data")
app.command(cls=TakesCircuitOptions)(simulate)
app.command(cls=TakesCircuitOptions)(fixed_points)
for command in (
    rules, stimuli, train, evaluate, compare, identify, infer, power, reproduce
):  # fmt: skip
    app.command()(command)
app.command(name="app")(page)
_UsageError: Any = typer.BadParameter.__base__  # what Typer says of words that fit no option


def _print_version(is_asked_for: bool) -> None:
    if is_asked_for:
        from ratenet import __version__

        print(f"ratenet {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Recurrent rate networks: dynamics from one equation file, fixed points, plasticity."""
    plain_warnings()


def main() -> None:
    """Run the command line."""
    print_what_cannot_be_encoded()
    try:
        code = app(prog_name="ratenet", standalone_mode=False)
    except _UsageError as error:
        code = _wrong_usage(error)
    except RatenetError as error:
        say_error(str(error), error)
        code = 3 if isinstance(error, STOPPED_BY_SCIENCE) else 2
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:  # whoever read stdout has seen enough, as in `ratenet models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except Exception as error:
        sentence = leftover_mistake(error)
        if sentence is None:
            raise
        say_error(sentence, error)
        code = 2
    if code == 130:
        print("Interrupted.", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


def _wrong_usage(error: Any) -> int:
    """Say in a sentence what is wrong with the words of a command; without any, show its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        command = error.ctx.command_path if error.ctx else "ratenet"
        say_error(f"{error.format_message().rstrip('.')}; see {command} --help.", error)
    return 2
