"""Where a value may stand in the scripts of each language, and where it may not; and values that try to become code."""
