"""`orchestrate cluster manifest`: a file on stdout, what to do with it on stderr."""

import subprocess
from pathlib import Path

import pytest
import yaml
from tests_support import Orchestrate

HOSTS = ("--head", "a", "--worker", "b")


def test_what_is_printed_is_the_manifest_alone(orchestrate_here: Orchestrate) -> None:
    asked = ("cluster", "manifest", "kuberay", "stroke_hybrid", "--id", "s-1", "--gpus", "2", "--memory", "64GiB")
    done = orchestrate_here(*asked, "--", "--trials", "20")
    assert done.exit_code == 0, done.stderr
    job = yaml.safe_load(done.stdout)
    command = "--id s-1 --storage /shared/orchestrate --wait-for-nodes 1 --address auto --trials 20"
    assert job["spec"]["entrypoint"].endswith(command), "the head is there before its workers are"
    assert "kubectl get rayjob s-1 --watch" in done.stderr
    assert "no MLflow server is named" in done.stderr


def test_a_script_is_written_to_a_new_file_only(orchestrate_here: Orchestrate, tmp_path: Path) -> None:
    out = tmp_path / "job.sh"
    asked = ("cluster", "manifest", "slurm", "stroke_hybrid", "--storage", "/shared", "--out", out)
    done = orchestrate_here(*asked)
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    assert f"sbatch {out}" in done.stderr.replace("\n", "")
    subprocess.run(["bash", "-n", out], check=True)
    text = out.read_text(encoding="utf-8")
    again = orchestrate_here(*asked)
    assert again.exit_code == 2
    assert "is there already; remove it, or name another file" in again.stderr
    assert out.read_text(encoding="utf-8") == text


def test_the_teams_server_is_named_to_every_pod_and_never_with_a_password(
    orchestrate_here: Orchestrate,
) -> None:
    asked = ("cluster", "manifest", "launcher", "tumor_vit", *HOSTS, "--storage", "/shared")
    done = orchestrate_here(*asked, MLFLOW_TRACKING_URI="https://mlflow.example.org")
    assert done.exit_code == 0, done.stderr
    assert "--env=MLFLOW_TRACKING_URI=https://mlflow.example.org" in done.stdout
    assert "no MLflow server" not in done.stderr
    for uri, message in (
        ("https://me:geheim@mlflow.example.org", "https://***@mlflow.example.org: holds a password"),
        ("http://localhost:5000", "is another machine on each node"),
        ("sqlite:///x.db", "expected http:// or https://"),
    ):
        refused = orchestrate_here("cluster", "manifest", "kuberay", "tumor_vit", "--tracking-uri", uri)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert message in refused.stderr
        assert "geheim" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kuberay", "stroke_hybird"), "no sweep 'stroke_hybird'; did you mean 'stroke_hybrid'"),
        (("kuberay", "nothing.yaml"), "sweep file nothing.yaml: no such file"),
        (("kuberay", "tumor_vit", "--", "--trails", "3"), "No such option: --trails"),
        (("kuberay", "tumor_vit", "--", "--trials", "many"), "Invalid value for '--trials'"),
        (("kuberay", "tumor_vit", "stroke_hybrid"), "tumor_vit stroke_hybrid: one sweep for each manifest"),
        (("kuberay", "tumor_vit", "--", "--storage", "/x"), "after --: --storage is the manifest's own"),
        (("kuberay", "tumor_vit", "--", "--metric", "aurocc"), "--metric: no metric 'aurocc'; did you mean 'auroc'"),
        (("kuberay", "tumor_vit", "--", "--time-budget", "soon"), "--time-budget soon: expected a time such as"),
        (("kuberay", "tumor_vit", "--storage", "hdfs://lab/x"), "expected the URI of an object store (s3, gs)"),
        (("slurm", "tumor_vit", "--storage", "/nfs/../etc"), "expected a place without .."),
        (("slurm", "tumor_vit", "--storage", "/nfs", "--time", "99:99:99"), "expected a time above 0"),
        (("slurm", "tumor_vit", "--storage", "/nfs", "--time", "00:00:00"), "expected a time above 0"),
        (("launcher", "tumor_vit", *HOSTS, "--storage", "/nfs", "--mount", "nfs:x"), "--mount: 'nfs:x': expected the"),
        (("kuberay", "tumor_vit", "--memory", "lots"), "--memory=lots: expected a size such as 20GiB"),
        (("kuberay", "tumor_vit", "--memory", "1MiB"), "--memory=1MiB: expected from 1GiB to 64TiB"),
        (("kuberay", "tumor_vit", "--workers", "0"), "--workers 0: expected a whole number from 1"),
        (("kuberay", "tumor_vit", "--storage", "/nfs"), "--storage /nfs: expected a folder below /shared"),
        (("slurm", "tumor_vit"), "--storage: say where every node sees journal and checkpoints"),
        (("slurm", "tumor_vit", "--storage", "/nfs", "--image", "x"), "No such option: --image"),
        (("launcher", "tumor_vit", "--storage", "/nfs"), "launcher: say which hosts: --head HOST --worker HOST"),
        (("slurm", "tumor_vit", "--storage", "/nfs", "--out", "/nowhere/x.sh"), "--out /nowhere/x.sh: No such file"),
    ],
)
def test_bad_input_is_one_line(orchestrate_here: Orchestrate, arguments: tuple[str, ...], message: str) -> None:
    done = orchestrate_here("cluster", "manifest", *arguments)
    assert (done.exit_code, done.stdout) == (2, ""), done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "no MLflow server" not in done.stderr, "only what is written is told of"
