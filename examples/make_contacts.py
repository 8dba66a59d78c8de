"""Print contacts as NDJSON: always the same ones. ``python make_contacts.py 100000 > contacts.ndjson``."""

import json
import random
import sys

FIRST = [
    "Ada",
    "Alan",
    "Barbara",
    "Dennis",
    "Edsger",
    "Frances",
    "Grace",
    "John",
    "Ken",
    "Margaret",
    "Niklaus",
    "Radia",
]
LAST = [
    "Allen",
    "Dijkstra",
    "Hamilton",
    "Hopper",
    "Liskov",
    "Lovelace",
    "McCarthy",
    "Perlman",
    "Ritchie",
    "Turing",
]
COMPANIES = [
    "Acme",
    "Globex",
    "Hooli",
    "Initech",
    "Stark Industries",
    "Umbrella",
    "Vehement",
    "Wayne Enterprises",
]


def main() -> None:
    """Print as many contacts as the first argument says."""
    draw = random.Random(42)  # noqa: S311 - data for a demonstration
    weights = [1 / rank for rank in range(1, len(COMPANIES) + 1)]
    for number in range(1, int(sys.argv[1]) + 1):
        first, last = draw.choice(FIRST), draw.choice(LAST)
        company = draw.choices(COMPANIES, weights)[0]
        contact = {
            "id": str(number),
            "source": "hubspot",
            "type": "contact",
            "firstName": first,
            "lastName": last,
            "email": f"{first}.{last}.{number}@example.com".lower(),
            "company": company,
        }
        sys.stdout.write(json.dumps(contact, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
