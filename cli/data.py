"""`osnet-edge data`: image sets."""

from __future__ import annotations

from pathlib import Path

import click

from osnet_edge.cli.data_check import check
from osnet_edge.cli.group import CommandGroup
from osnet_edge.cli.options import output_option, parse_size
from osnet_edge.cli.paths import InputPath
from osnet_edge.cli.progress import bar, step
from osnet_edge.runtime.counted import counted
from osnet_edge.runtime.errors import InputError


@click.group(cls=CommandGroup)
def data() -> None:
    """Check re-ID sets, unpack CUHK03, and draw synthetic sets."""


data.add_command(check)


@data.command()
@click.argument("file", type=InputPath("CUHK03's cuhk-03.mat"))
@output_option("folder")
def unpack(file: str, output: str) -> None:
    """Unpack CUHK03's FILE, its authors' cuhk-03.mat, into images and the splits of the first protocol.

    The new protocol is in cuhk03_new_protocol_config_detected.mat and ..._labeled.mat, which are copied if
    they are beside FILE. Needs the extra `data`.

    \b
    Example:
      osnet-edge data unpack cuhk03_release/cuhk-03.mat -o cuhk03-images
      osnet-edge data check cuhk03-classic=cuhk03-images
    """
    from osnet_edge.train.data.cuhk03 import NEW_PROTOCOL
    from osnet_edge.train.data.cuhk03_mat import BOXES, unpack_cuhk03

    counts = unpack_cuhk03(file, output, progress=step)
    images = " and ".join(f"{count:,} {boxes}" for boxes, count in counts.items())
    click.echo(f"{output}: {images} boxes; sets cuhk03-classic={output}, cuhk03-labelled-classic={output}")
    protocols = [NEW_PROTOCOL.format(boxes) for boxes in BOXES]
    missing = [name for name in protocols if not Path(output, name).is_file()]
    copy = f", after copying {' and '.join(missing)} there" if missing else ""
    click.echo(f"and of the new protocol cuhk03={output}, cuhk03-labelled={output}{copy}")


@data.command()
@output_option("folder")
@click.option("--train-people", default=200, show_default=True, help="Number of people to train on.")
@click.option("--test-people", default=40, show_default=True, help="Number of other people, to test on.")
@click.option(
    "--cameras", default=3, show_default=True, help="Number of cameras, at least 2, or 1 with --video."
)
@click.option(
    "--pictures", default=4, show_default=True, help="Images of each person on each camera, at least 2."
)
@click.option(
    "--style",
    default="plain",
    show_default=True,
    help="Light and lens of all cameras: plain, dusk, fluorescent, haze, infrared, neon or cheap.",
)
@click.option(
    "--frames", default=0, show_default=True, help="Draw this number of whole frames with boxes instead."
)
@click.option(
    "--video", is_flag=True, help="Draw what each camera sees of a site instead, to track people in."
)
@click.option(
    "--people", default=12, show_default=True, help="People in each frame; with --video at the site in all."
)
@click.option("--seconds", default=20.0, show_default=True, help="How long --video lasts.")
@click.option("--rate", default=10.0, show_default=True, help="Frames to a second with --video.")
@click.option("--frame-size", default="720x1280", show_default=True, metavar="HxW", help="Size of a frame.")
@click.option("--seed", default=0, show_default=True, help="The same seed draws the same bytes.")
def synthesize(
    output: str,
    train_people: int,
    test_people: int,
    cameras: int,
    pictures: int,
    style: str,
    frames: int,
    video: bool,
    people: int,
    seconds: float,
    rate: float,
    frame_size: str,
    seed: int,
) -> None:
    """Draw a synthetic re-ID set in the Market-1501 layout, or frames with boxes in the MOT17 layout.

    With --video people walk from camera to camera, pass behind a screen and each other, leave and come back.
    Each camera is a sequence: frames in img1/, who is who in gt/, and a detector's boxes in det/.

    \b
    Example:
      osnet-edge data synthesize -o synthetic-set
      osnet-edge data synthesize -o foggy --style haze --seed 1
      osnet-edge data synthesize -o street --frames 5 --people 12
      osnet-edge data synthesize -o site --video --cameras 2 --people 8 --seconds 30
    """
    from osnet_edge.train.synthetic import count_frames, write_frames, write_set, write_video

    if frames < 0:
        raise InputError(f"expected --frames 0 (a set of crops) or more, got {frames}")
    if frames and video:
        raise InputError("expected --frames or --video, got both; --seconds says how long --video lasts")
    if frames or video:
        height, width = parse_size(frame_size, "--frame-size")
    if video:
        with bar("drawing", max(0, cameras) * count_frames(seconds, rate)) as advance:
            sequences = write_video(
                output,
                cameras=cameras,
                people=people,
                seconds=seconds,
                rate=rate,
                size=(width, height),
                seed=seed,
                style=style,
                progress=advance,
            )
        arrived = sum(len(list((each / "img1").iterdir())) for each in sequences)
        click.echo(
            f"{output}: {counted(arrived, 'frame')} of {counted(people, 'person')} by "
            f"{counted(cameras, 'camera')}, as in {sequences[0].name}/img1; who is who is in gt/gt.txt, a "
            "detector's boxes in det/det.txt"
        )
        return
    if frames:
        with bar("drawing", frames) as advance:
            write_frames(
                output, frames=frames, people=people, size=(width, height), seed=seed, progress=advance
            )
        click.echo(f"{output}: {counted(frames, 'frame')} of {counted(people, 'person')}, boxes in gt/gt.txt")
        return
    total = max(0, train_people + test_people) * max(0, cameras) * max(0, pictures)
    with bar("drawing", total) as advance:
        made = write_set(
            output,
            train_identities=train_people,
            test_identities=test_people,
            cameras=cameras,
            pictures_per_camera=pictures,
            seed=seed,
            style=style,
            progress=advance,
        )
    click.echo(
        f"{output}: {counted(len(made.train), 'image')} of {counted(train_people, 'person')} to train on; "
        f"{counted(len(made.query), 'query')} and {counted(len(made.gallery), 'gallery image')} of "
        f"{counted(test_people, 'other')}"
    )
