"""What a processor says of itself, which kinds it is of, and what the missing instruction does to INT8."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osnet_edge.engines.quantization.ranges import quantize_weights
from osnet_edge.runtime.errors import InputError
from osnet_edge.runtime.processor import (
    PROCESSORS,
    Processor,
    narrower,
    resolve_processor,
    this_processor,
)


@pytest.mark.parametrize(
    ("sentence", "architecture", "features", "kind", "exact"),
    [
        ("an old x86 without AVX2 is of no kind", "x86_64", "", "any", False),
        ("AMD before Zen 4, Intel before Ice Lake", "x86_64", "avx2", "x86-64-v3", False),
        ("Skylake's AVX-512 has no VNNI", "x86_64", "avx2 avx512f", "x86-64-v3", False),
        ("Alder Lake has it in the encoding of AVX", "x86_64", "avx2 avx_vnni", "x86-64-vnni", True),
        ("Ice Lake in that of AVX-512", "x86_64", "avx2 avx512f avx512_vnni", "x86-64-vnni", True),
        ("Zen 4 has bf16 too", "x86_64", "avx2 avx512_vnni avx512_bf16", "x86-64-bf16", True),
        ("Sapphire Rapids has AMX", "x86_64", "avx2 avx512_vnni amx_bf16 amx_int8", "x86-64-bf16", True),
        ("a Cortex-A53 multiplies bytes by NEON", "aarch64", "neon", "aarch64", True),
        ("a Jetson Orin has dot products", "aarch64", "neon fp16 dotprod", "aarch64-dotprod", True),
        ("of another architecture nothing is known", "riscv64", "", "any", False),
    ],
)
def test_a_processor_is_of_the_last_kind_whose_instructions_it_has(
    sentence: str, architecture: str, features: str, kind: str, exact: bool
) -> None:
    processor = Processor(architecture, tuple(features.split()))
    assert processor.kind == kind
    assert processor.multiplies_exactly(8) == exact
    assert processor.multiplies_exactly(7)
    # It runs what was built for all that came before in its architecture, and for nothing else.
    others = {name for name in PROCESSORS if processor.is_a(name)}
    assert others <= {"any", *PROCESSORS[: PROCESSORS.index(kind) + 1]}
    assert {"any", kind} <= others


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="compares with Linux's /proc/cpuinfo")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="compares with the flags of an x86")
def test_the_c_library_and_the_kernel_tell_the_same() -> None:
    flags = Path("/proc/cpuinfo").read_text().split()
    for name in ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"):
        assert (name in this_processor().features) == (name in flags), name


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("", "", ""),
        ("", "aarch64", "aarch64"),
        ("x86-64-vnni", "x86_64", "x86-64-vnni"),
        ("x86-64-v3", "x86-64-vnni", "x86-64-vnni"),
        ("aarch64", "aarch64-dotprod", "aarch64-dotprod"),
        ("x86-64-vnni", "aarch64", None),
        ("armv7l", "armv7l", "armv7l"),
        ("x86_64", "armv7l", None),
    ],
)
def test_of_two_demands_the_narrower_holds_where_a_processor_can_meet_both(
    one: str, other: str, both: str | None
) -> None:
    assert narrower(one, other) == narrower(other, one) == both


def test_this_stands_for_the_kind_that_is_here() -> None:
    assert resolve_processor("this") == this_processor().kind
    assert resolve_processor("aarch64") == "aarch64"
    with pytest.raises(InputError, match=r"expected --processor this or one of any, .* got 'vnni'"):
        resolve_processor("vnni")


def add_pairs_as_vpmaddubsw_does(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Products of u8 and s8, each two of which are added in 16 bits and cut off there."""
    products = activations.astype(np.int32) * weights.astype(np.int32)
    return np.clip(products[::2] + products[1::2], -(2**15), 2**15 - 1)


@given(
    st.lists(st.tuples(st.integers(0, 255), st.floats(-1, 1, width=32)), min_size=2, max_size=40).filter(
        lambda pairs: len(pairs) % 2 == 0
    )
)
def test_weights_of_7_bits_are_never_cut_off_whatever_they_and_the_activations_are(
    pairs: list[tuple[int, float]],
) -> None:
    activations = np.array([each for each, _ in pairs], np.uint8)
    weights = np.array([[each for _, each in pairs]], np.float32)
    integers, _ = quantize_weights(weights, bits=7)
    exact = (activations.astype(np.int32) * integers[0].astype(np.int32)).reshape(-1, 2).sum(axis=1)
    assert (add_pairs_as_vpmaddubsw_does(activations, integers[0]) == exact).all()


def test_weights_of_8_bits_are() -> None:
    activations, weights = np.array([255, 255], np.uint8), np.array([[1.0, 1.0]], np.float32)
    integers, _ = quantize_weights(weights, bits=8)
    assert add_pairs_as_vpmaddubsw_does(activations, integers[0]).tolist() == [32767]
    assert (activations * integers[0].astype(np.int32)).sum() == 64770
