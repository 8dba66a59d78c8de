"""What a credential looks like: the table of named rules. Both backends are given this one.

A rule begins where a fixed text stands, its anchor, so that text without one costs no more than the search for it.
From there `lead` and then `secret` are matched: as regular expressions of bytes, without looking around or back, so
that both backends match the same. None of them may match a line end but where `block` says so.

They were compared with those of gitleaks and detect-secrets, and differ in this: what is masked is output that
somebody has to work with, so a rule needs a form that only a credential has, or an assignment of a literal that looks
random (`looks_random` in ``rust/src/redact/rules.rs``). Code that takes a key from a variable has neither.
"""

from maxstage._backend import core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Rule:
    """A rule.

    Attributes:
        name: What is counted under it. Several rules may share one.
        anchors: Where to look: one of these texts. No anchor of the table may begin with another one.
        secret: Matches the secret.
        doc: What it is, in a few words.
        example: A text in which it finds something.
        leaves: A text like it that is left alone.
        lead: Matches from the anchor to where the secret begins; empty: it begins with the anchor.
        before: What stands right before the anchor, in lower case, any of these, of 16 bytes at most; none: anything.
        edge: Whether the anchor must begin a word.
        tail: Bytes at the end of what `secret` matches that are none of it.
        check: What else must hold of the secret: ``any``, nothing; ``mixed``, it has two of small letters, capitals
            and digits; ``literal``, it does not begin as a template does; ``value``, it looks random, and like no code.
        block: Whether it reaches over line ends: 16 KiB at most, and 8 KiB of one line else.
    """

    __slots__ = (
        "anchors",
        "before",
        "block",
        "check",
        "doc",
        "edge",
        "example",
        "lead",
        "leaves",
        "name",
        "secret",
        "tail",
    )

    def __init__(
        self,
        name: str,
        anchors: str,
        secret: str,
        doc: str,
        *,
        example: str,
        leaves: str,
        lead: str = "",
        before: "Sequence[str]" = (),
        edge: bool = True,
        tail: int = 0,
        check: str = "any",
        block: bool = False,
    ) -> None:
        self.name = name
        self.anchors = anchors.split("|")
        self.before = list(before)
        self.edge = edge
        self.lead = lead
        self.secret = secret
        self.tail = tail
        self.check = check
        self.block = block
        self.doc = doc
        self.example = example
        self.leaves = leaves

    @property
    def row(self) -> tuple[str, list[str], list[str], bool, str, str, int, str, bool]:
        """What the core takes."""
        return (
            self.name,
            self.anchors,
            self.before,
            self.edge,
            self.lead,
            self.secret,
            self.tail,
            self.check,
            self.block,
        )


_WORD = "[A-Za-z0-9_-]"

# An assignment: the rest of the name, and what stands between it and the value. Names that go on otherwise
# (`token_type`, `password_file`, `max_tokens`) hold no secret.
_SUFFIX = r"(?i:(?:[_-]?(?:key|value|prod|production|staging|dev|test|live|[0-9]{1,3}))?)"
_ASSIGNED = _SUFFIX + r"(?:\\?[\"'])?\]?\s*(?::\s*[A-Za-z]{1,12}\s*=|:=|=>|=|:)\s*"
_QUOTED = r"[^\s\"'`<>{}\\]{8,}"
_BARE = r"[A-Za-z0-9_+/~^@!%#?*.-][^\s\"'`<>{}()\[\],;&|=\\]{7,}={0,2}"

_KEYS = (
    "api",
    "access",
    "account",
    "auth",
    "encryption",
    "master",
    "private",
    "service",
    "shared",
    "signing",
    "storage",
)
"""Keys of this kind are credentials; others are those of maps, tables and caches."""


def _assignments() -> list[Rule]:
    """Return the rules for values that are assigned: for each name, quoted ones and bare ones."""
    names: tuple[tuple[str, str, Sequence[str], str], ...] = (
        ("assw|ASSW", "(?i:assw(?:or)?d)", ("p",), "db_password"),
        ("assphrase|ASSPHRASE", "(?i:assphrase)", ("p",), "PASSPHRASE"),
        ("_pass|_PASS", "(?i:_pass)", (), "MYSQL_PASS"),
        ("pwd|Pwd|PWD", "(?i:pwd)", (), "Pwd"),
        ("ecret|ECRET", "(?i:ecret)", ("s",), "client_secret"),
        ("oken|OKEN", "(?i:oken)", ("t",), "token"),
        ("_key|-key|-Key|_KEY|-KEY|Key", "(?i:[_-]?key)", _KEYS, "api_key"),
        ("ikey|IKEY", "(?i:ikey)", ("ap",), "APIKEY"),
    )
    rules = []
    for anchors, name, before, example in names:
        common = {
            "doc": "a password, secret, token or key that is assigned a literal that looks random",
            "before": before,
            "edge": False,
            "check": "value",
        }
        rules.append(
            Rule(
                "assignment",
                anchors,
                _QUOTED,
                lead=name + _ASSIGNED + r"\\?[\"'`]",
                example=f'{example}: "q7Rv2LmX9aTz"',
                leaves=f'{example} = config["q7Rv2LmX9aTz"]',
                **common,  # type: ignore[arg-type]
            )
        )
        rules.append(
            Rule(
                "assignment",
                anchors,
                _BARE,
                lead=name + _ASSIGNED,
                example=f"{example}=q7Rv2LmX9aTz",
                leaves=f"{example}=get_q7Rv2LmX9aTz()",
                **common,  # type: ignore[arg-type]
            )
        )
    return rules


RULES = (
    Rule(
        "private-key",
        "-----BEGIN ",
        r"-----BEGIN [ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:-{0,4}[^-])*-----END [ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:[\r\n]+[A-Z][A-Za-z-]*: [^\r\n]*)*(?:(?:\\[nr]|[\s\"',>|])+[A-Za-z0-9+/=]{16,})+)",
        "a private key in PEM, from BEGIN to END; of one without an END, as much as is base64",
        example="-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7cK\nx0=\n-----END RSA PRIVATE KEY-----",
        leaves="-----BEGIN PRIVATE KEY----- was expected, but there is a certificate",
        edge=False,
        block=True,
    ),
    Rule(
        "aws-access-key-id",
        "AKIA|ASIA|ABIA|ACCA",
        "A[A-Z]{3}[A-Z2-7]{16}",
        "the id of an AWS access key",
        example="AKIAQYLPMN5HXR2KTWZB",
        leaves="AKIA is how they begin",
    ),
    Rule(
        "aws-secret-key",
        "ecret|ECRET",
        "[A-Za-z0-9/+=]{40}",
        "the secret of an AWS access key, where it is assigned",
        lead=r"(?i:ecret[_-]?access[_-]?key)" + _ASSIGNED + r"(?:\\?[\"'`])?",
        before=("s",),
        edge=False,
        example="aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY",
        leaves='aws_secret_access_key = os.environ["AWS_SECRET_ACCESS_KEY"]',
        check="mixed",
    ),
    Rule(
        "github-token",
        "ghp_|gho_|ghu_|ghs_|ghr_",
        "gh[pousr]_[A-Za-z0-9]{36,}",
        "a token of GitHub",
        example="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",
        leaves="ghp_token_of_the_user_that_runs_the_workflow",
    ),
    Rule(
        "github-token",
        "github_pat_",
        "github_pat_[A-Za-z0-9_]{36,}",
        "a token of GitHub",
        example="github_pat_11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789",
        leaves="github_pat_expiry_days",
    ),
    Rule(
        "gitlab-token",
        "glpat-|glrt-|gldt-|glptt-",
        f"gl(?:pat|rt|dt|ptt)-{_WORD}{{20,}}(?:\\.[0-9a-z]{{2,}})*",
        "a token of GitLab",
        example="glpat-x7Kd9mQ2pL5vR8tW1zY4",
        leaves="glpat-example",
    ),
    Rule(
        "slack-token",
        "xox",
        r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}",
        "a token of Slack",
        example="xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOp",
        leaves="xoxb-token",
    ),
    Rule(
        "slack-token",
        "xapp-",
        r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
        "a token of Slack",
        example="xapp-1-A0123456789-1234567890123-abcdef0123456789",
        leaves="xapp-name-of-my-package",
    ),
    Rule(
        "slack-webhook",
        "hooks.slack.com/services/",
        "[A-Za-z0-9/_-]{20,}",
        "the address of a webhook of Slack",
        lead="hooks\\.slack\\.com/services/",
        example="https://hooks.slack.com/services/T0123456/B0123456/abcdefghijklmnopqrstuvwx",
        leaves="https://hooks.slack.com/services/ is where webhooks are",
        edge=False,
    ),
    Rule(
        "stripe-key",
        "sk_live_|rk_live_|sk_test_|rk_test_",
        "[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",
        "a key of Stripe",
        example="sk_live_4eC39HqLyjWDarjtT1zdp7dc",
        leaves="sk_live_mode_is_on",
    ),
    Rule(
        "anthropic-key",
        "sk-",
        f"sk-ant-[a-z0-9]{{2,12}}-{_WORD}{{24,}}",
        "a key of Anthropic",
        example="sk-ant-api03-Zk3vQ8mL1xW7pR5tY9nB2cD4fG6hJ0kA",
        leaves="sk-ant-api03-KEY",
    ),
    Rule(
        "openai-key",
        "sk-",
        f"sk-(?:(?:proj|svcacct|admin|or-v1)-{_WORD}{{20,}}|[A-Za-z0-9]{{32,}})",
        "a key of OpenAI, or of a service that took over its form",
        example="sk-proj-aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY",
        leaves='<div class="sk-fading-circle sk-circle12">',
        check="mixed",
    ),
    Rule(
        "google-key",
        "AIza",
        f"AIza{_WORD}{{35,}}",
        "an API key of Google",
        example="AIzaSyB-3kLmNoPqRsTuVwXyZ0123456789abcd",
        leaves="AIzawa",
    ),
    Rule(
        "npm-token",
        "npm_",
        "npm_[A-Za-z0-9]{36,}",
        "a token of npm",
        example="npm_aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5",
        leaves="npm_config_registry_of_the_whole_company_network",
    ),
    Rule(
        "pypi-token",
        "pypi-",
        f"pypi-AgE{_WORD}{{50,}}",
        "a token of PyPI",
        example="pypi-AgEIcHlwaS5vcmcCJDk0YzQ1NmU3LWFiY2QtNGVmMC05YWJjLWRlZjAxMjM0NTY3OAACKlsz",
        leaves="pypi-AgEing-packages",
    ),
    Rule(
        "huggingface-token",
        "hf_",
        "hf_[A-Za-z0-9]{34,}",
        "a token of Hugging Face",
        example="hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh",
        leaves="hf_hub_download_of_a_model_with_many_files",
    ),
    Rule(
        "jwt",
        "eyJ",
        rf"eyJ{_WORD}{{10,}}\.{_WORD}{{10,}}\.{_WORD}{{10,}}(?:\.{_WORD}*)*",
        "a JSON Web Token",
        example="eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        leaves="eyJhbGciOiJIUzI1NiJ9 is base64 of JSON",
    ),
    Rule(
        "authorization",
        "uthorization|UTHORIZATION",
        r"[A-Za-z0-9+/=_.~-]{8,}",
        "the credentials of an Authorization header",
        lead=r"(?i:uthorization)(?:\\?[\"'])?\]?\s*[:=]\s*(?:\\?[\"'`])?(?i:bearer|basic|token|bot|apikey)\s+",
        before=("a",),
        edge=False,
        example="Authorization: Basic dXNlcjpwYXNzd29yZA==",
        leaves="Authorization: Bearer YOUR_TOKEN",
        check="mixed",
    ),
    Rule(
        "url-password",
        "://",
        r"[^\s/\"'<>?#]+@",
        "the password in a URL; the rest of the URL stays",
        lead=r"://[^\s:/@\"'<>?#]*:",
        example="postgres://app:s3cretpw@db.example.com/main",
        leaves="postgres://app:${DB_PASSWORD}@db.example.com:5432/main",
        edge=False,
        tail=1,
        check="literal",
    ),
    *_assignments(),
)
"""All rules. Where two find the same, the first is counted."""

_compiled: list[core.RedactionRules] = []


def compiled() -> core.RedactionRules:
    """Return the table as the core matches it; made once, since that takes a millisecond."""
    if not _compiled:
        _compiled.append(core.RedactionRules([rule.row for rule in RULES]))
    return _compiled[0]
