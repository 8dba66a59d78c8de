"""The twin of the module `query`: looking through records."""
