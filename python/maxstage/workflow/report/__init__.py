"""Reports on workflows and their runs."""
