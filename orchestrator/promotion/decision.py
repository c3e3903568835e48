"""Challenger and policy, and the champion where there is one -> may it take its place."""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.promotion.checks import Check, RivalAnswers, absolute_checks, relative_checks
from orchestrator.promotion.evidence import EvidenceFolder
from orchestrator.promotion.policy import Policy


@dataclass(frozen=True)
class Decision:
    """All checks, and the p-value of the comparison for those who challenge later; None where there was none."""

    checks: list[Check]
    p_value: float | None = None

    @property
    def passed(self) -> bool:
        """Tell whether every check holds."""
        return all(check.passed for check in self.checks)

    @property
    def failed(self) -> list[Check]:
        """Return the checks that do not hold."""
        return [check for check in self.checks if not check.passed]

    def in_words(self) -> str:
        """Return one line."""
        if self.passed:
            return f"all {len(self.checks)} checks passed"
        return "refused: " + "; ".join(f"{check.name}: {check.value}" for check in self.failed)


def decide(
    policy: Policy,
    challenger: EvidenceFolder,
    champion: EvidenceFolder | None = None,
    earlier: Mapping[str, float] | None = None,
    answers: RivalAnswers | None = None,
) -> Decision:
    """Hold a challenger against the policy: by itself, and against the champion where there is one.

    `earlier` holds the p-values of the others that challenged this champion: Holm counts them. `answers` as in
    `relative_checks`.
    """
    checks = absolute_checks(policy, challenger)
    if champion is None:
        return Decision(checks)
    further, p_value = relative_checks(policy, challenger, champion, earlier or {}, answers)
    return Decision([*checks, *further], p_value)
