"""A TensorRT builder's options beyond the defaults, set where the library has them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class BuilderOptions:
    """Options of `IBuilderConfig`; None leaves one as the library has it.

    Attributes:
        level: `builder_optimization_level`, 0 to 5: how long the builder looks for faster kernels.
        streams: `max_aux_streams`: streams beside the first. With 0 there are no events to wait for.
    """

    level: int | None = None
    streams: int | None = None

    @property
    def given(self) -> dict[str, int]:
        """Those that are not left as they are, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


DEFAULTS = BuilderOptions()


def set_options(config: Any, options: BuilderOptions) -> None:
    """Tell a builder's configuration; a library that has no such option is left alone.

    Both came with TensorRT 8.6 and are in every later version and in TensorRT-RTX.
    """
    if options.level is not None and hasattr(config, "builder_optimization_level"):
        config.builder_optimization_level = options.level
    if options.streams is not None and hasattr(config, "max_aux_streams"):
        config.max_aux_streams = options.streams
