"""The audit as one HTML page that needs nothing beside it, and as JSON."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from trainables.audit.evidence import Example, Finding, counted
from trainables.audit.facts import AuditInput
from trainables.audit.findings import AuditReport
from trainables.audit.pictures import as_data_uri, draw_shortcuts, png_of, strip

_VERDICTS = {
    "leaks": "The shipped split leaks: the same pictures or subjects stand on two of its sides",
    "warnings": "Usable with care: read the warnings",
    "clean": "Nothing found that would mislead a model or its score",
}
_GROUP_STRIPS = 6
_STRIP_IMAGES = 10
_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin: 0 0 .3rem; }
.verdict { padding: .7rem 1rem; border-left-style: solid; border-left-width: .5rem; font-size: 1.1rem;
  font-weight: 600; background: #f6f6f6; }
.leaks, .leak { border-color: #D55E00; } .warnings, .warning { border-color: #E69F00; }
.clean { border-color: #009E73; } .note { border-color: #56B4E9; }
.finding { border-left-style: solid; border-left-width: .3rem; padding: .1rem 0 .1rem .8rem; margin: 1.1rem 0; }
.finding .is { text-transform: uppercase; font-size: .72rem; letter-spacing: .06em; font-weight: 700; }
.done { color: #444; margin: .2rem 0 .5rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .7rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid #ddd; } td.n, th.n { text-align: right; }
.examples { display: flex; flex-wrap: wrap; gap: .7rem; }
figure { margin: 0; break-inside: avoid; border: 1px solid #ddd; padding: .4rem; }
figure img { width: 128px; height: 128px; background: #000; } figure .two { display: flex; gap: .3rem; }
figcaption, .names { font-size: .75rem; overflow-wrap: anywhere; }
figure .one { width: 128px; } .why { font-size: .75rem; font-weight: 600;
  width: 0; min-width: 100%; }
.strip { max-width: 100%; display: block; } .wide { max-width: 100%; }
ul { margin: .2rem 0; padding-left: 1.2rem; overflow-wrap: anywhere; font-size: .88rem; }
.small { font-size: .85rem; color: #444; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; } }
"""


def write_report(
    folder: Path, report: AuditReport, images: AuditInput, title: str = "Data audit", notes: Sequence[str] = ()
) -> Path:
    """Write audit.json and audit.html into a folder and return the page's path; `notes` are those of the reader."""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps(report.to_json() | {"notes": list(notes)}, indent=2, ensure_ascii=False)
    (folder / "audit.json").write_text(content + "\n", encoding="utf-8")
    page = folder / "audit.html"
    page.write_text(_page(report, images, title, notes), encoding="utf-8")
    return page


def _page(report: AuditReport, images: AuditInput, title: str, notes: Sequence[str]) -> str:
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="small">{counted(report.images, "readable image")}, '
        f"{counted(len(report.classes), 'class', 'classes')}: {escape(', '.join(report.classes))}</p>",
        f'<p class="verdict {report.verdict}">{_VERDICTS[report.verdict]}</p>',
        _numbers(report),
        _listed("How the set was read", notes),
        "<h2>What was found</h2>",
        *(_finding(finding, report, images) for finding in report.findings if finding.kind != "subject_groups"),
        "" if report.findings else "<p>Nothing.</p>",
        _groups(report, images),
        _shortcuts(report),
        _table(report),
        '<p class="small">For research. Pictures are thumbnails of the set itself: share this page as you would share '
        "the images.</p>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _numbers(report: AuditReport) -> str:
    sizes = report.group_sizes
    test = sum(count for (side, _, _), count in report.counts.items() if side == "test")
    rows = [
        ("images", report.images, ""),
        ("unreadable files", len(report.unreadable), "left out"),
        ("exact copies", report.exact_duplicates, "beyond the first of each cluster"),
        ("near-duplicates", report.near_duplicates, "likewise; mirrored and turned ones count"),
        ("groups", report.groups, f"the largest has {counted(max(sizes, default=0), 'image')}; none is ever split"),
        ("clusters or groups of two classes", report.conflicts, "labels that disagree"),
        ("shipped test images known from the other side", report.cross_split_leaks, _share(report, test)),
        ("shortcuts", sum(one.is_shortcut for one in report.shortcuts), f"of {len(report.shortcuts)} tried"),
    ]
    body = "".join(
        f'<tr><td>{what}</td><td class="n">{count:,}</td><td class="small">{escape(more)}</td></tr>'
        for what, count, more in rows
    )
    return f"<table>{body}</table>"


def _share(report: AuditReport, test: int) -> str:
    if not test:
        return "the set ships no test split"
    return f"of {test:,} ({report.cross_split_leaks / test:.0%}); {len(report.leak_free_test_images):,} are free"


def _listed(heading: str, lines: Sequence[str]) -> str:
    return f"<h2>{heading}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""


def _finding(finding: Finding, report: AuditReport, images: AuditInput) -> str:
    pictured = [example for example in finding.examples if example.images]
    said = [example.words for example in finding.examples if not example.images]
    shown = "".join(_figure(example, report, images) for example in pictured)
    return (
        f'<div class="finding {finding.severity}"><span class="is">{finding.severity}</span>'
        f'<h3>{escape(finding.title)}</h3><p class="done">{escape(finding.done)}</p>'
        + (f"<ul>{''.join(f'<li>{escape(words)}</li>' for words in said)}</ul>" if said else "")
        + (f'<div class="examples">{shown}</div>' if shown else "")
        + (f'<p class="small">{_more(finding, len(pictured))}</p>' if pictured else "")
        + "</div>"
    )


def _more(finding: Finding, shown: int) -> str:
    return "" if finding.count <= shown else f"{shown} examples of {finding.count:,}"


def _figure(example: Example, report: AuditReport, images: AuditInput) -> str:
    cells = "".join(
        f'<div class="one"><img src="{as_data_uri(png_of(images.thumbnails_NHW[image]))}" '
        f'alt="{escape(report.paths[image])}"><figcaption>{escape(_name(report, images, image))}</figcaption></div>'
        for image in example.images
    )
    return f'<figure><div class="two">{cells}</div><div class="why">{escape(example.words)}</div></figure>'


def _name(report: AuditReport, images: AuditInput, image: int) -> str:
    one = images.images[image]
    shipped = f", {one.shipped}" if one.shipped else ""
    return f"{report.paths[image]} [{images.classes[one.label]}{shipped}]"


def _groups(report: AuditReport, images: AuditInput) -> str:
    if not report.largest_groups:
        return ""
    (finding,) = (finding for finding in report.findings if finding.kind == "subject_groups")
    rows = []
    for own in report.largest_groups[:_GROUP_STRIPS]:
        picture = as_data_uri(png_of(strip(images.thumbnails_NHW[own[:_STRIP_IMAGES]])))
        shown = "" if len(own) <= _STRIP_IMAGES else f", the first {_STRIP_IMAGES} shown"
        rows.append(
            f'<p class="names"><b>{counted(len(own), "image")}</b>{shown}: {escape(report.paths[own[0]])} ...</p>'
            f'<img class="strip" alt="" src="{picture}">'
        )
    return (
        f"<h2>Groups that stay together</h2><p>{escape(finding.title)}</p>"
        f'<p class="done">{escape(finding.done)}</p>{"".join(rows)}'
    )


def _shortcuts(report: AuditReport) -> str:
    if not report.shortcuts:
        return "<h2>Shortcuts</h2><p>Too few groups per class to measure any, or nothing but the pixels varies.</p>"
    working = sum(one.is_shortcut for one in report.shortcuts)
    return (
        "<h2>Shortcuts: how well one feature alone tells the class</h2>"
        f"<p>{counted(working, 'shortcut')} among {counted(len(report.shortcuts), 'measurement')}. A shallow tree "
        "(naive Bayes for names) that sees nothing but the feature guesses the class of images of groups that it never "
        "saw.</p>"
        f'<img class="wide" alt="bar chart of scores" src="{as_data_uri(draw_shortcuts(report.shortcuts))}">'
    )


def _table(report: AuditReport) -> str:
    columns = sorted({(side, modality) for side, modality, _ in report.counts})
    head = "".join(
        f'<th class="n">{escape(modality)}<br>{escape(side) if side != "-" else "no split"}</th>'
        for side, modality in columns
    )
    rows = ""
    for label, name in enumerate(report.classes):
        counts = [report.counts[side, modality, label] for side, modality in columns]
        cells = "".join(f'<td class="n">{count:,}</td>' for count in [*counts, sum(counts)])
        rows += f"<tr><td>{escape(name)}</td>{cells}</tr>"
    head = f'<tr><th>class</th>{head}<th class="n">all</th></tr>'
    return f"<h2>Images by class, modality and shipped side</h2><table>{head}{rows}</table>"
