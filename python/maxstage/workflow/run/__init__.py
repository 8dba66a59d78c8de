"""A run: when its tasks start, what they are given, and its state."""
