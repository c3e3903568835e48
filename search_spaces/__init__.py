"""Sweep files (YAML only): task, architectures, search spaces, budget."""
