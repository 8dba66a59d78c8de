"""The format of workflow files: its schema, reading files, and everything that can be checked before a run."""
