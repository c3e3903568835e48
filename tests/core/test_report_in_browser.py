"""The report as a browser shows it: its scripts run, whatever stands in the page."""

import re
from pathlib import Path

import pytest
from browser_support import CHROMIUM, NO_CHROMIUM, document_and_console
from report_page_support import named_sweep, written
from report_support import HOSTILE, finished, search_events, search_plan

from orchestrator.report.writer import page_of_sweep


@pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
@pytest.mark.parametrize("kind", ["hostile", "thousand", "empty"])
def test_a_browser_runs_its_scripts_without_a_fault(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "sweep"
    if kind == "hostile":
        named_sweep(folder, HOSTILE)
    else:
        written(folder, finished(search_events(search_plan("stroke_timm"), 1000 if kind == "thousand" else 0, 10)))
    document, console = document_and_console(page_of_sweep(folder).as_uri())
    assert re.search(r'<html[^>]* data-ready="\d+"', document), console
    assert console == []
    compared = document.partition('id="compare-table"')[2].partition("</table>")[0]
    assert compared.count('<th scope="col"') == (0 if kind == "empty" else 4), "the best three are compared"
