"""Where agents are: what `max agent` writes into the settings of their programs, and the hooks that those call."""
