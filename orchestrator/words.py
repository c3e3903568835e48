"""Quantities as people say them."""


def in_words(seconds: float) -> str:
    """Return a duration."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(count: int, noun: str) -> str:
    """Return "1 node", "2 nodes"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def size_in_words(size_bytes: float) -> str:
    """Return an amount of storage."""
    return f"{size_bytes / 2**20:.0f} MiB" if size_bytes < 2**30 else f"{size_bytes / 2**30:.1f} GiB"
