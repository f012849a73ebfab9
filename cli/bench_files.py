"""`osnet-edge bench diff` and `bench merge`: compare stored results, and put several on one page."""

from __future__ import annotations

import click

from osnet_edge.cli.options import echo_json
from osnet_edge.cli.paths import RESULT, OutputFile
from osnet_edge.cli.replacing import PAGE_HTML, force_option
from osnet_edge.runtime.errors import InputError


@click.command("diff")
@click.argument("old", type=RESULT)
@click.argument("new", type=RESULT)
@click.option(
    "--fail-over",
    default="5%",
    show_default=True,
    metavar="SHARE",
    help="Loss above which the command fails, such as 5%.",
)
@click.option("--allow-unlike", is_flag=True, help="Exit with 0 although the conditions differ.")
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@click.pass_context
def bench_diff(
    context: click.Context, old: str, new: str, fail_over: str, allow_unlike: bool, as_json: bool
) -> int:
    """Compare result NEW with OLD; exit code 1 if an engine got worse by more than --fail-over.

    A time counts as worse only if the intervals of the two medians do not overlap, so noise alone does not
    make the command fail. Accuracy, mAP or IDF1, is worse if its relative loss is over --fail-over. What was
    not measured in both results is neither better nor worse. If the conditions differ, such as the number of
    threads or the processor, times are shown but not judged; the exit code is then 2 unless something got
    worse, so that a script does not take a comparison without judged times for a good one.

    \b
    Example:
      osnet-edge bench diff main.json branch.json --fail-over 5%
    """
    share = _parse_share(fail_over)
    from osnet_edge.bench.report.diff import changes, diff_table, unlike_conditions
    from osnet_edge.bench.report.render import aligned
    from osnet_edge.bench.result.result import read_result
    from osnet_edge.runtime.package.schema import to_json

    before, after = read_result(old), read_result(new)
    found, unlike = changes(before, after, share), unlike_conditions(before, after)
    if as_json:
        echo_json({"fail_over": share, "unlike": unlike, "changes": to_json(found)})
    else:
        click.echo(aligned(diff_table(found)), nl=False)
    for condition in unlike:
        click.echo(f"unlike {condition}; times that depend on it are not judged", err=True)
    worse = [each for each in found if each.worse]
    for each in worse:
        click.echo(f"worse: {each.engine}, {each.what}: {each.text}", err=True)
    if unlike and not worse and not allow_unlike:
        raise InputError(
            "expected two results of like conditions, got unlike ones, whose times are not judged; measure "
            "both alike, or pass --allow-unlike"
        )
    context.exit(1 if worse else 0)


@click.command("merge")
@click.argument("results", nargs=-1, required=True, type=RESULT)
@click.option(
    "-o",
    "--output",
    type=OutputFile(PAGE_HTML),
    default="fleet.html",
    show_default=True,
    metavar="FILE",
    help="Page to write.",
)
@force_option()
@click.option(
    "--budget",
    type=float,
    metavar="POINTS",
    help="Largest loss in points of mAP against the float32 reference; default: 0.5, or any with "
    "--budget-idf1.",
)
@click.option(
    "--budget-idf1",
    type=float,
    metavar="POINTS",
    help="Largest loss in points of IDF1, in results of bench --track.",
)
@click.option("--unmeasured", is_flag=True, help="Also choose among engines whose accuracy was not measured.")
@click.option("--markdown", is_flag=True, help="Print the table of choices in Markdown.")
def bench_merge(
    results: tuple[str, ...],
    output: str,
    budget: float | None,
    budget_idf1: float | None,
    unmeasured: bool,
    markdown: bool,
) -> None:
    """Put RESULTS of several machines on one page, and choose an engine for each machine.

    The chosen engine is the fastest on a frame, among those that lose no more than --budget points of mAP and
    --budget-idf1 points of IDF1. If no frames were timed, it is the fastest on a batch. An engine of which
    that was not measured is left out, unless --unmeasured is given.

    \b
    Example:
      osnet-edge bench merge orin.json nano.json nuc.json -o fleet.html
    """
    if budget is None and budget_idf1 is None:
        budget = 0.5
    for option, points, metric in (("--budget", budget, "mAP"), ("--budget-idf1", budget_idf1, "IDF1")):
        if points is not None and not 0 <= points <= 100:
            raise InputError(f"expected {option} in points of {metric}, 0 to 100; got {points:g}")
    share, share_idf1 = (None if points is None else points / 100 for points in (budget, budget_idf1))
    from osnet_edge.bench.report.fleet import choices, fleet_table
    from osnet_edge.bench.report.page import fleet_page, templates
    from osnet_edge.bench.report.render import aligned
    from osnet_edge.bench.report.render import markdown as in_markdown
    from osnet_edge.bench.result.result import read_result
    from osnet_edge.runtime.files import write_aside

    templates()
    read = [read_result(path) for path in results]
    found = choices(read, share, budget_idf1=share_idf1, unmeasured=unmeasured)
    table = fleet_table(found, share, share_idf1)
    click.echo((in_markdown if markdown else aligned)(table.as_text()), nl=False)
    with write_aside(output) as partial:
        page = fleet_page(read, share, budget_idf1=share_idf1, unmeasured=unmeasured)
        partial.write_text(page, encoding="utf-8")


def _parse_share(text: str) -> float:
    """Parse a share such as `5%`.

    Raises:
        InputError: the text has another form, or the share is not in 0 to 1000 %.
    """
    try:
        share = float(text.strip().removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not text.strip().endswith("%") or not 0 <= share < 10:
        raise InputError(f"expected --fail-over as a share such as 5%, got {text!r}")
    return share
