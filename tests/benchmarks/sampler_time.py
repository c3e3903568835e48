"""What the sampler itself costs per trial as a sweep grows: asked, reported to and told, and nothing else.

    PYTHONPATH=tests/support python tests/benchmarks/sampler_time.py [--trials 20,100,1000,5000] [--sampler tpe]

The space is that of `resnet_vit` in search_spaces/stroke_hybrid.yaml; values are drawn, every third trial is pruned.
Printed: processor seconds of this process per trial (other work on the machine counts little), between one number of
trials and the next, and of the last fifty before each number.
"""

import argparse
import time

import numpy as np
from optuna.trial import TrialState
from sweep_support import make_plan

from orchestrator.sweep_file import load_sweep_file
from orchestrator.sweep_files import find_sweep_file
from orchestrator.tuning.studies import Studies

LAST = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", default="20,100,1000,5000")
    parser.add_argument("--sampler", default="tpe")
    options = parser.parse_args()
    space = load_sweep_file(find_sweep_file("stroke_hybrid"), "full").architectures["resnet_vit"]
    studies = Studies(make_plan(architectures={"resnet_vit": space}, algorithm=options.sampler), None)
    rng = np.random.default_rng(0)
    each_s: list[float] = []
    print(f"{options.sampler}, {len(space)} parameters")
    for trials in map(int, options.trials.split(",")):
        before = len(each_s)
        for number in range(before, trials):
            began_s = time.process_time()
            studies.ask(number, ["resnet_vit"])
            for epoch in (1, 2, 3):
                studies.report(number, epoch, float(rng.uniform(0.5, 1)))
            studies.tell(number, TrialState.COMPLETE if number % 3 else TrialState.PRUNED)
            each_s.append(time.process_time() - began_s)
        print(
            f"to {trials:5} trials: {1000 * np.mean(each_s[before:]):6.1f} ms per further trial, "
            f"{1000 * np.mean(each_s[-LAST:]):6.1f} ms for each of the last {LAST}",
            flush=True,
        )


if __name__ == "__main__":
    main()
