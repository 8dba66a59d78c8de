"""Values in scripts: where references stand in each language, and how a value is written there as data."""
