"""Options shared by several commands, and the parsing of their values."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from osnet_edge.cli.paths import PLACEMENT, OutputFile, OutputFolder
from osnet_edge.cli.replacing import FileKind, force_option
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.processor import PROCESSORS

if TYPE_CHECKING:
    from osnet_edge.bench.measure.plan import Footage
    from osnet_edge.engines.int8 import Calibration
    from osnet_edge.runtime.package.manifest import BatchRange

F = TypeVar("F", bound=Callable[..., Any])


def output_option(what: str, kind: FileKind | None = None) -> Callable[[F], F]:
    """Return the option `-o` for the output: a file of some kind, with `--force`, or else a folder."""
    place = OutputFile(kind) if kind else OutputFolder()
    option = click.option(
        "-o", "--output", type=place, required=True, metavar="PATH", help=f"{what} to write."
    )
    return (lambda command: option(force_option()(command))) if kind else option


def json_flag(command: F) -> F:
    """Add `--json`: the result as one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


placement_option = click.option(
    "--placement",
    type=PLACEMENT,
    metavar="FILE",
    help="Placement file that the checkpoint must have been trained with.",
)


def processor_option(default: str = "this") -> Callable[[F], F]:
    """Return `--processor`: the kind of CPU to build INT8 or bf16 for, see `osnet_edge.runtime.processor`."""
    return click.option(
        "--processor",
        type=click.Choice(["this", *PROCESSORS]),
        default=default,
        show_default=True,
        help="Kind of CPU to build int8 or bf16 for; any: every CPU for which the library supports INT8.",
    )


def budget_options(command: F) -> F:
    """Add `--budget` and `--budget-rank1`: the largest accepted loss, see `read_calibration`."""
    for name, help_text in (
        ("--budget-rank1", "Largest accepted loss in points of Rank-1."),
        ("--budget", "Largest accepted loss in points of mAP, such as 0.5."),
    ):
        command = click.option(name, type=float, metavar="POINTS", help=help_text)(command)
    return command


def read_calibration(
    file: str | None,
    budget: float | None,
    rank1: float | None,
    *,
    idf1: float | None = None,
    track: tuple[str, ...] = (),
    budget_alone: bool = False,
) -> Calibration | None:
    """Read a calibration set with its accuracy budget.

    Args:
        file: the calibration set's JSON file; None returns None.
        budget: largest accepted loss, in points (percent) of mAP.
        rank1: largest accepted loss, in points of Rank-1.
        idf1: largest accepted loss, in points of IDF1 in sequences.
        track: folders of these sequences.
        budget_alone: whether a budget is accepted without a set.

    Raises:
        InputError: the file is not a calibration set, the budget is invalid, or a budget comes without a set.
    """
    from osnet_edge.engines.calibration import read_calibration_set
    from osnet_edge.engines.int8 import Calibration
    from osnet_edge.engines.quantization.decide import Budget

    if (idf1 is None) != (not track):
        raise InputError("expected --budget-idf1 POINTS and --track SEQUENCES together, got one of the two")
    given = None if (budget, rank1, idf1) == (None, None, None) else Budget(budget, rank1, idf1)
    if file is None:
        if given and not budget_alone:
            raise InputError("a budget is measured on held-out people; pass --calibration FILE too")
        return None
    footage = read_footage(track) if track else None
    return Calibration(read_calibration_set(file), Path(file), given, footage=footage)


def read_footage(folders: tuple[str, ...], threshold: float | None = None) -> Footage:
    """Read sequences to follow people through.

    Args:
        folders: of sequences.
        threshold: cosine from which two images show one person; None takes the tracker's own.

    Raises:
        InputError: a folder holds none, or one has no ground truth.
        UnavailableError: the extra for tracking is not installed.
    """
    from osnet_edge.bench.measure.plan import Footage
    from osnet_edge.bench.measure.tracking import require_tracker
    from osnet_edge.train.data.sequences import read_sequences

    usual = require_tracker()
    return Footage(read_sequences(folders), usual if threshold is None else threshold)


def typed_command(**chosen: object) -> str:
    """Return the running command line as the user could type it, without default values.

    Args:
        chosen: options with the values that the command chose for this run, such as `threads=2`.
    """
    context = click.get_current_context()
    words = context.command_path.split()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in context.params:
            # Of --force nothing of the result depends.
            continue
        if name not in chosen and context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = chosen.get(name, context.params[name])
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(parameter, click.Argument):
            words += map(str, values)
        elif isinstance(value, bool):
            words.append(parameter.opts[0])
        else:
            words += (word for item in values for word in (parameter.opts[0], str(item)))
    return shlex.join(words)


def within_cores(context: click.Context, parameter: click.Parameter, threads: int | None) -> int | None:
    """Return a number of threads that is within the cores of this process: more would only wait.

    Raises:
        InputError: it is below 1, or above the cores.
    """
    from osnet_edge.runtime.backends.onnxruntime import allowed_cores

    cores = allowed_cores()
    if threads is not None and not 1 <= threads <= cores:
        these = f"1 to {cores}, the number of cores that this process may use" if cores > 1 else "1"
        raise InputError(f"expected --threads of {these}; got {threads}")
    return threads


weights_key_option = click.option(
    "--weights-key",
    metavar="KEY",
    help="Network to take from a checkpoint that holds several, such as ema; default: the trained one.",
)


def require_weights(weights: str | None, weights_key: str | None) -> None:
    """Check that `--weights-key` is given together with `--weights`.

    Raises:
        InputError: it is given alone.
    """
    if weights_key is not None and not weights:
        raise InputError("expected --weights with --weights-key, got none; give the checkpoint that holds it")


threads_option = click.option(
    "--threads",
    type=int,
    metavar="N",
    callback=within_cores,
    help="CPU threads, at most one for each core; default: number of cores, at most 4.",
)


far_option = click.option(
    "--far",
    metavar="RATE,...",
    help="Also find the similarity that means the same person, by false accept rate, such as 0.001.",
)


def echo_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Parse `256x128` into height and width, in pixels.

    Raises:
        InputError: it is spelt otherwise.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.strip().lower())
    if not match:
        raise InputError(f"expected {option} HEIGHTxWIDTH such as 256x128, got {text!r}")
    return int(match[1]), int(match[2])


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Parse `1,8,32` into whole numbers of at least 1.

    Raises:
        InputError: it is spelt otherwise.
    """
    parts = text.split(",")
    if not all(re.fullmatch(r"\s*[1-9]\d{0,5}\s*", part) for part in parts):
        raise InputError(f"expected {option} as whole numbers such as 1,8,32; got {text!r}")
    return tuple(int(part) for part in parts)


def parse_rates(text: str) -> tuple[float, ...]:
    """Parse `--far 0.001,0.0003` into false accept rates.

    Raises:
        InputError: it is spelt otherwise, or a rate is not between 0 and 1.
    """
    try:
        rates = tuple(float(part) for part in text.split(","))
    except ValueError:
        rates = (math.nan,)
    if not all(0 < rate < 1 for rate in rates):
        raise InputError(
            f"expected --far as rates between 0 and 1, such as 0.001 or 0.01,0.001; got {text!r}"
        )
    return rates


def parse_batch_range(text: str) -> BatchRange:
    """Parse `min,opt,max`, or one number for all three.

    Raises:
        InputError: it is spelt otherwise, or the numbers do not rise.
    """
    from osnet_edge.runtime.package.manifest import BatchRange

    numbers = parse_numbers(text, "--batch")
    if len(numbers) == 1:
        return BatchRange(numbers[0], numbers[0], numbers[0])
    if len(numbers) != 3:
        raise InputError(f"expected --batch min,opt,max such as 1,8,32, or one number; got {text!r}")
    return BatchRange(*numbers)
