"""What the adapters share."""

import threading

import pytest
from frameworks import HUGE, LONG, kept, token_in

from maxstage import Store
from maxstage.integrations.keeping import Keeper


@pytest.fixture
def keeper(store):
    return Keeper(store)


def test_a_long_result_is_kept_whole(store, keeper):
    assert kept(store, keeper.shortened(LONG, "build")).decode() == LONG
    assert store.list()[0].source == "tool/build"


@pytest.mark.parametrize("text", ["", "x" * 16384, "é" * 8192], ids=["empty", "limit", "two bytes each"])
def test_what_is_short_stays_as_it_is(store, keeper, text):
    assert keeper.shortened(text, "t") is None
    assert store.list() == []


def test_just_above_the_limit(store, keeper):
    assert keeper.shortened("é" * 8193, "t") is not None


def test_the_same_result_is_shown_alike_and_kept_once(store, keeper):
    shown = {keeper.shortened(LONG, "t") for _ in range(3)}
    assert len(shown) == 1
    assert len(store.list()) == 1


def test_50_mb(store, keeper):
    assert kept(store, keeper.shortened(HUGE, "t")).decode() == HUGE


def test_text_that_no_file_holds(store, keeper):
    text = "half \ud83d of a pair\n" * 2000 + "frobnicate\n"
    shown = keeper.shortened(text, "t\nwith\x1b[31m a name " + "x" * 1000)
    shown.encode()
    with store.open(token_in(shown)) as file:
        assert file.read() == text.encode("utf-8", "surrogatepass")


def test_what_cannot_be_kept_is_shown_whole(store):
    store.settings.max_item_bytes = 1000
    with pytest.warns(UserWarning, match=r"A long result of t can't be kept: .*max_item_bytes"):
        assert Keeper(store).shortened(LONG, "t") is None


def test_no_store_at_all(monkeypatch):
    monkeypatch.chdir("/")
    with pytest.warns(UserWarning, match="Not in a Max project"):
        assert Keeper().shortened(LONG, "t") is None
    assert Keeper().read("max:00000000").startswith("Error: Not in a Max project")


def test_the_project_is_found_when_it_is_needed(store, monkeypatch):
    keeper = Keeper()
    monkeypatch.chdir(store.layout.project)
    assert kept(store, keeper.shortened(LONG, "t")).decode() == LONG


def test_what_is_masked_is_masked_in_what_is_shown(store):
    store.settings.redact = "shown"
    secret = "ghp_" + "a1B2" * 9
    shown = Keeper(store).shortened(f"error: token {secret}\n{LONG}", "t")
    assert secret not in shown
    assert "frobnicate" in shown


def test_reading_on(store, keeper):
    token = token_in(keeper.shortened(LONG, "t"))
    assert keeper.read(token, lines="5001") == "error: 'frobnicate' undeclared\n"
    assert keeper.read(token, tail=1) == "line 9999 of the build\n"
    assert keeper.read(token, bytes="0:6") == "line 0"
    whole = keeper.read(token)
    assert len(whole.encode()) <= 16384
    assert "go on with max_retrieve token=" in whole
    own = Keeper(Store.init(store.layout.project))
    assert own.read(token.upper().replace("MAX", "max"), lines="1") == "line 0 of the build\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"token": "max:00000000"}, "not found"),
        ({"token": "../../etc/passwd"}, "Invalid token"),
        ({"token": "max:00000000", "lines": "x"}, "lines must be like"),
        ({"token": "max:00000000", "lines": "1", "tail": 2}, "at most one"),
    ],
)
def test_a_mistake_is_told_to_the_model(keeper, given, told):
    answer = keeper.read(**given)
    assert answer.startswith("Error: ")
    assert told in answer


def test_many_threads(store, keeper):
    threads = [threading.Thread(target=keeper.shortened, args=(f"{n}\n{LONG}", "t")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list()) == 8
