"""What to train on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from training_runs import few_people

from osnet_edge.train.data import ReidSet


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As many threads as `start` gives a process: commands of other tests set others here."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> ReidSet:
    """64 images of 8 drawn people to train on; tests that change them copy them."""
    return few_people(tmp_path_factory.mktemp("few") / "few")
