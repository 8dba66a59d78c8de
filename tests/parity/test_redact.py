"""Masking: the same from both backends, however the text is cut; and nothing of a secret is left."""

import base64
import itertools
import json
import random
import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import examples
from maxstage import _pure
from maxstage.redaction import TooShort, forms_of
from maxstage.redaction_rules import RULES

_core = pytest.importorskip("maxstage._core")

ROWS = [rule.row for rule in RULES]
RULES_OF = {core: core.RedactionRules(ROWS) for core in (_core, _pure)}

LEFT_ALONE = r"""
password = os.environ["DB_PASSWORD"]
password = os.environ["Q7Rv2LmX9aTz"]
token = get_token()
token = getToken2q7Rv2LmX9aTz()
api_key: str = None
api_key: str = settings.API_KEY_V2
const key = config.key
const apiKey = config.apiKeyV2;
password: ${DB_PASSWORD}
password="$DB_PASSWORD_2a"
password: {{ vault_password_2a }}
token: <your-token-1a2B3c>
token = tokenV2Response;
self.token = token
token := newTokenV2
if password == stored2Pass9x:
def login(user, password=None, token=DEFAULT_TOKEN_2):
password: required
password = "correct horse battery staple"
"password": "********"
PASS: test_login_42_a1B2
PWD=/home/user/src2/a1B2c3
token-file: /var/run/secrets/a1B2c3/d4E5/token
token_url: https://auth.example.com/a1B2c3
token: https://auth.example.com/a1B2c3
max_tokens=4096
tokens: 123456789012
token_type: bearer
secret_name: my-app-db-credentials-2
public_key = "q7Rv2LmX9aTz"
KeyError: 'q7Rv2LmX9aTz'
commit 7e3cb9d1a2f4b5c6d7e8f90123456789abcdef01
id: 550e8400-e29b-41d4-a716-446655440000
sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
secret: sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
<img src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4">
.sk-fading-circle .sk-circle1 { color: red }
task-runner disk-usage risk-1234567890123456789012345678901234567890
token: max:a1b2c3d4
{"token": "a1b2c3d4", "createdAt": "2024-01-28T12:00:00Z"}
headers["Authorization"] = "Bearer " + token
curl -H "Authorization: Bearer $TOKEN" https://api.example.com:8080/v1
Authorization: Bearer ${TOKEN}
git clone https://github.com/a/b@v1.2
http://[::1]:8080/a@b
postgres://$USER:$PASSWORD@db/main
-----BEGIN CERTIFICATE-----
could not load key: no start line -----BEGIN PRIVATE KEY----- in file server.pem
""".strip().splitlines()

MASKED = {
    'password = "hX7#kQ2!vN9z"': 'password = "***"',
    "export API_KEY=q7Rv2LmX9aTzW4": "export API_KEY=***",
    "?access_token=q7Rv2LmX9aTzW4&page=2": "?access_token=***&page=2",
    'const apiKey: string = "q7Rv2LmX9aTzW4";': 'const apiKey: string = "***";',
    r"{\"client_secret\": \"q7Rv2LmX9aTzW4\"}": r"{\"client_secret\": \"***\"}",
    "X-Api-Key: 3f9a0c2e7b1d4e6f8a5c0b9d2e7f1a3c": "X-Api-Key: ***",
    "token: aB3dE5fG7hJ9kL1mN3pQ": "token: ***",
    "Server=db;Uid=app;Pwd=Tr0ub4dor3x9;": "Server=db;Uid=app;Pwd=***;",
    "https://user:p@ss@example.com/x": "https://user:***@example.com/x",
    "redis://:hunter2@cache:6379/0": "redis://:***@cache:6379/0",
    "Authorization: token 0123456789aB": "Authorization: token ***",
    "a AKIAQYLPMN5HXR2KTWZB, b": "a ***, b",
    "https://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@github.com/a": "https://***@github.com/a",
}


def masked(core, data, literals=(), rules=True, cuts=()):
    redactor = core.Redactor(list(literals), RULES_OF[core] if rules else None)
    edges = [0, *cuts, len(data)]
    parts = [redactor.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    return b"".join([*parts, redactor.finish()]), redactor.counts


def both(data, literals=(), rules=True, cuts=()):
    ours, theirs = (masked(core, data, literals, rules, cuts) for core in (_core, _pure))
    assert ours == theirs
    return ours


# The table


def test_the_table_is_what_the_core_can_match():
    anchors = {anchor for rule in RULES for anchor in rule.anchors}
    assert not [(a, b) for a in anchors for b in anchors if a != b and b.startswith(a)]
    assert len(anchors) <= 2 * 48  # two searches at most
    for rule in RULES:
        assert rule.doc
        assert re.fullmatch("[a-z-]+", rule.name)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.anchors[0]}")
def test_a_rule_finds_its_example_and_leaves_the_other(rule):
    assert both(f"x {rule.example}\n".encode())[1] == {rule.name: 1}
    assert both(f"{rule.leaves}\n".encode()) == (f"{rule.leaves}\n".encode(), {})


@pytest.mark.parametrize("line", LEFT_ALONE)
def test_what_only_looks_like_a_credential_is_left_alone(line):
    for text in (line, line + "\n", f"  {line} \r\n"):
        assert both(text.encode()) == (text.encode(), {})


@pytest.mark.parametrize("line", MASKED)
def test_only_the_secret_is_masked(line):
    assert both(line.encode())[0].decode() == MASKED[line]


@pytest.mark.parametrize("core", [_core, _pure])
@pytest.mark.parametrize(("column", "value"), [(4, "("), (5, "["), (7, "no such"), (2, ["x" * 17])])
def test_a_table_that_is_no_good_is_refused(core, column, value):
    row = list(ROWS[0])
    row[column] = value
    with pytest.raises(ValueError, match=r"no good|unknown check|16 bytes"):
        core.RedactionRules([tuple(row)])


# Private keys

KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw" * 2] * 20]) + "\n"
END = "-----END PRIVATE KEY-----\n"


def test_a_private_key_is_masked_to_its_end_and_no_further():
    assert both(f"a\n{KEY}{END}b\n".encode()) == (b"a\n***\nb\n", {"private-key": 1})
    in_json = json.dumps({"key": KEY + END, "b": 1})
    assert json.loads(both(in_json.encode())[0]) == {"key": "***\n", "b": 1}


def test_a_private_key_without_an_end_hides_no_other_text():
    text, counts = both(f"a\n{KEY}write error: disk full\n".encode() + b"x" * 40_000)
    assert text == b"a\n***\nwrite error: disk full\n" + b"x" * 40_000
    assert counts == {"private-key": 1}


def test_a_token_that_never_ends_is_masked_whole():
    text = b"token eyJhbGciOiJIUzI1NiJ9.eyJ" + b"aB3" * 10_000 + b".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P, done\n"
    assert both(text, cuts=range(0, 30_000, 977))[0] == text  # no second dot within what is looked at
    text = b"api_key=" + b"aB3dE5fG7h" * 10_000 + b" done\n"
    assert both(text, cuts=range(0, 90_000, 4099)) == (b"api_key=*** done\n", {"assignment": 1})


# Known values


@pytest.mark.parametrize("secret", ["hunter2!", "päss wörd/<&>\"\\'", "a" * 33, "+/+/~~~~"])
def test_a_secret_is_found_in_every_form(secret):
    raw = secret.encode()
    texts = [
        raw,
        json.dumps(secret).encode(),
        json.dumps(secret, ensure_ascii=False).encode(),
        urllib.parse.quote(secret).encode(),
        urllib.parse.quote_plus(secret).encode(),
        urllib.parse.quote(secret, safe="").lower().encode() if secret.isascii() else raw,
    ]
    for before in range(4):
        for after in range(4):
            text = b"u" * before + raw + b"!" * after
            texts += [base64.b64encode(text), base64.urlsafe_b64encode(text)]
    for text in texts:
        shown, counts = both(b"<" + text + b">\n", forms_of([secret]), rules=False)
        assert b"***" in shown
        assert counts["secret"] >= 1
        # Of an encoded one a digit or two at an end may be left, that others share.
        assert len(shown) < len(text) - len(raw) + 3 + 10
        assert raw not in shown


def test_a_secret_of_several_lines_is_found_line_by_line():
    shown, _ = both(
        ("".join(f"  | {line}\n" for line in KEY.splitlines())).encode(), forms_of([KEY]), rules=False
    )
    assert set(shown.splitlines()) == {b"  | ***"}


@pytest.mark.parametrize("secret", ["", "a", "abc", " abc \n"])
def test_a_secret_that_would_mask_everything_is_refused(secret):
    with pytest.raises(TooShort, match="at least 4 bytes"):
        forms_of([secret])
    for core in (_core, _pure):
        with pytest.raises(ValueError, match="empty"):
            core.Redactor([b""])


def test_secrets_that_overlap_are_both_hidden():
    assert both(b"-abcdefghi-", [b"abcdef", b"defghi"], rules=False) == (b"-***-", {"secret": 1})
    assert both(b"abcdabcd", [b"abcd"], rules=False) == (b"******", {"secret": 2})
    assert both(b"aaaaaaa", [b"aaaa", b"aa"], rules=False) == (b"***", {"secret": 1})


def test_what_can_be_no_secret_is_shown_at_once():
    for core in (_core, _pure):
        redactor = core.Redactor([b"secret-value"])
        assert redactor.feed(b"no secret") == b"no "
        assert redactor.feed(b"s here") == b"secrets here"
        redactor = core.Redactor([], RULES_OF[core])
        assert redactor.feed(b" 40%\r 50%") == b" 40%\r 50%"
        # Whether this is an assignment, only the rest of the line tells.
        assert redactor.feed(b"Password: ") == b"P"
        assert redactor.feed(b"\n") == b"assword: \n"


# However it is cut

pieces = st.one_of(
    st.sampled_from([rule.example.encode() for rule in RULES]),
    st.sampled_from([rule.leaves.encode() for rule in RULES]),
    st.sampled_from([line.encode() for line in (*LEFT_ALONE, *MASKED)]),
    st.sampled_from(
        [b"s3cr3t-value", b"s3cr3t-", b"value", b"-----BEGIN ", b"-----END RSA PRIVATE KEY-----"]
    ),
    st.sampled_from([b" ", b"\n", b"\r\n", b'"', b"=", b": ", b"x" * 20, b"MIIE" * 30, b"aB3dE5" * 1500]),
    st.binary(max_size=12),
    st.text(max_size=20).map(str.encode),
)
texts = st.lists(pieces, max_size=12).map(b"".join)
literals = st.lists(
    st.sampled_from(forms_of(["s3cr3t-value", "value"])) | st.binary(min_size=1, max_size=5), max_size=5
)


@examples(200)
@given(texts, literals, st.booleans(), st.lists(st.integers(0, 2000), max_size=20))
def test_how_the_text_is_cut_makes_no_difference(data, literals, rules, cuts):
    whole = both(data, literals, rules)
    assert both(data, literals, rules, sorted(min(cut, len(data)) for cut in cuts)) == whole


@examples(30)
@given(texts, literals, st.booleans())
def test_even_byte_by_byte(data, literals, rules):
    data = data[:3000]
    assert both(data, literals, rules, range(1, len(data))) == both(data, literals, rules)


@examples(200)
@given(texts, literals)
def test_nothing_of_a_known_value_is_left(data, literals):
    shown, counts = both(data, literals, rules=False)
    # What is masked is exactly the bytes of all matches.
    hidden = set()
    for literal in literals:
        for at in range(len(data)):
            if data.startswith(literal, at):
                hidden.update(range(at, at + len(literal)))
    left = bytes(byte for at, byte in enumerate(data) if at not in hidden)
    assert len(shown) == len(left) + 3 * counts.get("secret", 0)
    assert (shown == data) == (not hidden)


def test_random_text_with_planted_secrets():
    chance = random.Random(7)
    words = [b"build ok", b"GET /index.html 200", b"token refreshed", b"retry in 3s", b"eyJ", b"key: value"]
    secret = "Zq8-planted/secret=="
    for _ in range(30):
        lines = [chance.choice(words) for _ in range(200)]
        for form in forms_of([secret]):
            lines.insert(chance.randrange(len(lines)), b"<" + form + b">")
        data = b"\n".join(lines)
        cuts = sorted(chance.randrange(len(data)) for _ in range(40))
        shown, counts = both(data, forms_of([secret]), True, cuts)
        assert counts["secret"] >= len(forms_of([secret]))
        assert secret.encode() not in shown
