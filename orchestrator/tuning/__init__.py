"""The only package that imports ray and optuna."""
