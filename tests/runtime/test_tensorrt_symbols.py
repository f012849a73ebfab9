"""Every symbol of TensorRT that the code names is in every supported version, or behind a question for it."""

from __future__ import annotations

import json

import pytest
from tensorrt_symbols import RECORD, WHEELS, named_symbols

RECORDED: dict[str, list[str]] = json.loads(RECORD.read_text())
#: What only some versions have, and what the code asks before it names it.
ASKED_FOR = {
    "EXPLICIT_BATCH": "hasattr(flags, 'EXPLICIT_BATCH')",
    "FP16": "is_strongly_typed, which weakly typed libraries are not",
    "INT8": "is_strongly_typed",
    "OBEY_PRECISION_CONSTRAINTS": "is_strongly_typed",
    "STRONGLY_TYPED": "is_strongly_typed",
    "platform_has_fast_fp16": "is_strongly_typed",
    "precision": "is_strongly_typed",
    "set_output_type": "is_strongly_typed",
    "PROFILE_SHARING_0806": "hasattr(preview, 'PROFILE_SHARING_0806')",
    "num_compute_capabilities": "known_capabilities, which TensorRT has none of",
    "set_compute_capability": "known_capabilities",
    "ComputeCapability": "known_capabilities",
    "get_engine_validity": "hasattr(runtime, 'get_engine_validity')",
    "EngineValidity": "get_engine_validity",
    "EngineInvalidityDiagnostics": "get_engine_validity",
    "INVALID": "get_engine_validity",
    "SUBOPTIMAL": "get_engine_validity",
    "create_runtime_config": "hasattr(engine, 'create_runtime_config')",
    "create_runtime_cache": "hasattr(library.trt, 'IRuntimeCache')",
    "set_runtime_cache": "hasattr(library.trt, 'IRuntimeCache')",
    "serialize": "hasattr(library.trt, 'IRuntimeCache')",
    "deserialize": "hasattr(library.trt, 'IRuntimeCache')",
    "cuda_graph_strategy": "hasattr(self._config, 'cuda_graph_strategy')",
    "CudaGraphStrategy": "hasattr(self._config, 'cuda_graph_strategy')",
    "WHOLE_GRAPH_CAPTURE": "hasattr(self._config, 'cuda_graph_strategy')",
}


def test_the_code_names_what_its_path_needs() -> None:
    """Were the collecting broken, the tests below would hold of nothing."""
    path = {"execute_async_v3", "set_tensor_address", "set_input_shape", "build_serialized_network"}
    assert path <= set(named_symbols())


def test_every_version_is_recorded() -> None:
    assert list(RECORDED) == list(WHEELS)


@pytest.mark.parametrize("version", WHEELS)
def test_symbols_are_there_or_asked_for(version: str) -> None:
    for symbol, file in named_symbols().items():
        assert symbol in RECORDED[version] or symbol in ASKED_FOR, (
            f"{file} names {symbol}, which TensorRT {version} lacks; ask for it first, or if it was never "
            "looked for, run tests/tensorrt_symbols.py"
        )


def test_what_is_asked_for_is_in_some_version_and_missing_in_another() -> None:
    for symbol in ASKED_FOR:
        having = [version for version, present in RECORDED.items() if symbol in present]
        assert having, f"{symbol} is in no version: is it spelt so?"
    # Where the ends of strings may lie (see the script), the versions that matter were read exactly.
    for symbol in ("EXPLICIT_BATCH", "platform_has_fast_fp16", "OBEY_PRECISION_CONSTRAINTS"):
        assert symbol in RECORDED["8.6.1"]
        assert symbol not in RECORDED["11.4.0"]
    assert "create_runtime_cache" not in RECORDED["11.4.0"]
