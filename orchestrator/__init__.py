"""Experiment orchestrator for medical imaging: sweeps, their journal, their leaderboards and their registry."""

__version__ = "0.1.0"
