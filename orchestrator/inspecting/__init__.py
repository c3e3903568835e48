"""What the application must open to know: the machine, the data, the architectures."""
