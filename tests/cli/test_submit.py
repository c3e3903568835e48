"""Submitting to a cluster whose head is a stub: what it is sent, what is asked of it later, and every refusal."""

import io
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from stub_cluster import StubCluster, stub_cluster
from tests_support import SECRET, Finished, run_here

from orchestrator.home import Home
from orchestrator.tuning import cluster_head
from orchestrator.tuning.jobs import Job, Jobs

Cluster = Callable[..., Finished]
SUBMIT = ["submit", "stroke_hybrid", "--id", "s-1"]
OWN_TASK = "task: lung\nlayout: folders\nclasses: [well, ill]\n"


@pytest.fixture
def cluster() -> Iterator[StubCluster]:
    with stub_cluster() as stub:
        yield stub


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Run a command in a home of its own, without the tokens and proxies of this machine."""
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    # Ray would ask these addresses, whichever it is given
    alone = {"HOME": str(tmp_path), "RAY_ADDRESS": "http://127.0.0.1:1", "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:1"}

    def command(*arguments: str | Path, **environment: str) -> Finished:
        return run_here(tmp_path / "home", *arguments, **(alone | environment))

    return command


def sent(cluster: StubCluster) -> dict[str, bytes]:
    """The files of the only code that a cluster was sent."""
    (package,) = cluster.packages.values()
    with ZipFile(io.BytesIO(package)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_sweep_is_one_job_with_the_code_and_the_same_command(
    run: Cluster, cluster: StubCluster, tmp_path: Path
) -> None:
    flags = ["--trials", "2", "--set", "lr=1e-4", "--set", "hidden=32", "--warm-start", "--data", "/on/cluster"]
    done = run(*SUBMIT, "--address", cluster.url + "/", *flags, "--json", "--env", "ORCHESTRATE_HOME=/shared/var")
    assert done.exit_code == 0, done.stderr
    assert done.json == {"sweep_id": "s-1", "address": cluster.url, "job_id": "s-1"}
    job = cluster.jobs["s-1"]
    assert job["entrypoint"] == (
        'ORCHESTRATE_HOME="${ORCHESTRATE_HOME:-$HOME/orchestrate}" python -m orchestrator.cli.main sweep stroke_hybrid '
        "--data /on/cluster --trials 2 --set lr=1e-4 --set hidden=32 --warm-start --id s-1 --address auto"
    )
    assert job["runtime_env"]["env_vars"] == {"ORCHESTRATE_HOME": "/shared/var"}
    assert set(job["runtime_env"]) == {"working_dir", "env_vars"} and "gcs://" in job["runtime_env"]["working_dir"]
    assert "orchestrator/cli/main.py" in sent(cluster)
    note = json.loads((tmp_path / "home" / "submitted" / "s-1.json").read_text())
    assert (note["address"], note["job_id"], note["variables"]) == (cluster.url, "s-1", ["ORCHESTRATE_HOME"])
    assert note["code_bytes"] == len(next(iter(cluster.packages.values())))


def test_sweep_files_and_own_tasks_travel(run: Cluster, cluster: StubCluster, tmp_path: Path) -> None:
    import search_spaces

    (tmp_path / "my sweep.yaml").write_text(Path(search_spaces.__file__).with_name("stroke_hybrid.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(OWN_TASK)
    assert run("submit", "my sweep.yaml", "--id", "x", "--address", cluster.url).exit_code == 2, "no name of sweeps"
    (tmp_path / "my sweep.yaml").rename(tmp_path / "mysweep.yaml")
    done = run("submit", "mysweep.yaml", "--address", cluster.url, "--json")
    assert done.json["sweep_id"].startswith("mysweep-")
    assert "sweep sweeps/0/mysweep.yaml --id mysweep-" in cluster.jobs[done.json["job_id"]]["entrypoint"]
    assert "sweeps/0/mysweep.yaml" in sent(cluster)
    cluster.packages.clear()
    by_file = run("submit", "--task", "mine.yaml", "--id", "by-file", "--address", cluster.url)
    assert by_file.exit_code == 0, by_file.stderr
    assert "sweep --task tasks/mine.yaml --id by-file" in cluster.jobs["by-file"]["entrypoint"]
    assert sent(cluster)["tasks/mine.yaml"].decode() == OWN_TASK


def test_an_own_task_of_this_home_travels_by_its_name_and_with_the_sweep_that_names_it(
    run: Cluster, cluster: StubCluster, tmp_path: Path
) -> None:
    tasks = tmp_path / "home" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "lung.yaml").write_text(OWN_TASK)
    text = "task: lung\narchitectures:\n  timm/resnet18: {}\n"
    (tmp_path / "chest.yaml").write_text(text)
    named = run("submit", "--task", "lung", "--id", "named", "--address", cluster.url)
    assert named.exit_code == 0, named.stderr
    assert "sweep --task tasks/lung.yaml --id named" in cluster.jobs["named"]["entrypoint"]
    by_sweep = run("submit", "chest.yaml", "--id", "chest", "--address", cluster.url)
    assert by_sweep.exit_code == 0, by_sweep.stderr
    assert "sweep sweeps/0/chest.yaml --task-file tasks/lung.yaml --id" in cluster.jobs["chest"]["entrypoint"]


def test_a_tracking_server_is_passed_on_and_its_password_stays_with_the_cluster(
    run: Cluster, cluster: StubCluster, tmp_path: Path
) -> None:
    uri = f"https://me:{SECRET}@store"
    done = run(*SUBMIT, "--address", cluster.url, "--env", "STORE_TOKEN", "--json", MLFLOW_TRACKING_URI=uri)
    assert cluster.jobs["s-1"]["runtime_env"]["env_vars"] == {"STORE_TOKEN": SECRET, "MLFLOW_TRACKING_URI": uri}
    assert SECRET not in done.stdout + done.stderr
    assert not [
        path for path in (tmp_path / "home").rglob("*") if path.is_file() and SECRET in path.read_text("latin1")
    ]
    local = run(*SUBMIT[:-1], "s-2", "--address", cluster.url, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/store.db")
    assert "is a store of this machine and is not passed on" in local.stderr
    assert "MLFLOW_TRACKING_URI" not in cluster.jobs["s-2"]["runtime_env"].get("env_vars", {})


def test_pip_asks_for_what_is_installed_here_but_ray(run: Cluster, cluster: StubCluster) -> None:
    from importlib.metadata import version

    assert run(*SUBMIT, "--address", cluster.url, "--environment", "pip").exit_code == 0
    packages = cluster.jobs["s-1"]["runtime_env"]["pip"]["packages"]
    assert f"optuna=={version('optuna')}" in packages
    assert all(name.count("==") == 1 and "+" not in name and not name.startswith("ray") for name in packages)


def test_submitted_again_a_running_job_is_left_and_one_that_ended_has_a_successor(
    run: Cluster, cluster: StubCluster
) -> None:
    line = [*SUBMIT, "--address", cluster.url, "--json"]
    run(*line)
    again = run(*line)
    assert again.json["job_id"] == "s-1"
    assert "runs there already, as job s-1; nothing was submitted" in again.stderr
    other = run(*line, "--trials", "3")
    assert other.exit_code == 2
    assert "--id s-1: job s-1 runs it there, asked for otherwise" in other.stderr
    cluster.jobs["s-1"]["status"] = "FAILED"
    assert run(*line).json["job_id"] == "s-1-run-2"
    assert cluster.jobs["s-1-run-2"]["entrypoint"] == cluster.jobs["s-1"]["entrypoint"]


@pytest.mark.parametrize(
    ("status", "code", "message", "exit_code", "words"),
    [
        ("SUCCEEDED", 0, "", 0, ""),
        ("FAILED", 3, "Job entrypoint command failed", 3, ""),
        ("FAILED", -9, "", 137, ""),
        ("STOPPED", None, "", 130, "s-1: its job was stopped; submit it again with --id to go on"),
        ("FAILED", None, "Traceback\nRuntimeEnvSetupError: no torch", 2, "of its own: RuntimeEnvSetupError: no torch"),
    ],
)
def test_a_followed_job_ends_the_command_as_it_ended(
    run: Cluster, cluster: StubCluster, status: str, code: int | None, message: str, exit_code: int, words: str
) -> None:
    cluster.run_status, cluster.run_exit_code, cluster.run_message = status, code, message
    cluster.logs["run"] = "trial 0\nwinner \x1b[31m\n"
    done = run(*SUBMIT, "--address", cluster.url, "--follow")
    assert (done.exit_code, "trial 0\nwinner ?[31m\n" in done.stdout) == (exit_code, True), done.stderr
    assert words in done.stderr


def test_a_python_without_the_dependencies_is_told_with_the_way_out(run: Cluster, cluster: StubCluster) -> None:
    cluster.run_status, cluster.run_exit_code = "FAILED", 1
    cluster.logs["run"] = "Traceback ...\nModuleNotFoundError: No module named 'typer'\n"
    done = run(*SUBMIT, "--address", cluster.url, "--follow")
    assert (done.exit_code, "the Python there lacks typer; start Ray in an environment" in done.stderr) == (2, True)


def test_a_note_may_be_damaged_and_can_be_forgotten(run: Cluster, cluster: StubCluster, tmp_path: Path) -> None:
    run(*SUBMIT, "--address", cluster.url)
    near = run("status", "s-11")
    assert (near.exit_code, "no sweep 's-11'; did you mean 's-1'?" in near.stderr) == (2, True)
    note, code = (tmp_path / "home" / "submitted" / f"s-1.{kind}" for kind in ("json", "zip"))
    assert "nothing is removed yet" in run("rm", "s-1").stderr and note.is_file() and code.is_file()
    cluster.answers = answer_of_the_head
    note.write_text('{"sweep_id": "s-1"}')
    assert "is damaged (address: Field required); say --address" in run("status", "s-1").stderr
    assert "s-1: running" in run("status", "s-1", "--address", cluster.url).stdout
    assert run("rm", "s-1", "--yes", "--json").json["submissions"] == ["s-1"]
    assert not note.exists() and not code.exists()


def test_who_leaves_a_followed_job_leaves_it_running(
    run: Cluster, cluster: StubCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(self: Jobs, job_id: str, write: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Jobs, "follow", leave)
    done = run(*SUBMIT, "--address", cluster.url, "--follow")
    assert done.exit_code == 130
    assert "the job goes on without you; orchestrate status s-1 says how far it is" in done.stderr
    assert (cluster.jobs["s-1"]["status"], cluster.stopped) == ("RUNNING", [])


def test_a_log_whose_connection_is_lost_is_shown_on_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, jobs, said = [["one ", "two "], ["one ", "two ", "three"]], Jobs.__new__(Jobs), []

    async def tail(job_id: str) -> AsyncIterator[str]:
        for text in parts.pop(0):
            yield text
        raise RuntimeError("WebSocket connection closed unexpectedly")

    running = Job("j", "RUNNING", "", "", None, {})
    states = [running, replace(running, status="SUCCEEDED", exit_code=0)]
    jobs._client = SimpleNamespace(tail_job_logs=tail)
    monkeypatch.setattr(Jobs, "job", lambda self, job_id: states.pop(0))
    monkeypatch.setattr(Jobs, "log", lambda self, job_id: "one two three\n")
    monkeypatch.setattr("orchestrator.tuning.jobs.AGAIN_S", (0.0, 0.0))
    assert jobs.follow("j", said.append).exit_code == 0
    assert said == ["one ", "two ", "three", "\n"]


def test_with_json_a_followed_log_is_no_result(run: Cluster, cluster: StubCluster) -> None:
    cluster.run_status, cluster.run_exit_code, cluster.logs["run"] = "SUCCEEDED", 0, "trial 0\n"
    done = run(*SUBMIT, "--address", cluster.url, "--follow", "--json")
    assert done.json["job_id"] == "s-1"
    assert "trial 0\n" in done.stderr


def answer_of_the_head(command: str) -> tuple[int, str]:
    said = {"--json": '{"sweep_id": "s-1", "state": "running"}\n', "status": "s-1: running\n", "logs": "trial 0: nan\n"}
    return 0, "a warning\n" + next((text for word, text in said.items() if word in command), "")


def test_status_and_logs_are_asked_of_the_head_with_the_jobs_own_variables(run: Cluster, cluster: StubCluster) -> None:
    run(*SUBMIT, "--address", cluster.url, "--env", "ORCHESTRATE_HOME=/shared")
    cluster.answers = answer_of_the_head
    cluster.packages.clear()  # as a cluster does once no job needs them
    shown = run("status", "s-1")
    assert f"job s-1 on {cluster.url}: RUNNING\n" in shown.stdout and "s-1: running\n" in shown.stdout
    assert len(cluster.packages) == 1
    told = run("status", "s-1", "--json").json
    assert told == {
        "sweep_id": "s-1", "state": "running", "address": cluster.url, "job_id": "s-1", "job_status": "RUNNING"
    }  # fmt: skip
    assert "trial 0: nan" in run("logs", "s-1", "--trial", "4", "--lines", "7").stdout
    assert [job["entrypoint"].partition("main ")[2] for job in cluster.asked] == [
        "status s-1", "status s-1 --json", "logs s-1 --lines 7 --trial 4"
    ]  # fmt: skip
    assert all(job["runtime_env"]["env_vars"] == {"ORCHESTRATE_HOME": "/shared"} for job in cluster.asked)
    assert len(cluster.jobs) == 2, "of short jobs the last is left: Ray would bring it back"


def test_another_machine_asks_by_the_address(run: Cluster, cluster: StubCluster, tmp_path: Path) -> None:
    run(*SUBMIT, "--address", cluster.url)
    cluster.answers = answer_of_the_head
    Home(tmp_path / "home").submitted.rename(tmp_path / "elsewhere")
    assert "s-1: running" in run("status", "s-1", "--address", cluster.url).stdout
    unknown = run("status", "s-7", "--address", cluster.url)
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (2, 1)
    assert f"{cluster.url}: no submitted sweep 's-7'; did you mean 's-1'? Known: s-1; a cluster that" in unknown.stderr
    assert "no sweep 's-1'" in run("status", "s-1").stderr


def test_before_the_sweep_begins_its_job_is_told_and_ended_by_ray(run: Cluster, cluster: StubCluster) -> None:
    cluster.run_status, cluster.logs["run"] = "RUNNING", "reading images\n"
    run(*SUBMIT, "--address", cluster.url)
    cluster.answers = lambda command: (2, "orchestrate: no sweep 's-1'; Known: none\n")
    assert run("status", "s-1", "--json").json["state"] == "not begun"
    logs = run("logs", "s-1", "--lines", "1")
    assert (logs.stdout, "s-1 has not begun; its job s-1 printed:" in logs.stderr) == ("reading images\n", True)
    assert run("stop", "s-1").exit_code == 0
    assert cluster.stopped == ["s-1"]


def test_a_sweep_that_has_begun_is_stopped_by_its_own_command_alone(run: Cluster, cluster: StubCluster) -> None:
    run(*SUBMIT, "--address", cluster.url)
    cluster.answers = lambda command: (0, "it has ended\n")
    assert "submit it again with --id s-1" in run("stop", "s-1").stderr
    cluster.answers = lambda command: (2, "orchestrate: s-1: process 7 has not ended it within 30 s\n")
    late = run("stop", "s-1")
    assert (late.exit_code, "s-1: process 7 has not ended it within 30 s" in late.stderr) == (2, True)
    assert cluster.stopped == []
    cluster.jobs["s-1"]["status"] = "FAILED"
    assert "s-1: nobody runs it" in run("stop", "s-1").stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--address", "ray://head:10001"], "expected http://HEAD:8265, the dashboard of a cluster's head; ray:// is"),
        (["--address", "head:8265"], "--address head:8265: expected http://HEAD:8265"),
        (["--address", "auto"], "--address auto: expected http://HEAD:8265"),
        (["--address", "http://"], "--address http://: expected"),
        (["--address", "http://head:port"], "--address http://head:port: expected"),
        (["--address", f"http://me:{SECRET}@head:8265"], "--address: holds a user or password"),
        (["--address", "URL", "--environment", "conda"], "--environment: no value 'conda'"),
        (["--address", "URL", "--env", "a b=1"], "--env a b: expected NAME=VALUE"),
        (["--address", "URL", "--env", "NOT_SET_HERE"], "--env NOT_SET_HERE: is not set here"),
        (["--address", "URL", "--trails", "3"], "No such option: --trails"),
        (["--address", "URL", "--trials", "many"], "--trials"),
        (["--address", "URL", "--metric", "aurocc"], "--metric: no metric 'aurocc'; did you mean 'auroc'"),
        (["--address", "URL", "--split", "foo"], "--split: no value 'foo'"),
        (["--address", "URL", "--storage", ""], "--storage=: expected a whole path that every node sees"),
        (["--address", "URL", "--dry-run"], "submit: --dry-run cannot be submitted"),
        (["--address", "URL", "--architectures", "vitt"], "no architecture"),
        (["--address", "URL", "tumor_vit"], "submit: stroke_hybrid, tumor_vit are of several tasks"),
        (["--address", "URL", "--id", "a/b"], "--id a/b: expected up to 100 letters"),
        ([], "Missing option '--address'"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(
    run: Cluster, cluster: StubCluster, arguments: list[str], words: str
) -> None:
    done = run("submit", "stroke_hybrid", *(cluster.url if word == "URL" else word for word in arguments))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert words in done.stderr
    assert SECRET not in done.stderr
    assert not cluster.jobs and not cluster.packages


def test_a_token_is_shown_and_a_missing_or_wrong_one_is_told(
    run: Cluster, cluster: StubCluster, tmp_path: Path
) -> None:
    cluster.token = "right-7"
    line = [*SUBMIT, "--address", cluster.url]
    (tmp_path / "token").write_text("right-7\n")
    (tmp_path / "empty").write_text("\n")
    cases = [
        ({}, f"--address {cluster.url}: the cluster asks for a token; set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH"),
        ({"RAY_AUTH_TOKEN": "wrong-7"}, "the cluster refuses the token in RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_TOKEN": "right-7", "RAY_AUTH_MODE": "disabled"}, "and RAY_AUTH_MODE=disabled holds this machine's"),
        ({"RAY_AUTH_TOKEN": "wr\nong-7"}, "RAY_AUTH_TOKEN: holds no token but another text"),
        ({"RAY_AUTH_TOKEN_PATH": "nowhere"}, "RAY_AUTH_TOKEN_PATH=nowhere: cannot be read (No such file or directory)"),
        ({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "empty")}, "holds no token; set RAY_AUTH_TOKEN"),
        ({"RAY_AUTH_MODE": "token"}, "RAY_AUTH_MODE=token: there is no token"),
    ]
    for environment, words in cases:
        done = run(*line, **environment)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert words in done.stderr
        assert "ong-7" not in done.stderr and "right-7" not in done.stderr
    assert not cluster.jobs
    done = run(*line, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert done.exit_code == 0, done.stderr
    assert "right-7" not in (tmp_path / "home" / "submitted" / "s-1.json").read_text() + done.stderr + done.stdout


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({"ray_version": "2.9.0"}, "the cluster runs Ray 2.9.0, this project needs one from 2.60 on and below 3"),
        ({"ray_version": "3.0.0"}, "the cluster runs Ray 3.0.0"),
        ({"ray_version": "nightly"}, "is no dashboard of a Ray cluster (it tells no version of Ray)"),
        ([], "is no dashboard of a Ray cluster (it tells no version of Ray)"),
        ("<html>", "is no dashboard of a Ray cluster (it tells no version of Ray)"),
    ],
)
def test_another_ray_or_another_server_is_told(run: Cluster, cluster: StubCluster, version: object, words: str) -> None:
    cluster.version = version
    done = run(*SUBMIT, "--address", cluster.url)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert words in done.stderr


def test_another_ray_that_the_project_runs_on_is_said(run: Cluster, cluster: StubCluster) -> None:
    cluster.version = {"ray_version": "2.99.1"}
    done = run(*SUBMIT, "--address", cluster.url)
    assert done.exit_code == 0
    assert "the cluster runs Ray 2.99.1, this machine " in done.stderr


def test_the_project_and_submit_need_the_same_ray() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    since, below = (".".join(map(str, numbers)) for numbers in (cluster_head.RAY_FROM, cluster_head.RAY_BELOW))
    assert f'"ray[default,tune]>={since},<{below}"' in project


def test_what_answers_by_no_http_or_not_at_all_is_told(run: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_head, "ANSWER_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        silent = run(*SUBMIT, "--address", address)

        def greet() -> None:
            for _ in range(2):  # the first has waited since the silent one
                connection = server.accept()[0]
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        other = run(*SUBMIT, "--address", address)
        thread.join()
    closed = run(*SUBMIT, "--address", address)
    for done, words in (
        (silent, "nothing answers there (timed out)"),
        (other, "is no dashboard of a Ray cluster (it does not speak HTTP)"),
        (closed, "nothing answers there (Connection refused)"),
    ):
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
        assert f"--address {address}: {words}" in done.stderr
