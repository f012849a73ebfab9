"""Configurations as users have them: right for a graph that its caller normalises for, but for one value."""

from __future__ import annotations

from pathlib import Path


def tracker(folder: Path, name: str = "tracker.yml", **changed: object) -> Path:
    """A tracker's configuration with NVIDIA's sample constants, and some keys of `ReID` changed."""
    values: dict[str, object] = {
        "reidType": 2,
        "reidFeatureSize": 512,
        "inferDims": "[3, 256, 128]",
        "inputOrder": 0,
        "networkMode": 1,
        "offsets": "[123.6750, 116.2800, 103.5300]",
        "netScaleFactor": 0.01735207,
        "keepAspc": 0,
        "addFeatureNormalization": 1,
        **changed,
    }
    reid = "".join(f"  {key}: {value}\n" for key, value in values.items() if value is not None)
    path = folder / name
    path.write_text(f"%YAML:1.0\n# mine\nReID:\n{reid}TrajectoryManagement:\n  enableReAssoc: 1  # on\n")
    return path


def nvinfer(folder: Path, **changed: object) -> Path:
    """A secondary engine's configuration with the same constants, and some keys changed."""
    values: dict[str, object] = {
        "process-mode": 2,
        "network-type": 100,
        "output-tensor-meta": 1,
        "network-mode": 2,
        "infer-dims": "3;256;128",
        "net-scale-factor": 0.01735207,
        "offsets": "123.675;116.28;103.53",
        "scaling-filter": 1,
        **changed,
    }
    lines = "".join(f"{key}={value}\n" for key, value in values.items() if value is not None)
    path = folder / "sgie.txt"
    path.write_text(f"# mine\n[property]\n{lines}\n[class-attrs-all]\nthreshold=0.2\n")
    return path
