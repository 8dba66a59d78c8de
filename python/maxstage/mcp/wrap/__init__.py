"""A gateway before another MCP server: results that are too long are staged, all else passes byte for byte.

A message is never whole in memory, however long it is. Each module has one concern:

- `body`: the bytes of a message, on disk once there are many; `scan`: where things are in them; `texts`: what a text of
  JSON says, piece by piece; `edits`: the same bytes with some exchanged.
- `results`: what is staged of a result; `previews`: what a model sees in its place; `listing`: the list of tools.
- `gateway`: what becomes of each message, in either direction.
- `process` and `web`: the server behind it, by pipes or by HTTP; `channel`: the client before it.
"""
