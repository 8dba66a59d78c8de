"""Choosing what an agent is given: the outputs that matter for its task, within a budget."""
