"""`osnet-edge train`: a plain fit to a set of pictures."""

from __future__ import annotations

import click

from osnet_edge.cli.options import output_option, parse_size
from osnet_edge.cli.progress import bar


@click.command()
@click.argument("data")
@output_option("checkpoint")
@click.option("--arch", default="osnet_x0_25", show_default=True, help="Variant to train.")
@click.option("--epochs", default=20, show_default=True, help="Passes over the pictures.")
@click.option("--batch", default=32, show_default=True, help="Pictures a step.")
@click.option("--learning-rate", default=2.5e-3, show_default=True, help="Of AdamW, at its highest.")
@click.option("--size", default="256x128", show_default=True, metavar="HxW", help="Size to train at.")
@click.option("--seed", default=0, show_default=True, help="Of weights, order and augmentation.")
def train(
    data: str, output: str, arch: str, epochs: int, batch: int, learning_rate: float, size: str, seed: int
) -> None:
    """Train an OSNet on DATA, from random weights.

    DATA is a set's name or folder, a CSV or a pattern; several, with commas between them, are combined.

    \b
    Example:
      osnet-edge train synthetic-set -o osnet.pth --epochs 20
    """
    height, width = parse_size(size)
    from osnet_edge.runtime.files import require_writable
    from osnet_edge.train.checkpoint import save_osnet
    from osnet_edge.train.data import parse_specs, training_pictures
    from osnet_edge.train.fit import EpochReport, FitSettings, fit
    from osnet_edge.train.variants import variant_named

    settings = FitSettings(
        epochs=epochs, batch=batch, learning_rate=learning_rate, height=height, width=width, seed=seed
    )
    variant = variant_named(arch)
    pictures = training_pictures(parse_specs(data))
    # A run of hours should not end at a folder that was never there.
    require_writable(output)

    def tell(epoch: EpochReport) -> None:
        click.echo(f"  epoch {epoch.epoch}: loss {epoch.loss:.3f}, accuracy {epoch.accuracy:.1%}", err=True)

    with bar("training", epochs * (len(pictures) // batch) * batch) as advance:
        model = fit(pictures, variant, settings, progress=advance, report=tell)
    save_osnet(model, output)
    click.echo(f"{output}: {arch}, {model.num_classes} identities, {epochs} epochs")
