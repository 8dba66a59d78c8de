"""Running one program."""
