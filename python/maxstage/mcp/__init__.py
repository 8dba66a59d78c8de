"""A server of the Model Context Protocol (MCP): staging, reading and running for agents, by tools instead of a shell.

On the standard library alone, and little of it: a client starts one for each session and waits for it. Each module has
one concern:

- `protocol`: what a message is, in all revisions; `server`: what each method answers.
- `tools`: a file a tool, and the table of them; `resources`: items as ``max://TOKEN``.
- `reading`: a bounded piece of an item as text; `access`: the store, and which of its items a client sees.
- `calls`: requests that run beside each other; `stdio` and `http`: how messages come and go.
"""
