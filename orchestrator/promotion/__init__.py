"""Whether a model is good enough to be used, and better than the one in use: evidence, policy, checks, decision."""
