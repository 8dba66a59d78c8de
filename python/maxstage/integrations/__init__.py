"""Adapters for other programs' frameworks. Each module needs its framework, and is imported by its users alone."""
