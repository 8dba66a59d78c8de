"""``max agent hook``: what clients call before and after a shell command. Without the command-line library."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def hook(args: "Sequence[str]") -> int:
    """Answer a client on stdin and stdout. Never fails: a session goes on as if nothing were installed.

    What goes wrong is told on stderr, which the command in the settings throws away.
    """
    from maxstage.cli.printing import tell, write_all

    if len(args) != 1:
        tell("max agent hook takes the name of a client, and is called by it")
        return 0
    try:
        # Not before the end is anything printed: half of an answer is worse than none.
        said = _answer(args[0])
        if said:
            write_all(1, said.encode() + b"\n", "<stdout>")
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop a session that did well without us
        from maxstage.errors import describe

        tell(f"The hook for {args[0]} does nothing: {describe(error) or type(error).__name__}")
    return 0


def _answer(client: str) -> str:
    from maxstage.agents.hook import MOST_BYTES, answer
    from maxstage.files import read_some

    content = bytearray()
    while len(content) <= MOST_BYTES:
        piece = read_some(0, 1 << 16, "<stdin>")
        if not piece:
            return answer(client, bytes(content), _summarize)
        content += piece
    return ""


def _summarize(text: str, whole: str | None) -> str | None:
    """Keep an output and return its summary: see `maxstage.agents.summary.summary_of`."""
    from maxstage.agents.hook import LONG, SHORT
    from maxstage.agents.summary import summary_of
    from maxstage.cli.execution import limits_of, store_or_none

    store, can_keep = store_or_none(None, needed=False, kept=True)
    if store is None or not can_keep:
        return None  # what is not kept must not be cut: the client's own way stands
    limits = limits_of(store, {"max_stdout_bytes": LONG, "truncation_strategy": "summary"})
    return summary_of(text, whole, store, limits, SHORT)
