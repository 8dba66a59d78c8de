"""Choosing the context of an agent: the outputs that matter for its task, within a budget."""
