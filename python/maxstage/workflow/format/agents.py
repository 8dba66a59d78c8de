"""Agents: commands that read a prompt on stdin, and whose stdout is the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import ConfigError
from maxstage.settings import check_provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maxstage.workflow.format.schema import Agent


class Provider(NamedTuple):
    """An agent that can be used by name.

    Attributes:
        command: The program and its arguments.
        model: The arguments that select a model; ``{model}`` in them is replaced by its name.
        install: How to install it.
    """

    command: list[str]
    model: list[str]
    install: str


PROVIDERS = {
    "claude": Provider(["claude", "-p"], ["--model", "{model}"], "npm install -g @anthropic-ai/claude-code"),
    "codex": Provider(["codex", "exec", "-"], ["--model", "{model}"], "npm install -g @openai/codex"),
    "gemini": Provider(["gemini"], ["--model", "{model}"], "npm install -g @google/gemini-cli"),
    "llm": Provider(["llm"], ["-m", "{model}"], "pip install llm"),
}
"""The built-in providers. ``[providers]`` in config.toml adds to them and overrides them."""


def providers_from(settings: Mapping[str, Any]) -> dict[str, Provider]:
    """Return the built-in providers and those of the settings.

    Args:
        settings: ``{name: [program, argument, ...]}``, or ``{name: {command: [...], model: [...]}}``.

    Raises:
        ConfigError: One is not a list of words.

    >>> providers_from({"mine": ["my-agent", "--fast"]})["mine"].command
    ['my-agent', '--fast']
    """
    found = dict(PROVIDERS)
    for name, value in settings.items():
        table = check_provider(name, value)
        known = PROVIDERS.get(name, Provider([], [], ""))
        command, model = table.get("command", known.command), table.get("model", known.model)
        if not command:
            raise ConfigError(f"providers.{name} has no command")
        found[name] = Provider(command, model, known.install)
    return found


def command_of(agent: Agent, providers: Mapping[str, Provider]) -> list[str]:
    """Return the command line of an agent in the file, whose provider must be known."""
    if agent.command is not None:
        return list(agent.command)
    provider = providers[agent.provider or ""]
    if agent.model is None:
        return list(provider.command)
    return [*provider.command, *(word.replace("{model}", agent.model) for word in provider.model)]


def prompt_of(system_prompt: str, description: str, context: str = "") -> str:
    """Return the prompt for a task: the system prompt, the context, then the description of the task."""
    parts = (system_prompt, context, description)
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"
