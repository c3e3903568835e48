"""Decoded images are in memory once, however many trials read them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

READER = """
import re, sys
from pathlib import Path
from trainables.data.cache import open_images
images_NHW = open_images(Path(sys.argv[1]))
int(images_NHW.sum())  # every page is looked at
print("ready", flush=True)
sys.stdin.readline()
own = Path("/proc/self/smaps").read_text().split(sys.argv[1])[1]
print(re.search(r"Pss:\\s+(\\d+) kB", own)[1], flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the share of each process in memory is read from /proc")
def test_four_readers_share_one_copy(tmp_path: Path) -> None:
    path = tmp_path / "key" / "images.npy"
    path.parent.mkdir()
    np.save(path, np.random.default_rng(0).integers(0, 255, (4000, 64, 64), dtype=np.uint8))
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    try:
        assert [reader.stdout.readline().strip() for reader in readers] == ["ready"] * 4
        shares_kib = []
        for reader in readers:
            reader.stdin.write("\n")
            reader.stdin.flush()
            shares_kib.append(int(reader.stdout.readline()))
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
    file_kib = path.stat().st_size / 1024
    assert sum(shares_kib) == pytest.approx(file_kib, rel=0.1), shares_kib
