"""The operators' files of a team's server agree with each other and hold no secret; no server is started."""

import configparser
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "mlflow"
SECRET = re.compile(r"PASSWORD|SECRET|(^|_)KEY")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)[^}]*\}")


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def settings(name: str) -> dict[str, str]:
    lines = [line for line in read(name).splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return yaml.safe_load(read("compose.yaml"))["services"]


def unit_command() -> list[str]:
    (line,) = re.findall(r"^ExecStart=((?:.*\\\n)*.*)$", read("mlflow.service"), flags=re.MULTILINE)
    return shlex.split(line.replace("\\\n", " "))


def test_container_and_unit_start_the_same_server(services: dict[str, Any]) -> None:
    compose = [VARIABLE.sub(r"${\1}", word) for word in services["mlflow"]["command"]]
    unit = unit_command()
    assert (compose[0], unit[0]) == ("mlflow", "/opt/mlflow/bin/mlflow")
    assert "--host=0.0.0.0" in compose  # of the container: its port is published on loopback
    assert "--host=127.0.0.1" in unit
    assert [word for word in compose[1:] if "--host=" not in word] == [
        word for word in unit[1:] if "--host=" not in word
    ]
    assert services["mlflow"]["env_file"] == ["server.env", "secrets.env"]
    assert re.findall(r"^EnvironmentFile=/etc/mlflow/(.*)$", read("mlflow.service"), re.MULTILINE) == [
        "server.env",
        "secrets.env",
    ]


def test_its_application_is_one_of_this_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = project["project"]["entry-points"]["mlflow.app"]
    assert [name for name in names if f"--app-name={name}" in unit_command()] == ["orchestrate-team"]


def test_every_variable_stands_in_the_example() -> None:
    used = {name for file in ("compose.yaml", "mlflow.service") for name in VARIABLE.findall(read(file))}
    assert len(used) > 4
    assert not used - set(settings("secrets.env.example"))


def test_ports_are_those_of_this_machine_alone(services: dict[str, Any]) -> None:
    assert services["mlflow"]["ports"] == ["${BIND_ADDRESS:-127.0.0.1}:5000:5000"]
    assert settings("secrets.env.example")["BIND_ADDRESS"] == "127.0.0.1"
    assert "ports" not in services["database"]


def test_no_secret_is_in_the_repository(services: dict[str, Any]) -> None:
    example = settings("secrets.env.example")
    assert {name for name in example if SECRET.search(name)} == {name for name, value in example.items() if not value}
    given = {name: value for service in services.values() for name, value in service["environment"].items()}
    assert all(VARIABLE.fullmatch(value) for name, value in given.items() if SECRET.search(name))
    assert not [
        line for line in read("mlflow.service").splitlines() if line.startswith("Environment=") and SECRET.search(line)
    ]
    uris = [word for file in FOLDER.iterdir() for word in re.findall(r"postgresql\S*://\S*", file.read_text("utf-8"))]
    assert {uri.rstrip("`)") for uri in uris} == {"postgresql+psycopg:///mlflow"}
    assert "mlflow/secrets.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_users_live_in_the_database_of_the_runs() -> None:
    users = configparser.ConfigParser()
    users.read_string(read("basic_auth.ini"))
    assert f"--backend-store-uri={users['mlflow']['database_uri']}" in unit_command()
    assert users["mlflow"]["default_permission"] == "READ"
    assert "admin_password" not in users["mlflow"]
    assert (
        int(users["mlflow"]["auth_cache_ttl_seconds"]) > 0
    )  # else each request pays for a hash: 500 ms in place of 70
    assert "--workers=1" in unit_command()  # one cache: a password that was changed no longer counts at once


def test_readme_fills_in_every_secret_and_its_commands_are_bash(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", read("README.md"), flags=re.DOTALL)
    assert len(blocks) > 10
    for block in blocks:
        checked = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, block + checked.stderr
    empty = {name for name, value in settings("secrets.env.example").items() if not value}
    assert set(re.findall(r"[A-Z_]{5,}", blocks[0].partition("\n  sed")[0])) == empty


def test_readmes_foreground_command_is_the_units() -> None:
    (line,) = [line for line in read("README.md").splitlines() if line.startswith("eval ")]
    shown = "printf '%s' " + line.removeprefix("eval ").replace("mlflow/mlflow.service", str(FOLDER / "mlflow.service"))
    said = subprocess.run(["bash", "-c", shown], text=True, capture_output=True, check=True).stdout
    assert shlex.split(said.replace("\\\n", " ")) == ["runuser", "-u", "mlflow", "--", *unit_command()]
