"""Intents: many writes as a plan that is looked at first, survives being killed, and can be taken back."""
