"""Comparison of a recovered network with its ONNX graph, and detection of the graph's preprocessing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from osnet_edge.runtime.errors import InputError, first_line
from osnet_edge.runtime.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, normalize
from osnet_edge.train.osnet import OSNet
from osnet_edge.train.synthetic import sample_crops

if TYPE_CHECKING:
    from onnx import ModelProto

Array = np.ndarray[Any, Any]
#: Largest relative error of a row that passes for rounding in float32.
TOLERANCE = 1e-4
#: Crops of synthetic people that both are asked about.
_CROPS = 4
#: Of a batch; a file could ask for more than the machine holds.
_MOST_PIXELS = 2**23
_FLOAT, _FLOAT16, _UINT8 = 1, 10, 2


def prove(model: ModelProto, wanted: tuple[str, str, str], ours: OSNet, where: str) -> Iterator[str]:
    """Compare the embeddings of a graph and a recovered network, from the stem's input on.

    A float16 graph is run in float32, since rounding during inference says nothing about its weights.

    Exporters, including ours, fold the division by ImageNet's standard deviation into the stem, whose input
    is then bytes minus the mean. The division is removed from the weights again, since we normalise images
    instead.

    Args:
        model: the graph; it is changed.
        wanted: the tensor that its first convolution reads, that with its embeddings, and that with them
            scaled, each row by a number.
        ours: what was recovered; its stem is changed where a division is folded into it.
        where: the file, for messages.

    Yields:
        Lines that say what the graph takes.

    Raises:
        InputError: the graph cannot be run, or a row differs by more than `TOLERANCE`.
    """
    stem, graph = wanted[0], _Runner(model, wanted, where)
    steps = graph.normalization(stem)
    by_caller = ", normalised by its caller; osnet-edge normalises RGB as for ImageNet"
    yield graph.described() + (by_caller if stem == graph.input else _said(steps))
    crops = sample_crops(_CROPS, *graph.size, seed=1)
    inner, theirs, scaled = graph.run(graph.suited(crops))
    with torch.inference_mode():
        recovered = ours(torch.from_numpy(inner)).numpy()
    theirs = theirs.reshape(len(theirs), -1)
    if recovered.shape != theirs.shape:
        raise InputError(f"{where}: its embeddings are {theirs.shape}, those recovered {recovered.shape}")
    with np.errstate(all="ignore"):
        errors = np.linalg.norm(recovered - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
        scaled = scaled.reshape(theirs.shape)
        units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (theirs, scaled)]
        errors = np.maximum(errors, np.linalg.norm(units[0] - units[1], axis=1))
    # NaN must not pass.
    if not (errors <= TOLERANCE).all():
        raise InputError(
            f"{where}: the weights in it give other embeddings than the graph, by {errors.max():.2g} "
            f"relative, over {TOLERANCE:g}; it computes something that OSNet does not"
        )
    if steps is not None and (unit := steps.unit) is not None:
        factor = torch.from_numpy((unit * np.array(IMAGENET_STD) / steps.std).astype(np.float32))
        with torch.no_grad():
            ours.conv1.conv.weight.mul_(factor.view(1, 3, 1, 1))
    yield f"{where}: recovered {ours.variant.name}; embeddings agree to {errors.max():.1g} relative"


@dataclass(frozen=True, eq=False)
class _Normalization:
    """The preprocessing of a graph before its stem, for each channel that the stem reads.

    Attributes:
        swapped: whether the stem reads red and blue exchanged.
        mean: subtracted from a channel, in units of the graph's input.
        std: by which it is divided then.
    """

    swapped: bool
    mean: Array
    std: Array

    @property
    def unit(self) -> float | None:
        """What white is in the graph's input, if the mean is ImageNet's; else None."""
        fits = [unit for unit in (1.0, 255.0) if np.allclose(self.mean / unit, IMAGENET_MEAN, atol=2e-3)]
        return fits[0] if fits else None


def _said(steps: _Normalization | None) -> str:
    if steps is None:
        return ", and what it does to them is no normalisation"
    mean, std = (", ".join(f"{each:.4g}" for each in values) for values in (steps.mean, steps.std))
    swapped = ", red and blue exchanged" if steps.swapped else ""
    other = "" if steps.unit else "; osnet-edge normalises as for ImageNet, so compare the accuracy with eval"
    return f" and normalises them{swapped}: mean {mean}, std {std}{other}"


class _Runner:
    """A graph in ONNX Runtime that gives the stem's input and the embeddings of images.

    Attributes:
        size: height and width of its images in pixels.
        input: the tensor that its images are.
    """

    def __init__(self, model: ModelProto, wanted: tuple[str, ...], where: str) -> None:
        self._where = where
        _widen(model)
        constants = {each.name for each in model.graph.initializer}
        inputs = [each for each in model.graph.input if each.name not in constants]
        if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
            raise InputError(f"{where}: expected one input of images, got {[each.name for each in inputs]}")
        self.input, kind = inputs[0].name, inputs[0].type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        self._bytes, self._last = kind.elem_type == _UINT8, dims[3] == 3 and dims[1] != 3
        height, width = (dims[1:3] if self._last else dims[2:]) or (0, 0)
        self._batch, self.size = dims[0], (height or 256, width or 128)
        pixels = max(dims[0], _CROPS) * self.size[0] * self.size[1]
        if dims[0] < 0 or min(self.size) < 32 or pixels > _MOST_PIXELS:
            raise InputError(f"{where}: expected images of people, (N, 3, 256, 128) or so, got {dims}")
        self._session, self._wanted = self._open(model, wanted), wanted

    def _open(self, model: ModelProto, wanted: tuple[str, ...]) -> Any:
        import onnx
        import onnxruntime

        del model.graph.output[:]
        names = dict.fromkeys(name for name in wanted if name != self.input)
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            return onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's own errors have no base but Exception.
        except Exception as error:
            raise InputError(f"{self._where} cannot be run by ONNX Runtime ({first_line(error)})") from None

    def run(self, images: Array) -> list[Array]:
        """Return what is wanted, first the stem's input, of images (N, 3, H, W), float32."""
        fed = images.transpose(0, 2, 3, 1) if self._last else images
        fed = np.clip(np.rint(fed), 0, 255).astype(np.uint8) if self._bytes else fed.astype(np.float32)
        step = self._batch or len(fed)
        # A last batch that is not full is filled with the first image.
        filled = np.concatenate([fed, np.repeat(fed[:1], -len(fed) % step, axis=0)])
        parts = []
        for batch in np.split(filled, len(filled) // step):
            names = list(dict.fromkeys(name for name in self._wanted if name != self.input))
            try:
                outputs = dict(zip(names, self._session.run(names, {self.input: batch}), strict=True))
            except Exception as error:
                raise InputError(f"{self._where} cannot be run ({first_line(error)})") from None
            outputs[self.input] = batch
            parts.append([np.asarray(outputs[name], np.float32) for name in self._wanted])
        return [np.concatenate(each)[: len(fed)] for each in zip(*parts, strict=True)]

    def suited(self, crops: Array) -> Array:
        """Return crops (N, H, W, 3) as this graph wants them: bytes, fractions or normalised."""
        levels = crops.astype(np.float32).transpose(0, 3, 1, 2)
        candidates = [levels]
        if not self._bytes:
            candidates += [levels / 255, normalize(crops, Preprocessing(*self.size))]
        # What reaches the stem of any network has a spread of about one.
        return min(candidates, key=lambda each: abs(np.log(self.run(each)[0].std() + 1e-9)))

    def described(self) -> str:
        """Say what the graph takes."""
        height, width = self.size
        shape = f"(N, {height}, {width}, 3)" if self._last else f"(N, 3, {height}, {width})"
        return f"{self._where}: takes {'bytes' if self._bytes else 'floats'} {shape}"

    def normalization(self, stem: str) -> _Normalization | None:
        """Measure the graph's normalisation of images; None if it is no normalisation."""
        if stem == self.input:
            return None
        # One image of zeros, and one for each channel alone at 1, or at 255 where the input is bytes.
        most = 255.0 if self._bytes else 1.0
        probe = np.zeros((4, 3, *self.size), np.float32)
        for channel in range(3):
            probe[1 + channel, channel] = most
        middle = self.run(probe)[0][:, :, self.size[0] // 2, self.size[1] // 2]
        gains = (middle[1:] - middle[0]) / most
        order = np.abs(gains).argmax(axis=0)
        factor = gains[order, range(3)]
        if not np.isfinite(factor).all() or (factor == 0).any():
            return None
        return _Normalization(list(order) == [2, 1, 0], -middle[0] / factor, 1 / factor)


def _widen(model: ModelProto) -> None:
    """Make a float16 graph one of float32, in place."""
    from onnx import numpy_helper

    del model.graph.value_info[:]
    tensors = list(model.graph.initializer)
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == _FLOAT16:
                attribute.i = _FLOAT
            if attribute.HasField("t"):
                tensors.append(attribute.t)
    for tensor in tensors:
        if tensor.data_type == _FLOAT16:
            tensor.CopyFrom(
                numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name)
            )
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == _FLOAT16:
            value.type.tensor_type.elem_type = _FLOAT
