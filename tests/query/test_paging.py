"""Pages of results: each record once, whatever else happens to the store meanwhile."""

import json
import random
import tempfile

from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import Store
from maxstage.query.inputs import open_inputs
from maxstage.query.plan import MOST
from maxstage.query.search import Looked, Query, read_all, read_page
from maxstage.query.states import load_state, save_state

records = st.lists(
    st.fixed_dictionaries(
        {"a": st.integers(0, 3) | st.none() | st.text(max_size=3), "b": st.integers(0, 99)}
    ),
    max_size=30,
)
kinds = st.sampled_from(["ndjson", "json", "text"])


def written(rows, kind) -> bytes:
    if kind == "json":
        return json.dumps(rows, indent=1).encode()
    if kind == "text":
        return b"".join(b"%d\n" % row["b"] for row in rows)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def disturb(store: Store, draw: random.Random, others: list) -> None:
    """Do to the store what others may do."""
    others.append(store.stage(b"x\n" * draw.randrange(5), ttl=draw.choice([1, 60])))
    one = draw.choice(others)
    draw.choice([
        lambda: store.renew(one.token, 5),
        lambda: store.pin(one.token),
        store.cleanup,
        lambda: store.unstage(others.pop(others.index(one)).token),
    ])()  # fmt: skip


@examples(150)
@given(
    st.lists(st.tuples(records, kinds), min_size=1, max_size=3),
    st.sampled_from([{}, {"filters": ["a = 1 or line > 50"]}, {"filters": ["b >= 50"]}, {"pattern": "1"}]),
    st.sampled_from([{}, {"sort": "b"}, {"sort": "a:desc"}, {"fields": ["a", "b"]}]),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_each_record_comes_once_and_in_order(data, what, how, offset, draw):
    query = Query(**what, **how)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.init(folder)
        items = [
            store.stage(
                written(rows, kind), content_type=kind, compress=draw.choice([False, "gzip"]), pin=True
            )
            for rows, kind in data
        ]
        names = [item.token for item in items]
        everything = b"".join(read_all(open_inputs(names, lambda: store)[0], query, Looked()))
        expected = everything.split(b"\n")[:-1]
        inputs, _ = open_inputs(names, lambda: store)
        page = read_page(inputs, query, offset=offset, limit=draw.randint(1, 6))
        seen, others = [*page.records], []
        while page.has_more:
            token = save_state(store, inputs, names, None, query, page)
            disturb(store, draw, others)
            state = load_state(store, token)
            assert state.query == query.to_dict()
            inputs, _ = open_inputs(state.what, lambda: store, state.kind)
            state.check_inputs(inputs)
            page = read_page(
                inputs,
                Query.from_dict(state.query),
                offset=state.offset,
                limit=draw.randint(1, 6),
                start=state.position,
                total=state.total,
            )
            assert page.offset == offset + len(seen)
            assert page.records
            seen += page.records
        assert page.total == len(expected)
        assert [record for _, record in seen] == expected[offset:]


@examples(50)
@given(records, st.integers(0, 40), st.integers(1, 40))
def test_all_may_be_a_part(rows, offset, most):
    with tempfile.TemporaryDirectory() as folder:
        store = Store.init(folder)
        item = store.stage(written(rows, "ndjson"), content_type="ndjson")
        for how in ({}, {"sort": "b"}):
            whole, part = (
                b"".join(
                    read_all(open_inputs([item.token], lambda: store)[0], Query(**how), Looked(), **some)
                )
                for some in ({"most": MOST}, {"offset": offset, "most": most})
            )
            assert part.split(b"\n")[:-1] == whole.split(b"\n")[:-1][offset : offset + most]
