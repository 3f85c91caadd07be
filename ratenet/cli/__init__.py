"""The command line: one file a command; errors become one sentence and an exit code.

Exit codes: 0 done; 2 the user's mistake; 3 stopped by the science (unsettled majority, NaN, a
singular step), with what was learned before saved; 130 interrupted and 143 terminated (SIGTERM),
likewise.
"""

import os
import sys

import typer

from ratenet.cli.compare import compare
from ratenet.cli.evaluate import evaluate
from ratenet.cli.fixed_points import fixed_points
from ratenet.cli.identify import identify
from ratenet.cli.models import models
from ratenet.cli.output import is_first_process, is_out_of_memory
from ratenet.cli.power import power
from ratenet.cli.reproduce import reproduce
from ratenet.cli.simulate import simulate
from ratenet.cli.stimuli import stimuli
from ratenet.cli.train import train
from ratenet.errors import STOPPED_BY_SCIENCE, OtherProcessError, RatenetError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Recurrent rate networks: dynamics from one equation file, fixed points, plasticity.",
)
commands = (
    models, simulate, stimuli, fixed_points, train, evaluate, compare, identify, power, reproduce
)  # fmt: skip
for command in commands:
    app.command()(command)


def main() -> None:
    """Run the command line."""
    try:
        app(standalone_mode=True)
    except RatenetError as error:
        sys.stdout.flush()
        if is_first_process():
            print(f"Error: {error}", file=sys.stderr)
        elif not isinstance(error, OtherProcessError):  # the first one may know nothing of it
            print(f"Process {os.environ['RANK']}: {error}", file=sys.stderr)
        sys.exit(3 if isinstance(error, STOPPED_BY_SCIENCE) else 2)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(
            "Error: there is not enough memory; use fewer units, stimuli or records.",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(130)
