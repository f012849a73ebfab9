"""A fleet with one release, and a camera of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Fleet, Web, make_camera, tiny_package, update
from web_server import nginx

from osnet_edge.ship.device.store import Store


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A folder that nginx serves; one nginx for all tests of a process."""
    folder = tmp_path_factory.mktemp("web")
    with nginx(folder, tmp_path_factory.mktemp("nginx")) as url:
        yield Web(folder, url)


@pytest.fixture
def fleet(web: Web, request: pytest.FixtureRequest) -> Fleet:
    """A fleet with one release."""
    fleet = web.fleet(f"fleet-{abs(hash(request.node.nodeid))}")
    fleet.publish("r1", tiny_package(1))
    return fleet


@pytest.fixture
def camera(fleet: Fleet, tmp_path: Path) -> Store:
    """A camera of that fleet, with that release."""
    store = make_camera(tmp_path / "camera", fleet)
    assert update(store).what == "installed"
    return store
