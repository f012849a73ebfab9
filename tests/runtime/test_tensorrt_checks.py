"""What is decided about TensorRT before anything is built or run: GPUs, versions, precisions."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import pytest
from tensorrt_graphs import manifest_for, rtx_target

from osnet_edge.engines.backends.tensorrt.capabilities import resolve_capabilities
from osnet_edge.engines.backends.tensorrt.network import allow_half, is_strongly_typed
from osnet_edge.runtime.backends.base import find_support
from osnet_edge.runtime.backends.tensorrt.checks import check_device, check_driver
from osnet_edge.runtime.backends.tensorrt.library import ErrorCollector, Library, same_version
from osnet_edge.runtime.backends.tensorrt.plan_file import PlanHeader
from osnet_edge.runtime.cuda.probe import CudaDevice, CudaProbe, probe
from osnet_edge.runtime.errors import InputError, UnavailableError
from osnet_edge.runtime.package.manifest import BatchRange

HAS_RTX = importlib.util.find_spec("tensorrt_rtx") is not None
HAS_FULL = importlib.util.find_spec("tensorrt") is not None


class Stand:
    """What TensorRT 8.6 has and no later library: a layer and a configuration that take precisions."""

    def __init__(self, kind: str, dtype: str = "float32") -> None:
        self.type, self.dtype, self.precision, self.outputs = SimpleNamespace(name=kind), dtype, None, {}

    def get_output(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(dtype=self.dtype)

    def set_output_type(self, index: int, dtype: str) -> None:
        self.outputs[index] = dtype


def test_weak_typing_sets_flags_and_holds_norms() -> None:
    kinds = ["CAST", "ELEMENTWISE", "CONVOLUTION", "PLUGIN_V2", "ELEMENTWISE", "NORMALIZATION"]
    # A shape is computed in integers, before the first convolution too.
    layers = [Stand("ELEMENTWISE", "int32"), *map(Stand, kinds)]
    flags = SimpleNamespace(FP16="FP16", OBEY_PRECISION_CONSTRAINTS="OBEY", TF32="TF32")
    trt = SimpleNamespace(
        float32="float32", BuilderFlag=flags, NetworkDefinitionCreationFlag=SimpleNamespace()
    )
    library = Library("tensorrt", "8.6.2", trt, None, ErrorCollector())
    network = SimpleNamespace(num_layers=len(layers), get_layer=layers.__getitem__)
    raised: list[str] = []
    assert not is_strongly_typed(library)
    allow_half(
        library,
        SimpleNamespace(platform_has_fast_fp16=True),
        network,
        SimpleNamespace(set_flag=raised.append),
    )
    assert raised == ["FP16", "OBEY"]
    assert [layer.precision == "float32" for layer in layers] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]
    assert all(bool(layer.outputs) == (layer.precision is not None) for layer in layers)
    with pytest.raises(UnavailableError, match="build the engine with fp32"):
        allow_half(library, SimpleNamespace(platform_has_fast_fp16=False), network, SimpleNamespace())


@pytest.mark.parametrize(
    ("capabilities", "resolved"),
    [
        # TensorRT builds for the GPU that is here, whether or not it is named.
        ((), ("8.7",)),
        (("current",), ("8.7",)),
        (("8.7",), ("8.7",)),
        (("8.6",), "builds for the GPU that is here, of compute capability 8.7, and was asked for 8.6"),
    ],
)
def test_tensorrt_builds_for_the_gpu_that_is_here(
    capabilities: tuple[str, ...], resolved: tuple[str, ...] | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library("tensorrt", "10.3.0", SimpleNamespace(), None, ErrorCollector())
    here = CudaProbe(True, "", (CudaDevice("Orin", "8.7"),), "12.6")
    monkeypatch.setattr("osnet_edge.engines.backends.tensorrt.capabilities.probe", lambda: here)
    if isinstance(resolved, tuple):
        assert resolve_capabilities(library, capabilities) == resolved
    else:
        with pytest.raises(InputError, match=resolved):
            resolve_capabilities(library, capabilities)
    # And nowhere else.
    monkeypatch.setattr(
        "osnet_edge.engines.backends.tensorrt.capabilities.probe",
        lambda: CudaProbe(False, "there is no driver"),
    )
    with pytest.raises(
        UnavailableError, match="building with TensorRT needs the GPU it is for, and there is no"
    ):
        resolve_capabilities(library, capabilities)


@pytest.mark.parametrize(
    ("built_for", "open_ended", "here", "fits"),
    [
        (("8.6", "8.9"), False, "8.9", True),
        # A plan for Ampere desktops does not run on Orin, though both are Ampere.
        (("8.6",), False, "8.7", False),
        # TensorRT-RTX's default is for GPUs to come as well; it knows best, and is asked next.
        (("8.0", "8.6"), True, "9.0", True),
        (("8.6",), False, "12.0", False),
    ],
)
def test_a_plan_is_held_to_the_gpu(
    built_for: tuple[str, ...], open_ended: bool, here: str, fits: bool
) -> None:
    header = PlanHeader("tensorrt_rtx", "1.7.1.116", built_for, open_ended)
    manifest = manifest_for(
        rtx_target(capabilities=built_for), BatchRange(1, 2, 4), size=4, height=8, width=8
    )
    device = CudaDevice("NVIDIA Test", here)
    if fits:
        check_device(header, manifest, device)
        return
    with pytest.raises(InputError, match=f"built for compute capability 8.6 and NVIDIA Test has {here}"):
        check_device(header, manifest, device)
    # A TensorRT plan does not say it, so its manifest does.
    with pytest.raises(InputError, match=r"built for compute capability 8\.6"):
        check_device(PlanHeader("tensorrt", "10.3.0.30", None), manifest, device)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        # A header has four numbers, and the module of TensorRT 10.3 says three.
        ("10.3.0.30", "10.3.0", True),
        ("10.3.0.30", "10.3.0.26", False),
        ("8.6.2.3", "8.6.1", False),
        ("10.0.0.6", "10.0.0b6", True),
    ],
)
def test_versions_agree_in_what_both_say(left: str, right: str, same: bool) -> None:
    assert same_version(left, right) is same


def test_doctor_hears_what_can_be_built_and_run_here() -> None:
    full, rtx = find_support("tensorrt"), find_support("tensorrt_rtx")
    assert (full.version is not None, rtx.version is not None) == (HAS_FULL, HAS_RTX)
    for support in (full, rtx):
        assert bool(support.runs) == (not support.problems)
        assert not support.runs or probe().available
        assert all("\n" not in problem for problem in support.problems)
    assert ("sm86" in rtx.builds) == HAS_RTX


@pytest.mark.parametrize(
    ("wheels", "driver", "said"),
    [
        # As pip installs it: the name says which CUDA it was built with.
        (
            {"tensorrt-cu13-bindings"},
            "12.6",
            r"built for CUDA 13, and the driver supports CUDA 12\.6; update the",
        ),
        ({"tensorrt-cu13-bindings"}, "13.0", ""),
        ({"tensorrt-cu12-bindings"}, "13.0", ""),
        # Both: whichever is imported, one of them works.
        ({"tensorrt-cu12-bindings", "tensorrt-cu13-bindings"}, "12.6", ""),
        # JetPack's has no such name, and fits JetPack's driver.
        (set(), "11.4", ""),
    ],
)
def test_an_old_driver_is_found_before_tensorrt_is(
    wheels: set[str], driver: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osnet_edge.runtime.backends.tensorrt.checks._is_installed", wheels.__contains__)
    library = Library("tensorrt", "11.4.0", None, None, ErrorCollector())
    if not said:
        check_driver(library, driver)
        return
    with pytest.raises(UnavailableError, match=said) as error:
        check_driver(library, driver)
    assert "install tensorrt-cu12 in its place" in str(error.value)


@pytest.mark.skipif(not HAS_RTX, reason="TensorRT-RTX is not installed")
def test_the_wheel_that_is_installed_is_recognised() -> None:
    library = Library("tensorrt_rtx", "1.7.1", None, None, ErrorCollector())
    with pytest.raises(UnavailableError, match="built for CUDA 1"):
        check_driver(library, "10.2")
