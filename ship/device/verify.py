"""Verifying an engine on the device: golden pairs within tolerance, and a call within the latency limit.

It runs in its own process, so that the agent stays small, and an engine that crashes ends only its
verification: `python -m osnet_edge.ship.device.verify PACKAGE` prints one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from osnet_edge.runtime.errors import report
from osnet_edge.runtime.package.schema import parse_json
from osnet_edge.ship.device.config import Limits
from osnet_edge.ship.device.refused import RefusedError
from osnet_edge.ship.device.subprocess_limits import CommandError, run_module

#: What verifying gives: `distance`, the largest of a golden row, and `latency_ms`, p50 of one image.
Proof = dict[str, float]
#: Verifies a package within limits, or raises RefusedError.
EngineVerifier = Callable[[Path, Limits], Proof]
_CALLS, _WARM_UP = 15, 3
_MODULE = "osnet_edge.ship.device.verify"


def verify_in_subprocess(package: Path, limits: Limits) -> Proof:
    """Verify a package in its own process.

    Raises:
        RefusedError: it cannot be loaded, computes wrong embeddings, is too slow, or exceeds a limit.
    """
    try:
        stdout = run_module(
            _MODULE, [str(package.absolute())], limits.prove_s, limits.prove_mb, "proving the engine"
        )
        answer = parse_json(stdout, "the proof", "try it with osnet-edge inspect")
        proof = {str(name): float(value) for name, value in answer.items()}
    except CommandError as error:
        raise RefusedError("proof", f"the engine failed its proof on this device: {error}") from None
    except (ValueError, AttributeError):
        raise RefusedError(
            "proof", "the engine's proof gave no result; try it with osnet-edge inspect"
        ) from None
    return check_latency(proof, limits)


def measure(package: Path) -> Proof:
    """Load a package, run its golden pairs, and time calls with one image.

    Raises:
        OsnetEdgeError: it cannot be loaded, or its golden pairs differ.
    """
    from osnet_edge.runtime.embedder import Embedder
    from osnet_edge.runtime.package.golden import read_golden

    embedder = Embedder.load(package)
    distance = embedder.prove()
    crops, _ = read_golden(package, embedder.manifest)
    times = []
    for call in range(_WARM_UP + _CALLS):
        started = time.perf_counter()
        embedder(crops[:1])
        if call >= _WARM_UP:
            times.append(1000 * (time.perf_counter() - started))
    return {"distance": distance, "latency_ms": round(statistics.median(times), 3)}


def check_latency(proof: Proof, limits: Limits) -> Proof:
    """Check the measured latency against the limit.

    Raises:
        RefusedError: it is above the limit.
    """
    took = proof["latency_ms"]
    if limits.latency_ms is not None and not took <= limits.latency_ms:
        raise RefusedError(
            "proof",
            f"the engine takes {took:.1f} ms for an image on this device, over {limits.latency_ms:g} ms",
        )
    return proof


if __name__ == "__main__":
    sys.exit(report(lambda: print(json.dumps(measure(Path(sys.argv[1]))))))
