"""Small sets made by hand: 8 x 8 images, parquet rows, and what tests ask of a reader."""

import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trainables.data.records import DataSet

MISLEADING = "stroke tumor yes Testing MR"  # a parent folder that holds every word that readers look for
LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 130\n"
STAGES = ["Mild_Demented", "Moderate_Demented", "Non_Demented", "Very_Mild_Demented"]


def image_bytes(grey: int = 90, kind: str = "PNG", mode: str = "L", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), grey).convert(mode).save(file, kind, **options)
    return file.getvalue()


def write_images(root: Path, *names: str, **options: Any) -> None:
    """Write one image per name, each of its own grey; the suffix tells the format unless `kind` is given."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}.get(path.suffix.lower(), "PNG")
        grey = sum(name.encode()) % 200
        path.write_bytes(image_bytes(grey, **{"kind": kind, **options}))


def write_rows(
    path: Path,
    labels: Sequence[Any],
    *,
    names: Sequence[str] | None = STAGES,
    row_group_rows: int = 3,
    stored: str = "",
) -> list[bytes]:
    """Write parquet rows as Hugging Face does and return their image bytes; `names` are the metadata's class names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = [image_bytes(row % 200, "JPEG") for row in range(len(labels))]
    rows = [
        {"image": {"bytes": content, "path": f"{stored}moderate_{row}.jpg"}, "label": label}
        for row, (content, label) in enumerate(zip(contents, labels, strict=True))
    ]
    table = pa.Table.from_pylist(rows)
    if names is not None:
        features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path, row_group_size=row_group_rows)
    return contents


def write_table(path: Path, header: str, *lines: str) -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def counts(data: DataSet) -> dict[tuple[str | None, int], int]:
    """Return the number of cases by side and class."""
    return dict(Counter((record.shipped, record.label) for record in data.records))


def means(data: DataSet) -> list[float]:
    return [
        float(np.asarray(Image.open(io.BytesIO(data.read(record.path))).convert("L")).mean()) for record in data.records
    ]
