"""A batch script of Slurm: a Ray cluster for as long as the job has its nodes, and the driver on the first of them.

The first node trains as well: a node is given whole, so a head without trials would leave its GPUs idle.
"""

import re
import shlex
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from orchestrator.manifests.request import Driver, MemoryMiB, NumCpus, NumGpus, NumNodes, matching

WARNED_S = 120  # the driver ends within seconds; what follows is Slurm's kill
WORD = r"[\w.,@:+-]{1,100}"
TIME = r"(?!0*[0:-]*$)(\d{1,5}|\d{1,4}(:[0-5]\d){1,2}|\d{1,3}-([01]?\d|2[0-3])(:[0-5]\d){0,2})"  # not 0: no limit


class SlurmRequest(BaseModel):
    """What a job is asked for: `workers` nodes of `gpus` GPUs, `cpus` CPUs and `memory` MiB each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpus: NumGpus
    workers: NumNodes
    cpus: NumCpus
    memory: MemoryMiB
    time: Annotated[str, matching(TIME, "a time above 0, such as 90 (minutes), 12:00:00 or 2-00:00:00")]
    partition: Annotated[str, matching(WORD, "the name of a partition")] | None = None
    account: Annotated[str, matching(WORD, "the name of an account")] | None = None


class Directives(BaseModel):
    """Options of sbatch that the script begins with; underscores stand for dashes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_name: str
    output: str
    open_mode: str = "append"  # a job that was put back goes on in its log
    nodes: int
    ntasks_per_node: int = 1
    cpus_per_task: int
    mem: str
    gpus_per_node: int | None = None
    time: str
    partition: str | None = None
    account: str | None = None
    signal: str = f"B:USR1@{WARNED_S}"

    def lines(self) -> list[str]:
        """Return them as comments that sbatch reads."""
        given = self.model_dump(exclude_none=True)
        return [f"#SBATCH --{key.replace('_', '-')}={value}" for key, value in given.items()]


def slurm_manifest(asked: SlurmRequest, driver: Driver) -> str:
    """Return the script."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", driver.id).strip("-.") or "sweep"
    directives = Directives(
        job_name=name,
        output=f"{name}-%j.log",
        nodes=asked.workers,
        cpus_per_task=asked.cpus,
        mem=f"{asked.memory}M",
        gpus_per_node=asked.gpus or None,
        time=asked.time,
        partition=asked.partition,
        account=asked.account,
    )
    values = [f"gpus={asked.gpus}", f"sweep=({shlex.join(driver.words())})"]
    return "\n".join(["#!/bin/bash", *directives.lines(), "#SBATCH --requeue", "#SBATCH --no-kill", "", *values, BODY])


BODY = r"""
# Made by `orchestrate cluster manifest slurm`. In the environment that holds orchestrate: sbatch THIS_FILE
set -u
for command in orchestrate python ray scontrol srun; do
  if ! command -v "$command" >/dev/null; then
    echo "$command: not found; activate the environment that holds orchestrate, then sbatch again" >&2
    exit 2
  fi
done

# USR1 comes before the time is up: the driver ends, then the job is put back and goes on with the same sweep.
# TERM comes of scancel, which is final, and of preemption, after which Slurm itself puts the job back.
signals=0 ending='' child=''
pass_on() {
  signals=$((signals + 1))
  if [ -n "$child" ]; then kill -TERM "$child" 2>/dev/null; fi
}
trap 'ending=${ending:-again}; pass_on' USR1
trap 'ending=stop; pass_on' TERM

follow() {   # run a command to its end, signals passed on; its exit code is then in $code
  local heard last
  "$@" &
  child=$!
  if [ -n "$ending" ]; then kill -TERM "$child" 2>/dev/null; fi
  code=127
  while true; do
    heard=$signals
    wait "$child"
    last=$?
    if [ "$last" -ne 127 ]; then code=$last; fi   # 127: its end was heard of before
    if [ "$heard" = "$signals" ]; then break; fi   # else a signal cut the wait short
  done
  child=''
}

steps=()
finish() {   # only what this job started is ended: other jobs may have a Ray on these nodes
  if [ "${#steps[@]}" -gt 0 ]; then
    kill -TERM "${steps[@]}" 2>/dev/null
    wait "${steps[@]}"
  fi
  if [ "$ending" = again ] && [ "$code" -gt 128 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
  exit "$code"
}

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
# a host's own name may mean 127.0.1.1
addresses=$({ hostname --ip-address; hostname --all-ip-addresses; } 2>/dev/null)
ip=$(tr ' ' '\n' <<<"$addresses" | grep -v -e : -e '^127\.' -e '^$' | head -n 1)
port=$((20000 + SLURM_JOB_ID % 3000 * 4))   # jobs that share a node differ, and the ports above belong to no one
address=$ip:$port
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
unset RAY_ADDRESS
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

start() {   # a node's Ray, for as long as its step lives; the logs stay in that node's /tmp
  local node=$1
  shift
  srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" ray start "$@" --block \
    --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$gpus" --dashboard-agent-listen-port=$((port + 2)) \
    --temp-dir="/tmp/ray-$SLURM_JOB_ID" </dev/null &
  steps+=($!)
}

need_head() {   # without it nothing can be done; why is in its step's output above
  if [ -n "$ending" ]; then finish; fi
  if ! kill -0 "${steps[0]}" 2>/dev/null; then
    echo "Ray did not start on $head; see above, and $head:/tmp/ray-$SLURM_JOB_ID" >&2
    code=1
    finish
  fi
}

code=143
start "$head" --head --node-ip-address="$ip" --port="$port" --ray-client-server-port=$((port + 1)) \
  --include-dashboard=false
until ray health-check --address "$address" >/dev/null 2>&1; do
  need_head
  sleep 1
done
for node in "${nodes[@]:1}"; do
  start "$node" --address="$address"
done

# A node that is late, or that died, does not hold the others up: the sweep takes it in when it comes.
follow python -c '
import sys, time, ray
ray.init(address=sys.argv[1], log_to_driver=False)
asked, end_s = int(sys.argv[2]), time.monotonic() + 300
while (there := sum(node["Alive"] for node in ray.nodes())) < asked and time.monotonic() < end_s:
    time.sleep(2)
print(f"{there} of {asked} nodes are there", flush=True)
' "$address" "${#nodes[@]}"
need_head

follow "${sweep[@]}" --address "$address"
finish
"""
