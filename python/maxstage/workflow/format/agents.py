"""Agents: commands that read a prompt on stdin, and whose stdout is the answer."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from maxstage.errors import ConfigError
from maxstage.settings import check_provider
from maxstage.workflow.format.values import MODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maxstage.workflow.format.schema import Agent
    from maxstage.workflow.format.yaml_source import Path


class Provider(NamedTuple):
    """An agent that can be used by name.

    Attributes:
        command: The program and its arguments.
        model: The arguments that select a model; ``{model}`` in them is replaced by its name.
        install: How to install it.
        tools: The arguments that name the tools that need no permission; ``{value}`` is their names with commas.
        max_turns: The arguments that limit how often it may use tools; ``{value}`` is the number.
        modes: The arguments for each mode of ``permissions``.
        directory: The arguments for each directory that it may work in beside its own; ``{value}`` is the directory.
    """

    command: list[str]
    model: list[str]
    install: str
    tools: Sequence[str] = ()
    max_turns: Sequence[str] = ()
    modes: Mapping[str, Sequence[str]] = MappingProxyType({})
    directory: Sequence[str] = ()


PROVIDERS = {
    "claude": Provider(
        ["claude", "-p"],
        ["--model", "{model}"],
        "npm install -g @anthropic-ai/claude-code",
        tools=["--allowedTools", "{value}"],
        max_turns=["--max-turns", "{value}"],
        modes={mode: ["--permission-mode", mode] for mode in MODES},
        directory=["--add-dir", "{value}"],
    ),
    "codex": Provider(
        ["codex", "exec", "-"],
        ["--model", "{model}"],
        "npm install -g @openai/codex",
        modes={
            "default": [],
            "acceptEdits": ["--sandbox", "workspace-write"],
            "plan": ["--sandbox", "read-only"],
            "bypassPermissions": ["--dangerously-bypass-approvals-and-sandbox"],
        },
        directory=["--add-dir", "{value}"],
    ),
    "gemini": Provider(
        ["gemini"],
        ["--model", "{model}"],
        "npm install -g @google/gemini-cli",
        modes={
            "default": [],
            "acceptEdits": ["--approval-mode", "auto_edit"],
            "plan": ["--approval-mode", "plan"],
            "bypassPermissions": ["--approval-mode", "yolo"],
        },
        directory=["--include-directories", "{value}"],
    ),
    "llm": Provider(["llm"], ["-m", "{model}"], "pip install llm", modes={"default": []}),
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
        known = PROVIDERS.get(name, Provider([], [], "", modes={"default": []}))
        command, model = table.get("command", known.command), table.get("model", known.model)
        if not command:
            raise ConfigError(f"providers.{name} has no command")
        found[name] = known._replace(command=command, model=model)
    return found


def command_of(agent: Agent, providers: Mapping[str, Provider]) -> list[str]:
    """Return the command line of an agent in the file, whose provider must be known."""
    if agent.command is not None:
        return list(agent.command)
    provider = providers[agent.provider or ""]
    words = list(provider.command)
    if agent.model is not None:
        words += (word.replace("{model}", agent.model) for word in provider.model)
    for _, _, arguments, value in _options(agent, provider):
        words += (word.replace("{value}", value) for word in arguments or ())
    return words


def _options(agent: Agent, provider: Provider) -> Iterator[tuple[Path, str, Sequence[str] | None, str]]:
    """Yield what an agent asks of its provider: the field, its name, the arguments (None for none), the value."""
    if agent.tools:
        yield ("tools",), "tools", provider.tools or None, ",".join(agent.tools)
    if agent.max_turns is not None:
        yield ("max_turns",), "max_turns", provider.max_turns or None, str(agent.max_turns)
    permissions = agent.permissions
    if permissions is not None:
        mode = permissions.mode
        yield ("permissions", "mode"), f"the mode {mode}", provider.modes.get(mode), mode
        for number, one in enumerate(permissions.allowed_directories):
            where = ("permissions", "allowed_directories", number)
            yield where, "directories", provider.directory or None, one


def refused_options(agent: Agent, providers: Mapping[str, Provider]) -> Iterator[tuple[Path, str]]:
    """Yield what an agent asks for that its program has no option for: the field, and a message."""
    if agent.command is not None:
        for field in ("tools", "max_turns", "permissions"):
            if getattr(agent, field):
                yield (field,), f"{field} is for providers; a command has its own options"
        return
    for where, what, arguments, _ in _options(agent, providers[agent.provider or ""]):
        if arguments is None:
            yield where, f"the provider {agent.provider} has no option for {what}"


def prompt_of(system_prompt: str, description: str, context: str = "") -> str:
    """Return the prompt for a task: the system prompt, the context, then the description of the task."""
    parts = (system_prompt, context, description)
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"
