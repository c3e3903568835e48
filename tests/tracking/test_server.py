"""The server of `orchestrate ui`, started for real: who is answered, what is off, and that nothing is left behind."""

import base64
import json
import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from process_support import pids_on
from tests_support import with_store

from orchestrator.errors import BadInput, OrchestratorError
from orchestrator.tracking import server
from orchestrator.tracking.hardened_app import SWITCHED_OFF
from orchestrator.tracking.server import HOST, SERVER_ENVIRONMENT, Address, address_to_serve, free_port, mlflow_server

CAN_FIND_PROCESSES = Path("/proc/self/cmdline").exists()
SERVER_ENV = Path(__file__).parents[2] / "mlflow" / "server.env"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_store(tmp_path_factory.mktemp("server")) / "mlflow"


@pytest.fixture(scope="module")
def url(store: Path) -> Iterator[str]:
    weakening = {
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true",
        "MLFLOW_ENABLE_AI_GATEWAY": "true",
        "MLFLOW_STATIC_PREFIX": "/elsewhere",
        "MLFLOW_WORKERS": "3",
        "MLFLOW_GUNICORN_OPTS": "--reload",
        "UVICORN_ROOT_PATH": "/elsewhere",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in weakening.items():
            patch.setenv(name, value)
        with mlflow_server(f"sqlite:///{store / 'mlflow.db'}", store / "artifacts", Address(HOST, free_port())) as url:
            yield url


def ask(
    url: str, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"} | (headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_health_and_the_ui_itself_answer(url: str) -> None:
    assert url.startswith("http://127.0.0.1:")
    assert ask(url, "GET", "/health") == (200, b"OK")
    status, page = ask(url, "GET", "/")
    assert status == 200
    assert b"<title>MLflow</title>" in page


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_an_ordinary_route_answers(url: str, prefix: str) -> None:
    status, body = ask(url, "POST", f"{prefix}/2.0/mlflow/experiments/search", {"max_results": 5})
    assert status == 200
    assert [experiment["name"] for experiment in json.loads(body)["experiments"]] == ["Default"]


@pytest.mark.parametrize("host", ["evil.example", "10.1.2.3.evil.example", "192.168.0.1", "127.0.0.1:1", "localhost"])
def test_a_foreign_host_header_is_refused(url: str, host: str) -> None:
    """MLflow's own list would take 10.*: DNS rebinding."""
    status, _ = ask(url, "POST", "/api/2.0/mlflow/experiments/search", {"max_results": 5}, {"Host": host})
    assert status == 403


def test_localhost_is_no_foreign_host(url: str) -> None:
    headers = {"Host": f"localhost:{urlsplit(url).port}"}
    assert ask(url, "POST", "/api/2.0/mlflow/experiments/search", {"max_results": 5}, headers)[0] == 200


def test_a_foreign_page_cannot_write(url: str) -> None:
    headers = {"Origin": "https://evil.example"}
    assert ask(url, "POST", "/api/2.0/mlflow/experiments/create", {"name": "planted"}, headers)[0] == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/providers"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("GET", "/ajax-api/3.0/mlflow/%61ssistant/config"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/ajax-api/3.0/jobs/search"),
        ("GET", "/ajax-api/3.0/mlflow/jobs/1"),
        ("POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("GET", "/api/3.0/mlflow/gateway/endpoints/list"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
        ("GET", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "/gateway/any/mlflow/invocations"),
        ("POST", "/gateway/mlflow/v1/chat/completions"),
    ],
)
def test_assistant_jobs_and_gateway_are_off(url: str, method: str, path: str) -> None:
    assert ask(url, method, path, {}) == (404, b"switched off on this server\n")


def test_every_such_route_of_the_installed_mlflow_is_known() -> None:
    """A new version may move them or add some: then the pattern has to follow."""
    from mlflow.server import app
    from mlflow.server.assistant.api import assistant_router
    from mlflow.server.gateway_api import gateway_router
    from mlflow.server.job_api import job_api_router

    words = ("assistant", "jobs", "gateway", "invoke", "promptlab")
    of_flask = {rule.rule for rule in app.url_map.iter_rules() if any(word in rule.rule for word in words)}
    of_fastapi = {
        route.path for router in (assistant_router, gateway_router, job_api_router) for route in router.routes
    }
    assert len(of_flask) > 50
    assert len(of_fastapi) > 15
    assert [path for path in sorted(of_flask | of_fastapi) if not SWITCHED_OFF.search(path)] == []


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/api/2.0/mlflow/runs/search",
        "/ajax-api/2.0/mlflow/experiments/search",
        "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/gateway/jobs/table.json",
        "/static-files/lib/assistant.js",
    ],
)
def test_nothing_else_is_off(path: str) -> None:
    assert not SWITCHED_OFF.search(path)


def test_the_assistant_stays_off_under_a_static_prefix() -> None:
    assert SWITCHED_OFF.search("/lab/ajax-api/3.0/mlflow/assistant/message")


def test_artifacts_of_an_experiment_elsewhere_on_this_machine_are_read(url: str, tmp_path: Path) -> None:
    location = (tmp_path / "artifacts" / "stroke").as_uri()
    body = {"name": "stroke", "artifact_location": location}
    status, answer = ask(url, "POST", "/api/2.0/mlflow/experiments/create", body)
    assert status == 200
    experiment_id = json.loads(answer)["experiment_id"]
    _, answer = ask(url, "POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment_id, "start_time": 1})
    info = json.loads(answer)["run"]["info"]
    assert info["artifact_uri"] == f"{location}/{info['run_id']}/artifacts"
    folder = Path(urlsplit(info["artifact_uri"]).path)
    folder.mkdir(parents=True)
    (folder / "leaderboard.json").write_text('{"rank": 1}', encoding="utf-8")

    _, listing = ask(url, "GET", f"/ajax-api/2.0/mlflow/artifacts/list?run_id={info['run_id']}")
    assert [file["path"] for file in json.loads(listing)["files"]] == ["leaderboard.json"]
    query = urlencode({"path": "leaderboard.json", "run_uuid": info["run_id"]})
    assert ask(url, "GET", f"/get-artifact?{query}") == (200, b'{"rank": 1}')


def test_an_experiment_made_in_the_ui_lands_in_the_artifact_folder(url: str, store: Path) -> None:
    _, answer = ask(url, "POST", "/ajax-api/2.0/mlflow/experiments/create", {"name": "made in the UI"})
    experiment_id = json.loads(answer)["experiment_id"]
    _, answer = ask(url, "GET", f"/ajax-api/2.0/mlflow/experiments/get?experiment_id={experiment_id}")
    location = json.loads(answer)["experiment"]["artifact_location"]
    assert location == f"{(store / 'artifacts').as_uri()}/{experiment_id}"


@pytest.mark.skipif(not CAN_FIND_PROCESSES, reason="needs /proc to find processes")
def test_a_store_that_cannot_be_opened_is_one_line_and_no_process(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database at all, " * 100, encoding="utf-8")
    port = free_port()
    with (
        pytest.raises(OrchestratorError, match=r"did not start: .*not a database.*server\.log") as caught,
        mlflow_server(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts", Address(HOST, port)),
    ):
        pytest.fail("the block must not be entered")
    assert len(str(caught.value).splitlines()) == 1
    assert pids_on(port) == []


def test_a_server_that_never_answers_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "READY_WITHIN_S", 0.3)
    port = free_port()
    with (
        pytest.raises(OrchestratorError, match="does not answer after 0 s"),
        mlflow_server(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "artifacts", Address(HOST, port)),
    ):
        pytest.fail("the block must not be entered")
    assert pids_on(port) == []


def test_a_taken_port_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=rf"^--port {port}: in use; leave the flag out for a free one$"):
            address_to_serve(HOST, port, None)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(BadInput, match=f"--port {port}: expected 1 to 65535"):
        address_to_serve(HOST, port, None)


@pytest.mark.parametrize("password", [None, "", "too short"])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "gpu-node"])
def test_beyond_this_machine_a_long_password_is_demanded(host: str, password: str | None) -> None:
    with pytest.raises(BadInput, match=f"--host {host}: others could reach it; set ORCHESTRATE_UI_PASSWORD"):
        address_to_serve(host, None, password)


def test_a_host_that_is_none_of_this_machine_is_refused() -> None:
    with pytest.raises(BadInput, match=r"--host 192\.0\.2\.7: is no address of this machine"):
        address_to_serve("192.0.2.7", None, "correct horse battery")


def test_on_this_machine_nobody_logs_in() -> None:
    assert address_to_serve("localhost", None, "correct horse battery").login == ""


def test_everywhere_answers_to_the_names_of_this_machine_only() -> None:
    address = address_to_serve("0.0.0.0", None, "correct horse battery")
    assert address.login == "orchestrate:correct horse battery"
    assert {HOST, "localhost", socket.gethostname()} <= set(address.names)
    assert not any("*" in name for name in address.names)


def test_with_a_login_only_the_health_check_is_free_and_a_fault_in_the_block_leaves_no_process(
    url: str, tmp_path: Path
) -> None:
    address = Address("0.0.0.0", free_port(), "orchestrate:correct horse battery")
    store = with_store(tmp_path) / "mlflow"
    with (
        pytest.raises(RuntimeError, match="in the block"),
        mlflow_server(f"sqlite:///{store / 'mlflow.db'}", store / "artifacts", address),
    ):
        check_login(f"http://{HOST}:{address.port}", address.port)
        pids = pids_on(address.port)
        if CAN_FIND_PROCESSES:
            assert len(pids) == 2  # mlflow and its one worker
            assert {os.getpgid(pid) for pid in pids} == {min(pids)}
        raise RuntimeError("in the block")
    assert not any(is_alive(pid) for pid in pids)
    assert pids_on(address.port) == []
    assert ask(url, "GET", "/health")[0] == 200  # the other server, which is not ours to end


def check_login(url: str, port: int) -> None:
    right = base64.b64encode(b"orchestrate:correct horse battery").decode()
    wrong = base64.b64encode(b"orchestrate:correct horse").decode()
    search = "/api/2.0/mlflow/experiments/search?max_results=5"
    assert ask(url, "GET", "/health")[0] == 200
    for path in ("/", search, "/static-files/index.html", "/get-artifact?run_uuid=a&path=b"):
        assert ask(url, "GET", path)[0] == 401, path
        assert ask(url, "GET", path, headers={"Authorization": f"Basic {wrong}"})[0] == 401, path
    assert ask(url, "GET", search, headers={"Authorization": f"Basic {right}"})[0] == 200
    assert ask(url, "GET", search, headers={"Authorization": f"Bearer {right}"})[0] == 401
    # as a browser on another machine asks: the table of runs is a POST with the page's own origin
    here = f"{socket.gethostname()}:{port}"
    headers = {"Authorization": f"Basic {right}", "Host": here, "Origin": f"http://{here}"}
    runs = ("POST", "/ajax-api/2.0/mlflow/runs/search", {"experiment_ids": ["0"]})
    assert ask(url, *runs, headers=headers)[0] == 200
    assert ask(url, *runs, headers=headers | {"Origin": "http://evil.example"})[0] == 403
    assert ask(url, *runs, headers=headers | {"Host": f"evil.example:{port}"})[0] == 403


def test_a_password_in_the_uri_is_on_no_command_line(tmp_path: Path) -> None:
    uri = "postgresql://mlflow:secret@db.example/mlflow"
    address = Address("0.0.0.0", 5000, "orchestrate:secret")
    assert "secret" not in " ".join(server._command(tmp_path, address))
    assert server._environment(uri, address)["MLFLOW_BACKEND_STORE_URI"] == uri


def test_server_env_holds_the_same_settings_for_operators() -> None:
    lines = SERVER_ENV.read_text(encoding="utf-8").splitlines()
    settings = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    assert dict(settings) == dict(SERVER_ENVIRONMENT)
    assert len(settings) == len(SERVER_ENVIRONMENT)


def test_the_operators_folder_holds_no_python() -> None:
    """A package or a conftest.py there would shadow the installed mlflow."""
    assert list(SERVER_ENV.parent.rglob("*.py")) == []
