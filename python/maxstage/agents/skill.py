"""What an agent reads about maxstage: the skill, in the format that all clients share (`SKILL.md`)."""

NAME = "maxstage"

SKILL = """\
---
name: maxstage
description: >-
  Hand large data on by a short token instead of pasting it, and read long command output without flooding the context.
  Use when a command prints more than a screen, when a result says "max retrieve max:…" or "truncated", or when a file
  or JSON result is too long to show.
license: Apache-2.0
compatibility: Needs the `max` command (pip install maxstage) on the PATH.
---

# Large outputs by token

A token such as `max:a1b2c3d4` names data that is kept whole. Pass the token on, not the data.

- An output that was cut ends with, or has in it, a line like
  `--- [12,345 bytes (200 lines) truncated; whole output: max retrieve max:a1b2c3d4] ---`.
  Nothing is lost: **do not run the command again**, read what you need of it:
  - `max retrieve max:a1b2c3d4 --lines 1300:1340`, or `--head 50`, or `--tail 50`
  - `max retrieve max:a1b2c3d4 | grep -n "error"`
- Before a command that may print much: `max exec -- CMD ARG…`. It exits as the command does, shows what fits, and
  names the token of the rest.
- To hand data to another step: `producer | max stage` prints a token; `max retrieve TOKEN | consumer` takes it.
- `max stage info TOKEN` says what it is and how large. If `max` reports that a token has expired, make the data anew.

Where the tools of the MCP server `max` are there, they do the same without a shell.
"""
