"""How one trial is trained: one loop for every architecture. Knows nothing of who logs, who stops and who chose it."""
