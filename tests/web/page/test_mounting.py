from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tans.web import apart
from tans.web.app import create_app
from tans.web.page import plane
from tans.web.settings import Settings
from tans.zoo.zoo import Zoo

HERE = "http://localhost"


@pytest.fixture(scope="module")
def client(small_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    pytest.importorskip("gradio", reason="needs the extra web")
    from tans.web.page.mounting import mount

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apart, "prepare", lambda: None)
        patch.setattr(plane.Planes, "start", lambda _: None)
        patch.delenv("GRADIO_TEMP_DIR", raising=False)
        app = create_app(small_zoo, Settings(tmp_path_factory.mktemp("service")))
        mount(app, app.state.service)
        with TestClient(app, base_url=HERE) as client:
            yield client


def test_the_page_is_at_the_root_and_loads_nothing_from_elsewhere(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert "Find the pretrained network" in answer.text
    for kind in ('src="http', 'rel="stylesheet" href="http', 'rel="preconnect"'):
        assert kind not in answer.text


def test_the_routes_of_the_service_stay_its_own(client: TestClient) -> None:
    assert client.get("/api/v1/health").json()["status"] == "ok"
    missing = client.get("/api/v1/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"] == "not found"
    refused = client.put("/api/v1/zoo")
    assert refused.status_code == 405
    assert refused.json()["error"] == "method not allowed"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/proxy=http://example.org"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/gradio_api/upload_progress"),
    ],
)
def test_what_the_page_has_no_need_of_is_closed(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "not found"


def test_no_event_of_the_page_is_an_interface_for_others(client: TestClient) -> None:
    described = client.get("/gradio_api/info").json()
    assert described["named_endpoints"] == {}


def test_pages_of_other_places_are_refused(client: TestClient) -> None:
    answer = client.get("/", headers={"origin": "http://elsewhere.example"})
    assert answer.status_code == 403
