"""From image files to decoded arrays."""
