"""Arrays in, numbers and figures out; imports without torch."""
