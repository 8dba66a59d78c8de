"""The compiled module. Its pure twin is `maxstage._pure`; use either through `maxstage._backend`."""

__version__: str

def count_newlines(data: bytes, /) -> int:
    """Count the ``\\n`` bytes in `data`."""
