"""What is said of the data before a sweep or a training."""

from plan_support import data_summary

from orchestrator.cli.banner import data_lines


def test_another_split_is_advised_only_where_the_leaking_one_was_shipped() -> None:
    shipped = data_summary("real").model_copy(update={"leaks": {"copy": 3}})
    grouped = shipped.model_copy(update={"split": "grouped"})
    said = {data.split: [line for line in data_lines(data) if line.startswith("LEAK")] for data in (shipped, grouped)}
    leak = (
        "LEAK: 3 of 10 test images were seen in development (3 copy); their scores stand apart (orchestrate data check"
    )
    assert said["grouped"] == [f"{leak} shows them)"]
    assert said["shipped"] == [f"{leak} shows them), --split grouped draws a test set of its own"]
