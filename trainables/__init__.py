"""Tasks, architectures, data and evaluation; knows nothing of ray, mlflow, optuna or the orchestrator."""
