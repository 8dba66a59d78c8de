"""Output within bounds: limits, truncation, capture."""
