"""The format of workflow files: what they may hold, reading them, and all that can be checked before a run."""
