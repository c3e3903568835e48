"""Readers: one file per way in which a data set lies on disk."""
