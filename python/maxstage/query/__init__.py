"""Looking into data where it lies: records that match, counts, pages of results."""
