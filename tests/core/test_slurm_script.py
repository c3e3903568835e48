"""Slurm's batch script with commands in place of Slurm, Ray and the driver that tell what they are asked for."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.manifests.request import Driver, checked
from orchestrator.manifests.slurm import SlurmRequest, slurm_manifest

COMMANDS = {
    "srun": 'echo "srun $*" >>"$LOG"; while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "scontrol": 'if [ "$1" = show ]; then printf "n1\\nn2\\nn3\\n"; else echo "scontrol $*" >>"$LOG"; fi',
    "hostname": 'case $1 in --ip-address) echo 127.0.1.1 ;; *) echo "fe80::1 10.1.2.3 10.9.9.9" ;; esac',
    "sleep": "exit 0",
    "python": """
        until [ "$(grep -c "^pid " "$LOG")" = "$4" ]; do /bin/sleep 0.02; done
        if [ "$HEAD" = dies ]; then
            while kill -0 "$(sed -n "s/^pid //p" "$LOG" | head -n 1)" 2>/dev/null; do /bin/sleep 0.02; done
        fi
        echo "nodes $3 $4" >>"$LOG"
        """,
    "ray": """
        if [ "$1" = health-check ]; then [ -e "$STATE/head" ]; exit; fi
        echo "pid $$" >>"$LOG"
        if [ "$HEAD" = fails ]; then exit 1; fi
        case "$*" in *--head*) touch "$STATE/head"; if [ "$HEAD" = dies ]; then exit 1; fi ;; esac
        exec tail -f /dev/null""",
    "orchestrate": """
        echo "$RAY_AUTH_MODE $RAY_AUTH_TOKEN" >"$STATE/token"
        echo "orchestrate $*" >>"$LOG"
        if [ "$DRIVER" != waits ]; then exit "$DRIVER"; fi
        trap 'echo "driver was told to end" >>"$LOG"; exit 130' TERM
        echo >"$STATE/ready"
        while true; do /bin/sleep 0.02; done""",
}


@dataclass
class Job:
    """A script that runs among those commands."""

    folder: Path
    process: subprocess.Popen[str]

    @property
    def log(self) -> list[str]:
        return (self.folder / "log").read_text(encoding="utf-8").splitlines()

    def ended(self) -> tuple[int, str]:
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


class Jobs:
    """Starts scripts, and leaves nothing of them behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job: Job | None = None
        (folder / "commands").mkdir()
        (folder / "log").touch()
        os.mkfifo(folder / "ready")
        for name, body in COMMANDS.items():
            path = folder / "commands" / name
            path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
            path.chmod(0o755)

    def start(self, driver: str, head: str = "starts") -> Job:
        script = self.folder / "job.sh"
        script.write_text(script_of_three(), encoding="utf-8")
        environment = {
            "PATH": f"{self.folder / 'commands'}:/usr/bin:/bin",
            "LOG": str(self.folder / "log"),
            "STATE": str(self.folder),
            "DRIVER": driver,
            "HEAD": head,
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NODELIST": "n[1-3]",
            "SLURM_CPUS_PER_TASK": "16",
        }
        process = subprocess.Popen(["bash", script], env=environment, stderr=subprocess.PIPE, text=True)
        self.job = Job(self.folder, process)
        return self.job

    def steps(self) -> list[int]:
        assert self.job is not None
        return [int(line.split()[1]) for line in self.job.log if line.startswith("pid ")]


def script_of_three() -> str:
    asked = {"gpus": 2, "workers": 3, "cpus": 16, "memory": 65536, "time": "12:00:00", "partition": "gpu"}
    values = {"sweep": "stroke_hybrid", "id": "s-1", "storage": "/shared", "flags": ("--set", "note=a  b")}
    return slurm_manifest(checked(SlurmRequest, asked), checked(Driver, values))


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    started = Jobs(tmp_path)
    yield started
    if started.job is not None:
        started.job.process.kill()
        for pid in started.steps():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_bash_reads_the_script_and_sbatch_its_options(tmp_path: Path) -> None:
    (tmp_path / "job.sh").write_text(script_of_three(), encoding="utf-8")
    subprocess.run(["bash", "-n", tmp_path / "job.sh"], check=True)
    lines = script_of_three().splitlines()
    assert lines[0] == "#!/bin/bash"
    options = [line for line in lines if line.startswith("#SBATCH ")]
    assert options == lines[1 : 1 + len(options)]  # sbatch stops at the first command
    wanted = ("--nodes=3", "--gpus-per-node=2", "--cpus-per-task=16", "--mem=65536M", "--time=12:00:00")
    for option in (*wanted, "--partition=gpu", "--signal=B:USR1@120", "--requeue", "--no-kill"):
        assert f"#SBATCH {option}" in options
    assert "ray stop" not in script_of_three()


def test_head_then_workers_then_driver_and_its_exit_code_is_the_jobs(jobs: Jobs) -> None:
    job = jobs.start(driver="3")
    assert job.ended()[0] == 3
    log = [line for line in job.log if not line.startswith("pid ")]
    head, *workers = [line for line in log if line.startswith("srun ")]
    port = 20000 + 4711 % 3000 * 4
    assert "--nodelist=n1 ray start --head --node-ip-address=10.1.2.3 " in head
    assert f" --port={port} " in head
    assert len(workers) == 2
    for worker, node in zip(sorted(workers), ("n2", "n3"), strict=True):
        assert f"--nodelist={node} ray start --address=10.1.2.3:{port} --block --num-cpus=16 --num-gpus=2 " in worker
    assert log[0] == head
    assert log[-2:] == [
        f"nodes 10.1.2.3:{port} 3",
        f"orchestrate sweep stroke_hybrid --id s-1 --storage /shared --set note=a  b --address 10.1.2.3:{port}",
    ]
    assert re.fullmatch(r"token [0-9a-f]{64}\n", (jobs.folder / "token").read_text(encoding="utf-8"))
    for pid in jobs.steps():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(("number", "requeued"), [(signal.SIGUSR1, ["scontrol requeue 4711"]), (signal.SIGTERM, [])])
def test_a_job_whose_time_is_up_ends_its_driver_and_comes_back_but_one_that_is_cancelled_does_not(
    jobs: Jobs, number: signal.Signals, requeued: list[str]
) -> None:
    job = jobs.start(driver="waits")
    (jobs.folder / "ready").read_text(encoding="utf-8")  # waits for the driver
    job.process.send_signal(number)
    assert job.ended()[0] == 130
    log = [line for line in job.log if not line.startswith("pid ")]
    assert log[log.index("driver was told to end") + 1 :] == requeued


def test_a_head_that_does_not_start_is_told_and_nothing_else_is_started(jobs: Jobs) -> None:
    job = jobs.start(driver="0", head="fails")
    code, said = job.ended()
    assert (code, len(jobs.steps())) == (1, 1)
    assert "Ray did not start on n1; see above, and n1:/tmp/ray-4711" in said


def test_a_head_that_dies_while_nodes_are_waited_for_is_told_and_no_driver_is_started(jobs: Jobs) -> None:
    job = jobs.start(driver="0", head="dies")
    code, said = job.ended()
    assert code == 1
    assert "Ray did not start on n1" in said
    assert not [line for line in job.log if line.startswith("orchestrate ")]


def test_a_job_without_the_environment_says_what_to_do(jobs: Jobs) -> None:
    (jobs.folder / "commands" / "ray").unlink()
    job = jobs.start(driver="0")
    code, said = job.ended()
    assert (code, job.log) == (2, [])
    assert said.startswith("ray: not found; activate the environment that holds orchestrate")
