"""How often the promotion policy is wrong: made-up challengers through the real decision function.

    PYTHONPATH=tests/support python tests/benchmarks/promotion_decisions.py [--challengers 1000] [--help]

Equal challengers say what the champion says plus noise of their own, as one trained with another seed: to promote one
is a mistake (target: at most 5 %). Better ones see more; how many of them are promoted is the power. For each size of
the test set, with one image per patient (DeLong) or four (draws of groups, a quarter as many). The shipped policy, with
the checks of a model by itself off, as these would refuse some for other reasons. At last, equal challengers one after
the other against one champion: how often one of ten gets through, with Holm.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from evidence_support import POLICY, Model, TestSet, draw_predictions, write_evidence
from scipy import stats

from orchestrator.promotion.decision import decide
from orchestrator.promotion.evidence import Evidence
from trainables.evaluation.metrics import classification_metrics

BY_ITSELF_OFF = {"better_than_chance": False, "most_miscalibration": None, "least_sensitivity": None}
POLICY_OF_COMPARISON = POLICY.model_copy(update=BY_ITSELF_OFF | {"least_modality_auroc": None})
IN_A_ROW = 10
CHAMPION = 1.5


class Drawn:
    """Evidence whose predictions are drawn and never written; all else is that of any model."""

    def __init__(self, about: Evidence, model: Model, held_out: TestSet) -> None:
        self.evidence = about
        self.test = draw_predictions(model, held_out, "test")


def auroc_of(drawn: Drawn) -> float:
    return classification_metrics(drawn.test.probs_NK, drawn.test.labels_N)["auroc"] or 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--challengers", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        about = write_evidence(Path(folder, "any"), Model(), TestSet(patients=20)).evidence
    print("patients  images  signal  AUROC gain  promoted  95 % interval        s")
    for patients, per_patient in ((50, 1), (100, 1), (400, 1), (50, 4), (100, 4)):
        for signal in (CHAMPION, 1.8, 2.2, 3.0):
            began_s = time.perf_counter()
            of = options.challengers // (1 if signal == CHAMPION else 5 if per_patient == 1 else 20)
            promoted, gains = 0, []
            for seed in range(of):
                held_out = TestSet(patients, per_patient, seed)
                mine = Drawn(about, Model(signal=signal, seed=2), held_out)
                theirs = Drawn(about, Model(signal=CHAMPION, seed=1), held_out)
                promoted += decide(POLICY_OF_COMPARISON, mine, theirs).passed
                if seed < 50:
                    gains.append(auroc_of(mine) - auroc_of(theirs))
            low, high = stats.binomtest(promoted, of).proportion_ci(method="wilson")
            print(
                f"{patients:8} {patients * per_patient:7} {signal:7.1f} {np.mean(gains):+11.3f} {promoted / of:9.1%}"
                f"  {low:.1%} - {high:.1%} {time.perf_counter() - began_s:9.0f}",
                flush=True,
            )
    print(f"{IN_A_ROW} equal challengers in a row, 100 patients: {in_a_row(about, options.challengers // 5)}")


def in_a_row(about: Evidence, series: int) -> str:
    """Return in how many series one of the challengers was promoted."""
    promoted = 0
    for seed in range(series):
        held_out = TestSet(100, 1, seed)
        champion, p_values = Drawn(about, Model(signal=CHAMPION, seed=1), held_out), {}
        for number in range(IN_A_ROW):
            decision = decide(
                POLICY_OF_COMPARISON,
                Drawn(about, Model(signal=CHAMPION, seed=2 + number), held_out),
                champion,
                p_values,
            )
            p_values[str(number)] = decision.p_value or 1.0
            if decision.passed:
                promoted += 1
                break
    low, high = stats.binomtest(promoted, series).proportion_ci(method="wilson")
    return f"one promoted in {promoted / series:.1%} of {series} series ({low:.1%} - {high:.1%})"


if __name__ == "__main__":
    main()
