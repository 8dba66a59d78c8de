"""The store: tokens, metadata, layout on disk, expiry, sweeping, quota."""
