"""What a plan says of data that no test looks at."""

from orchestrator.plan import DataKind, DataSummary


def data_summary(kind: DataKind) -> DataSummary:
    return DataSummary(
        kind=kind,
        digest="d" * 32,
        split_digest="s" * 32,
        test_digest="t" * 32,
        split="shipped",
        grouped_by="patient",
        images={"test": {"normal": 6, "stroke": 4}},
        leaks={},
        unreadable=0,
    )
