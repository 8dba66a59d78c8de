"""The version, in one place that costs nothing to import (`importlib.metadata` takes 80 ms)."""

__version__ = "0.1.0"
