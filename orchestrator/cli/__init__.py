"""The command line: it prints, exits and reads the environment; nothing else does."""
