"""Values in scripts: finding the references in each language, and writing their values as data."""
