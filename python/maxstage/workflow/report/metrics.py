"""The metrics of a run, for people and for Prometheus."""

from __future__ import annotations

from typing import Any

from maxstage.humanize import counted, format_size

_COUNTS = (
    ("held_bytes", "gauge", "Bytes of outputs that the state holds."),
    ("peak_held_bytes", "gauge", "The most bytes of outputs that the state held at once."),
    ("external_bytes", "counter", "Bytes of full outputs kept outside, as they were printed."),
    ("external_stored_bytes", "counter", "Bytes that these take on disk."),
    ("outputs", "counter", "Outputs of tasks and iterations."),
    ("truncated", "counter", "Outputs that were cut."),
    ("external", "counter", "Outputs that are kept outside in full."),
    ("moved", "counter", "Outputs whose text was moved from the state into the store."),
    ("pruned", "counter", "Outputs that were deleted."),
    ("prunings", "counter", "Times that outputs were deleted."),
    ("prompts", "counter", "Prompts that outputs were put into."),
    ("context_bytes", "counter", "Bytes of outputs put into prompts."),
    ("context_tokens", "counter", "LLM tokens of these, estimated."),
    ("whole_tokens", "counter", "LLM tokens that all outputs would have taken."),
    ("average_relevance", "gauge", "Average relevance of what was put into prompts."),
)


def lines(metrics: dict[str, Any]) -> list[str]:
    """Return metrics as lines of text for people."""
    shown = [
        (
            "held",
            f"{format_size(metrics['held_bytes'])}, {format_size(metrics['peak_held_bytes'])} at the peak",
        ),
        (
            "outside",
            f"{format_size(metrics['external_bytes'])}, {format_size(metrics['external_stored_bytes'])} on disk",
        ),
        (
            "outputs",
            (
                f"{metrics['outputs']:,}; {metrics['truncated']:,} truncated, {metrics['external']:,} kept outside, "
                f"{metrics.get('moved', 0):,} moved into the store, "
                f"{metrics['pruned']:,} pruned, {counted(metrics['prunings'], 'time')}"
            ),
        ),
        (
            "prompts",
            (
                f"{metrics['prompts']:,} with {counted(metrics['context_bytes'], 'byte')}, about "
                f"{counted(metrics['context_tokens'], 'LLM token')}, of outputs; "
                f"{counted(metrics['tokens_saved'], 'LLM token')} less than all there was"
            ),
        ),
        ("relevance", f"{metrics['average_relevance']:.2f} on average"),
    ]
    return [f"{name + ':':<11}{text}" for name, text in shown]


def prometheus(metrics: dict[str, Any], run_id: str, workflow: str) -> str:
    """Return metrics in the text format of Prometheus, for the textfile collector of its node exporter."""
    name = workflow.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    parts = []
    for key, kind, text in _COUNTS:
        full = f"maxstage_run_{key}" + ("_total" if kind == "counter" else "")
        parts += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
        parts.append(f'{full}{{run="{run_id}",workflow="{name}"}} {metrics.get(key, 0)}')
    return "\n".join(parts) + "\n"
