"""Hyperparameters as checked records; imports without torch. The schema of sweep files, of --set and of the models."""
