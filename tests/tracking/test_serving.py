"""`mlflow models serve` as README starts it: its answers, and that no wrong request comes back or stands in its log."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaged_support import in_base64, noise, png, register
from process_support import descendants

from orchestrator.home import Home
from orchestrator.tracking.outcome import tracking_uri
from orchestrator.tracking.registry import find_model, load_model

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
README_PORT = "5001"
NO_IMAGE = in_base64(b"no image at all, but what a patient would not want to be read: " + bytes(range(256)) * 4)
TOO_LARGE = in_base64(png(np.zeros((7100, 7100), np.uint8)))
HUGE = in_base64(b"P5 20000 20000 255 " + bytes(range(256)))  # Pillow itself does not open it
IMAGE = in_base64(png(noise(7)))


@dataclass(frozen=True)
class Served:
    """A server that answers, its log, and what it serves."""

    port: int
    log: Path
    classifier: Any

    def ask(self, body: Any, kind: str = "application/json") -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = body if isinstance(body, str) else json.dumps(body)
            connection.request("POST", "/invocations", content, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def readme_block(words: str) -> str:
    """Return the block of commands in README that holds some words."""
    (block,) = [block for block in re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL) if words in block]
    return block


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def served(store_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    client, _ = register(store_home, folder)
    classifier = load_model(find_model(client, "stroke")).unwrap_python_model()._classifier
    (command,) = [line for line in readme_block("mlflow models serve").splitlines() if "mlflow models serve" in line]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": tracking_uri(store_home, None),
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log = folder / "server.log"
    with log.open("wb") as file:
        server = subprocess.Popen(
            ["bash", "-c", f"exec {command.replace(README_PORT, str(port))}"],
            cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for_answer(server, port, log)
        yield Served(port, log, classifier)
    finally:
        own = [server.pid, *descendants(server.pid)]
        for pid in own:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        server.wait(timeout=30)


def wait_for_answer(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + 400
    while time.monotonic() < end and server.poll() is None:
        with suppress(OSError):
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/ping")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"it does not answer: {log.read_text()[-2000:]}")


def records(*images: Any) -> dict[str, Any]:
    return {"dataframe_records": [{"image": image} for image in images]}


def assert_untold(payload: str, *texts: str) -> None:
    """Assert that no part of a payload stands in any text."""
    parts = [payload[at : at + 16] for at in range(0, min(len(payload), 1200) - 16, 8)]
    for text in texts:
        assert "Traceback" not in text
        assert [part for part in parts if part in text] == []


@pytest.mark.parametrize(
    "body",
    [
        records(IMAGE, IMAGE),
        {"dataframe_split": {"columns": ["image"], "data": [[IMAGE], [f"data:image/png;base64,{IMAGE}"]]}},
        {"instances": [{"image": IMAGE}, {"image": IMAGE}]},
        {"inputs": [{"image": IMAGE}, {"image": IMAGE}]},
    ],
    ids=["records", "split", "instances", "inputs"],
)
def test_base64_images_are_answered_with_the_models_probabilities(served: Served, body: dict[str, Any]) -> None:
    status, text = served.ask(body)
    assert status == 200, text
    rows = json.loads(text)["predictions"]
    expected_NK, _ = served.classifier.predict([noise(7)])
    assert [[row["p_normal"], row["p_stroke"]] for row in rows] == [pytest.approx(expected_NK[0], abs=1e-5)] * 2
    assert {row["error"] for row in rows} == {""}


def test_readmes_curl_gets_an_answer(served: Served, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl here")
    (tmp_path / "head.png").write_bytes(png(noise(7)))
    command = readme_block("curl").replace(README_PORT, str(served.port))
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    (row,) = json.loads(done.stdout)["predictions"]
    assert set(row) == {"predicted", "p_normal", "p_stroke", "error"}
    assert row["error"] == ""


def test_one_bad_image_among_good_ones_has_its_reason_and_spoils_no_other(served: Served) -> None:
    status, text = served.ask(records(IMAGE, NO_IMAGE))
    good, bad = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))["predictions"]
    assert status == 200
    assert good["p_stroke"] > 0
    assert bad == {"predicted": "", "p_normal": None, "p_stroke": None, "error": "not an image of a known format"}
    assert_untold(NO_IMAGE, text, served.log.read_text())


@pytest.mark.parametrize(
    ("payload", "body", "told"),
    [
        (NO_IMAGE, records(NO_IMAGE), "case 0: not an image of a known format"),
        (NO_IMAGE, records(NO_IMAGE + "!"), "case 0: text that is not base64; a path must be a pathlib.Path"),
        ("/etc/hostname/", records("/etc/hostname/"), "case 0: text that is not base64"),
        (TOO_LARGE, records(TOO_LARGE), "case 0: 7100 x 7100 pixels, more than 50000000"),
        (HUGE, records(HUGE), "case 0: more than 50000000 pixels"),
        (IMAGE, records([IMAGE, IMAGE]), "case 0: 2 images, a case of this model is 1: image"),
        (IMAGE, {"inputs": [IMAGE, IMAGE]}, "case 0: 2 images, a case of this model is 1: image"),
        (IMAGE, records([]), "case 0: 0 images, a case of this model is 1: image"),
        (IMAGE, records(None), "case 0: no image"),
        (IMAGE, records(17), "case 0: of type int; expected an image file"),
        (IMAGE, records(), "no case: send at least one row, its images in the column image"),
        (IMAGE, {"dataframe_split": {"columns": ["image"], "data": []}}, "no case: send at least one row"),
        (IMAGE, {"inputs": []}, "case 0: 0 images"),
        (IMAGE, {"inputs": IMAGE}, "no case: send at least one row, its images in the column image"),
        (IMAGE, {"dataframe_records": [{"picture": IMAGE}]}, "no case: send at least one row"),
        (IMAGE, {"dataframe_records": [{IMAGE: 1}]}, "no case: send at least one row"),
        (IMAGE, {"dataframe_records": [IMAGE]}, "no case: send at least one row"),
    ],
)
def test_a_wrong_request_gets_one_line_and_leaves_nothing_of_it(
    served: Served, payload: str, body: dict[str, Any], told: str
) -> None:
    status, text = served.ask(body)
    answer = json.loads(text)
    assert status == 400
    assert set(answer) <= {"error_code", "message", "sqlstate", "error_class"}
    assert told in answer["message"]
    assert len(answer["message"].splitlines()) == 1
    assert_untold(payload, text, served.log.read_text())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (IMAGE, "application/json"),
        (f'{{"inputs": "{IMAGE}', "application/json"),
        ("[" * 3000 + f'"{IMAGE}"' + "]" * 3000, "application/json"),
        ({"instances": [{"image": IMAGE, "id": "a"}, {"image": IMAGE}]}, "application/json"),
        ({"inputs": {"image": [IMAGE], "id": ["a", "b"]}}, "application/json"),
        ({"dataframe_split": {"columns": ["image", "image"], "data": [[IMAGE, IMAGE]]}}, "application/json"),
        ({IMAGE: 1, "image": 2}, "application/json"),
        (IMAGE, "application/vnd.apache.parquet"),
        (f'image,"{IMAGE}\n"', "text/csv"),
        (IMAGE, "image/png"),
    ],
)
def test_what_mlflow_itself_refuses_is_neither_repeated_nor_logged(served: Served, body: Any, kind: str) -> None:
    status, text = served.ask(body, kind)
    assert 400 <= status < 500
    assert_untold(IMAGE, text, served.log.read_text())


def test_parameters_are_ignored_and_stay_out_of_the_log(served: Served) -> None:
    status, text = served.ask(records(IMAGE) | {"params": {IMAGE[:200]: 1}})
    assert status == 200
    assert_untold(IMAGE[:200], text, served.log.read_text())
