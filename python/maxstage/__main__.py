"""``python -m maxstage`` is ``max``."""

from maxstage.cli import main

if __name__ == "__main__":
    main()
