"""Every command, and every path in its line, found by walking the tree of commands."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from osnet_edge.cli.bench_files import bench_diff, bench_merge
from osnet_edge.cli.integrate_check import integrate_check, integrate_compare
from osnet_edge.cli.main import cli, main
from osnet_edge.cli.threshold import calibrate_threshold


def leaves(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*words, name))
        elif command:
            yield (*words, name), command


COMMANDS = [
    *leaves(cli),
    (("bench", "diff"), bench_diff),
    (("bench", "merge"), bench_merge),
    (("calibrate",), calibrate_threshold),
    (("integrate", "check"), integrate_check),
    (("integrate", "compare"), integrate_compare),
]
PARAMETERS = [(words, each) for words, command in COMMANDS for each in command.params]


def given(words: tuple[str, ...], parameter: click.Parameter, value: str) -> list[str]:
    """A command line with one value, which is looked at before what is missing is missed."""
    if isinstance(parameter, click.Option):
        return [*words, parameter.opts[0], value]
    # As many arguments in front of it as it takes; each is good.
    return [*words, value]


def of(*kinds: type[click.ParamType]) -> pytest.MarkDecorator:
    found = [
        pytest.param(words, each, id=" ".join((*words, each.opts[0])))
        for words, each in PARAMETERS
        if isinstance(each.type, kinds) and (*words, each.name) not in BEHIND
    ]
    return pytest.mark.parametrize(("words", "parameter"), found)


#: Arguments that stand behind others.
BEHIND = {("bench", "diff", "new"), ("embed", "images")}


def said(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    code = main(arguments)
    err = capfd.readouterr().err
    assert code == 2, err
    assert err.count("\n") == 1
    assert err.startswith("error: ")
    return err
