"""A run: what starts when, what is known of it, and what its tasks are given."""
