"""Agents' programs: what `max agent` writes into their settings, and the hooks that they call."""
