"""Choosing context in an executor of one's own: a plain dict of outputs, a plain dict of dependencies."""

from maxstage import ContextBudget, select_context

OUTPUTS = {
    "plan": "1. fetch the records\n2. count them by city\n3. write a paragraph\n",
    "fetch": "".join(f'{{"id": {number}, "city": "Graz"}}\n' for number in range(2000)),
    "count": "Graz 2000\n",
    "weather": "It rains.\n",
}
DEPENDS_ON = {"write": ["count"], "count": ["fetch"], "fetch": ["plan"]}

selection = select_context("write", DEPENDS_ON, OUTPUTS, ContextBudget(max_bytes=600, min_relevance=0.25))
print(selection.text)
for one in selection.candidates:
    print(f"{one.task}: {one.state}, relevance {one.relevance:.2f} ({one.why})", one.reason)
