"""Workflows: YAML in, tasks run, state that survives anything."""
