"""Hold what `integrate --for triton` writes against Triton itself: its schema, its server, and the client.

It is evidence, run by hand in an environment of its own, since Triton's client and server want a protobuf
and a numpy that the rest does not.

    osnet-edge integrate osnet-cpu --for triton -o triton
    osnet-edge embed osnet-cpu crops -o rows.npz
    python3.11 -m venv triton-env
    triton-env/bin/pip install click 'numpy<2' 'onnxruntime<1.23' pillow 'protobuf>=6,<7' \\
        'tritonclient[grpc,http]==2.73.0'
    triton-env/bin/pip install --no-deps nvidia-pytriton==0.7.0
    triton-env/bin/python scripts/triton_check.py triton rows.npz

The server is Triton 2.51.0 out of the wheel of nvidia-pytriton, for x86-64 Linux. It has no backend but
Python, so that a few lines of Python run ONNX Runtime in place of Triton's own backend for it: the server
reads the configuration, checks types and shapes, gathers batches and answers the client, but it is not its
code that opens the graph. The wheel `tritonserver` of PyPI is empty.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np

PORTS = {"http": 18000, "grpc": 18001, "metrics": 18002}
#: For Triton's Python backend: what its backend for ONNX Runtime does.
MODEL = """
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        path = f"{args['model_repository']}/{args['model_version']}/model.onnx"
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def execute(self, requests):
        return [self.answer(triton.get_input_tensor_by_name(each, "images").as_numpy()) for each in requests]

    def answer(self, images):
        (rows,) = self.session.run(["embeddings"], {"images": images})
        return triton.InferenceResponse([triton.Tensor("embeddings", rows)])
"""


def parse(config: Path) -> Any:
    """Return a configuration as Triton's own schema has it."""
    text_format = importlib.import_module("google.protobuf.text_format")
    schema = importlib.import_module("tritonclient.grpc.model_config_pb2")
    return text_format.Parse(config.read_text(), schema.ModelConfig())


def start(models: Path, scratch: Path) -> subprocess.Popen[bytes]:
    """Start the server on a copy of a repository, with Python for a backend."""
    spec = find_spec("pytriton")
    if spec is None or spec.origin is None:
        sys.exit("expected nvidia-pytriton, which is not installed; see the head of this file")
    wheel = Path(spec.origin).parent
    server, python = wheel / "tritonserver", f"{sys.version_info.major}.{sys.version_info.minor}"
    shutil.copytree(server / "backends/python", scratch / "backends/python")
    stub = scratch / "backends/python/triton_python_backend_stub"
    shutil.copy(server / "python_backend_stubs" / python / stub.name, stub)
    shutil.copytree(models, scratch / "models")
    config = scratch / "models/osnet/config.pbtxt"
    text = config.read_text().replace('"onnxruntime"', '"python"').replace('"model.onnx"', '"model.py"')
    config.write_text(text)
    (scratch / "models/osnet/1/model.py").write_text(MODEL)
    program = server / "bin/tritonserver"
    for each in (program, stub):
        each.chmod(0o755)
    # The stub looks for Python on the path, and the server for the libraries that came with the wheel.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(wheel.parent / "nvidia_pytriton.libs"),
    }
    ports = [f"--{name}-port={port}" for name, port in PORTS.items()]
    places = [f"--model-repository={scratch / 'models'}", f"--backend-directory={scratch / 'backends'}"]
    with (scratch / "server.log").open("wb") as log:
        local = ["--http-address=127.0.0.1", "--grpc-address=127.0.0.1", "--exit-timeout-secs=3"]
        command = [str(program), *places, *ports, *local]
        return subprocess.Popen(  # noqa: S603 - the server of the wheel
            command, env=environment, stdout=log, stderr=log
        )


def wait(client: Any, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the model is served."""
    for _ in range(120):
        try:
            if client.is_model_ready("osnet"):
                return
        except OSError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.5)
    sys.exit(f"the server does not serve the model:\n{log.read_text()[-3000:]}")


def written_client(folder: Path, scratch: Path) -> Any:
    """Return the client of a folder as a module, which looks for the server at our port."""
    text = (folder / "client.py").read_text().replace("localhost:8000", f"localhost:{PORTS['http']}")
    (scratch / "written_client.py").write_text(text)
    sys.path.insert(0, str(scratch))
    return importlib.import_module("written_client")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.argument("rows", type=click.Path(exists=True))
def main(folder: Path, rows: str) -> None:
    """Serve FOLDER, and compare what its client gets with ROWS of osnet-edge embed."""
    models = folder / "models"
    config = parse(models / "osnet/config.pbtxt")
    shapes = f"{list(config.input[0].dims)} to {list(config.output[0].dims)}"
    click.echo(f"schema of tritonclient: valid, {config.backend}, {shapes}, batch {config.max_batch_size}")
    known = np.load(rows)
    paths, own = [str(path) for path in known["paths"]], known["embeddings"]
    with tempfile.TemporaryDirectory() as scratch:
        process = start(models, Path(scratch))
        try:
            client = written_client(folder, Path(scratch))
            connection = client.triton.InferenceServerClient(client.SERVER)
            wait(connection, process, Path(scratch) / "server.log")
            most = config.max_batch_size
            parts = [client.embed(paths[place : place + most]) for place in range(0, len(paths), most)]
            difference = float(np.abs(np.concatenate(parts) - own).max())
            version = connection.get_server_metadata()["version"]
            click.echo(
                f"Triton {version}: {len(paths)} images by client.py, largest difference {difference:.1e}"
            )
            try:
                client.embed((paths * (most + 1))[: most + 1])
                sys.exit(f"the server took {most + 1} images at once")
            except client.triton.InferenceServerException as error:
                click.echo(f"{most + 1} at once: {re.sub(r'^.*?<id_unknown>. ', '', str(error))}")
        finally:
            process.terminate()
            process.wait(60)
    sys.exit(difference > 1e-5)


if __name__ == "__main__":
    main()
