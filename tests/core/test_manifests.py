"""Cluster manifests: what stands in them, and that no value gets out of its place."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from orchestrator.errors import BadInput
from orchestrator.manifests.kuberay import KubeRayRequest, kuberay_manifest
from orchestrator.manifests.launcher import LauncherRequest, launcher_manifest
from orchestrator.manifests.request import Driver, checked, named_sweep, plain_name
from orchestrator.manifests.slurm import SlurmRequest, slurm_manifest

HOSTILE = ["a b", "it's", '"', "$(HOME)", "$HOME", "`id`", "a\nb", "#SBATCH --x", "{float: [1e-5, 1e-3]}", "; rm x", ""]
ROOT = Path(__file__).parents[2]


def driver(storage: str = "/shared/sweeps", flags: tuple[str, ...] = (), sweep_id: str = "s-1") -> Driver:
    return checked(Driver, {"sweep": "stroke_hybrid", "id": sweep_id, "storage": storage, "flags": flags})


def kuberay(drives: Driver, **changed: Any) -> dict[str, Any]:
    asked = {
        "gpus": 2,
        "workers": 4,
        "min_workers": 1,
        "cpus": 16,
        "memory": 65536,
        "image": "registry.example.org/orchestrate:1",
        "claim": "work",
        "token_secret": "ray-token",
        "env_secret": "keys",
        "tracking_uri": "https://mlflow.example.org",
    }
    loaded: dict[str, Any] = yaml.safe_load(kuberay_manifest(checked(KubeRayRequest, asked | changed), drives))
    return loaded


def launcher(drives: Driver, **changed: Any) -> dict[str, Any]:
    asked = {
        "head": "node0",
        "worker": ("node1", "10.0.0.2"),
        "ssh_user": "lab",
        "ssh_key": "~/.ssh/id_ed25519",
        "image": "registry.example.org/orchestrate:1",
    }
    text = launcher_manifest(checked(LauncherRequest, asked | changed), drives, "cluster-1")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def slurm(drives: Driver, **changed: Any) -> str:
    asked = {"gpus": 2, "workers": 3, "cpus": 16, "memory": 65536, "time": "12:00:00"}
    return slurm_manifest(checked(SlurmRequest, asked | changed), drives)


def test_a_rayjob_starts_the_driver_anew_on_a_new_cluster_and_asks_for_a_token() -> None:
    job = kuberay(driver(flags=("--trials", "20")), namespace="lab")
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert job["metadata"] == {"name": "s-1", "namespace": "lab"}
    spec = job["spec"]
    command = "orchestrate sweep stroke_hybrid --id s-1 --storage /shared/sweeps --address auto --trials 20"
    assert spec["entrypoint"] == command
    assert spec["backoffLimit"] > 0
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["submissionMode"] == "SidecarMode"
    assert "submitterConfig" not in spec  # refused by the operator in this mode
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "ray-token"}
    assert tuple(map(int, cluster["rayVersion"].split(".")[:2])) >= (2, 52)  # the operator wants it for tokens


def test_a_rayjobs_head_runs_no_trial_and_its_workers_hold_the_gpus() -> None:
    cluster = kuberay(driver())["spec"]["rayClusterSpec"]
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    assert "nvidia.com/gpu" not in head["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == (4, 1, 4)
    assert cluster["enableInTreeAutoscaling"] is True
    container = workers["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"] == {"cpu": "16", "memory": "65536Mi", "nvidia.com/gpu": "2"}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    for group in (head, workers):
        pod = group["template"]["spec"]
        assert pod["restartPolicy"] == "Never"  # the autoscaler and SidecarMode allow no other
        (one,) = pod["containers"]
        mounted = {mount["mountPath"]: mount["name"] for mount in one["volumeMounts"]}
        volumes = {volume.pop("name"): volume for volume in pod["volumes"]}
        assert volumes[mounted["/shared"]] == {"persistentVolumeClaim": {"claimName": "work"}}
        assert volumes[mounted["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
        variables = {variable["name"]: variable["value"] for variable in one["env"]}
        assert volumes[mounted[variables["ORCHESTRATE_HOME"]]] == {"emptyDir": {}}
        assert variables["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
        assert not [name for name in variables if "TOKEN" in name]


def test_an_object_store_needs_no_claim_and_a_folder_elsewhere_is_refused() -> None:
    pod = kuberay(driver("s3://lab/sweeps"))["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert not [volume for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    with pytest.raises(BadInput, match=r"--storage /sharedx: expected a folder below /shared, .*work"):
        kuberay(driver("/sharedx"))


def test_on_cpus_no_pod_asks_for_a_gpu() -> None:
    assert "nvidia" not in json.dumps(kuberay(driver(), gpus=0))


@pytest.mark.parametrize("word", HOSTILE)
def test_words_of_the_driver_arrive_as_they_were_given(word: str) -> None:
    given = ["--set", f"note={word}", word]
    wanted = ["orchestrate", "sweep", "stroke_hybrid", "--id", "s-1", "--storage", "/shared/a b$(X)"]
    drives = driver("/shared/a b$(X)", tuple(given))
    in_container = re.sub(r"\$\$|\$\(\w+\)", lambda found: "$" if found[0] == "$$" else "GONE", entrypoint(drives))
    assert shell_words(in_container) == [*wanted, "--address", "auto", *given]
    assert shell_words(launcher(drives)["metadata"]["driver"]) == [*wanted, "--address", "auto", *given]
    script = slurm(drives)
    assert len(re.findall("^#SBATCH", script.partition("\ngpus=")[0], flags=re.MULTILINE)) == len(
        re.findall("^#SBATCH", slurm(driver()), flags=re.MULTILINE)
    )
    (array,) = re.findall(r"^(sweep=\(.*?\))\n\n# Made", script, flags=re.MULTILINE | re.DOTALL)
    shown = subprocess.run(["bash", "-c", f'{array}; printf "%s\\0" "${{sweep[@]}}"'], capture_output=True, check=True)
    assert shown.stdout.decode().split("\0")[:-1] == [*wanted, *given]


def entrypoint(drives: Driver) -> str:
    text: str = kuberay(drives)["spec"]["entrypoint"]
    return text


def shell_words(command: str) -> list[str]:
    """What the command is made of, where a shell reads it."""
    done = subprocess.run(["bash", "-c", f'printf "%s\\0" {command}'], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("claim", ["1e3", "0o17", "017", "1.5e3", "on", "null", "12"])
def test_a_name_that_looks_like_a_number_stays_a_name_for_kubectl(claim: str) -> None:
    asked = {"gpus": 1, "workers": 1, "min_workers": 1, "cpus": 1, "memory": 1024, "image": "x", "namespace": "lab"}
    secrets = {"token_secret": "ray-token", "env_secret": "keys"}
    text = kuberay_manifest(checked(KubeRayRequest, asked | secrets | {"claim": claim}), driver())
    assert f"claimName: '{claim}'\n" in text


def test_a_servers_address_is_one_word_for_the_shells_that_docker_is_started_by() -> None:
    uri = "https://mlflow.example.org/a b'$(id)\"`id`"
    cluster = launcher(driver("/nfs/a b"), tracking_uri=uri, mount=("/nfs/a b",))
    words = shell_words(" ".join(cluster["docker"]["run_options"]))
    assert words[-2:] == [f"--env=MLFLOW_TRACKING_URI={uri}", "--volume=/nfs/a b:/nfs/a b"]


@pytest.mark.parametrize(
    ("sweep_id", "name"),
    [
        ("stroke-hybrid-20261129-130000-ab12", "stroke-hybrid-20261129-130000-ab12"),
        ("Stroke_A", r"stroke-a-[0-9a-f]{8}"),
        ("7", r"sweep-7-[0-9a-f]{8}"),
        ("ä", r"sweep-[0-9a-f]{8}"),
        ("x" * 100, r"x{38}-[0-9a-f]{8}"),
    ],
)
def test_a_rayjob_is_called_as_kubernetes_allows(sweep_id: str, name: str) -> None:
    called = plain_name(sweep_id)
    assert re.fullmatch(name, called)
    assert len(called) <= 47
    assert plain_name(sweep_id + "_") != called


def test_a_launchers_cluster_fits_rays_own_schema_and_its_preparation() -> None:
    import ray.autoscaler
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads(Path(ray.autoscaler.__file__).with_name("ray-schema.json").read_text(encoding="utf-8"))
    for cluster in (launcher(driver()), launcher(driver("s3://lab/sweeps"), gpus=2, cpus=8)):
        jsonschema.validate(cluster, schema)
        prepared = prepare_config(cluster)
        validate_config(prepared)
        assert prepared["max_workers"] == 2


def test_a_launchers_head_runs_no_trial_and_every_host_gets_the_token() -> None:
    cluster = launcher(driver(), gpus=2, mount=("/shared",), tracking_uri="https://mlflow.example.org")
    assert cluster["provider"] == {"type": "local", "head_ip": "node0", "worker_ips": ["node1", "10.0.0.2"]}
    assert "--num-cpus=0 --num-gpus=0" in cluster["head_start_ray_commands"][-1]
    assert cluster["worker_start_ray_commands"][-1].endswith("--num-gpus=2")
    assert cluster["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    options = shlex.split(" ".join(cluster["docker"]["run_options"]))
    assert {"--env=RAY_AUTH_MODE=token", "--volume=/shared:/shared"} <= set(options)
    assert "--env=MLFLOW_TRACKING_URI=https://mlflow.example.org" in options
    assert cluster["docker"]["worker_run_options"] == ["--gpus=all"]
    assert launcher(driver(), gpus=0)["docker"]["worker_run_options"] == []


def test_a_launchers_hosts_stand_once_and_its_storage_is_seen() -> None:
    with pytest.raises(BadInput, match="--worker node0: stands twice"):
        launcher(driver(), worker=("node0",))
    with pytest.raises(BadInput, match=r"--storage /shared/sweeps: .*add --mount /shared/sweeps"):
        launcher(driver(), mount=("/share",))


@pytest.mark.parametrize(
    ("make", "changed", "message"),
    [
        (kuberay, {"gpus": -1}, "--gpus -1: expected a whole number from 0 to 64"),
        (kuberay, {"workers": 0}, "--workers 0: expected"),
        (kuberay, {"min_workers": 5}, "--min-workers 5: expected no more than --workers 4"),
        (kuberay, {"memory": 0}, "--memory 0: expected"),
        (kuberay, {"namespace": "Lab"}, "--namespace 'Lab': expected the name of a namespace"),
        (kuberay, {"claim": "a_b"}, "--claim 'a_b': expected small letters"),
        (kuberay, {"token_secret": "-x"}, "--token-secret '-x': expected small letters"),
        (kuberay, {"image": "--privileged"}, "--image '--privileged': expected the name of an image"),
        (launcher, {"head": "a;b"}, "--head 'a;b': expected a host name"),
        (launcher, {"worker": ("a", "b c")}, "--worker 'b c': expected a host name"),
        (launcher, {"ssh_user": "a b"}, "--ssh-user 'a b': expected"),
        (launcher, {"mount": ("shared",)}, r"--mount: .*: expected the whole path"),
        (slurm, {"time": "tomorrow"}, "--time 'tomorrow': expected a time above 0"),
        (slurm, {"partition": "a\n#SBATCH --wrap=x"}, r"--partition .*: expected the name of a partition"),
        (slurm, {"account": "a b"}, "--account 'a b': expected"),
    ],
)
def test_a_value_that_breaks_its_rule_is_told_by_its_flag(make: Any, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make(driver(), **changed)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"storage": "sweeps"}, "--storage 'sweeps': expected a whole path that every node sees"),
        ({"storage": "https://example.org/x"}, "--storage .*: expected the URI of an object store"),
        ({"storage": "s3://"}, "--storage 's3://': expected the URI of an object store"),
        ({"storage": "/a\nb"}, "--storage .*: holds a line break"),
        ({"id": "../x"}, "--id '../x': expected up to 100 letters"),
        ({"flags": ("--id=x",)}, "after --: --id is the manifest's own"),
    ],
)
def test_a_driver_that_could_not_go_on_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        checked(Driver, {"sweep": "stroke_hybrid", "id": "s", "storage": "/shared"} | values)


def test_a_sweep_is_known_by_name_or_file_and_an_id_is_made_for_it(tmp_path: Path) -> None:
    name, new_id = named_sweep("stroke_hybrid")
    assert name == "stroke_hybrid"
    assert re.fullmatch(r"stroke-hybrid-\d{8}-\d{6}-[0-9a-f]{4}", new_id)
    assert plain_name(new_id) == new_id
    file = tmp_path / "mine.yaml"
    file.touch()
    assert named_sweep(str(file))[0] == str(file)
    with pytest.raises(BadInput, match="no sweep 'stroke_hybird'; did you mean 'stroke_hybrid'"):
        named_sweep("stroke_hybird")


@pytest.mark.parametrize("name", ["Dockerfile", "mlflow/Dockerfile"])
def test_an_image_copies_what_is_there_and_not_ignored(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    sources = [word for line in re.findall(r"^COPY (.*)$", text, flags=re.MULTILINE) for word in line.split()[:-1]]
    assert len(sources) > 4
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not {source, source.split("/")[0]} & set(ignored), source
    assert "://" not in text
    assert re.findall(r"^USER (.*)$", text, flags=re.MULTILINE)[-1] not in ("root", "0")


def test_the_image_holds_all_packages_and_a_user_that_kubernetes_knows_not_to_be_root() -> None:
    from orchestrator.manifests.kuberay import GROUP_ID, LOCAL

    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for package in ("orchestrator", "trainables", "search_spaces"):
        assert f"COPY {package} {package}\n" in text
    assert f"USER {GROUP_ID}:{GROUP_ID}\n" in text
    assert f"ORCHESTRATE_HOME={LOCAL} " in text
    assert "-c constraints.txt" in text
