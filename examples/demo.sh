#!/usr/bin/env bash
# The main job, on 100,000 contacts: stage them through a pipe, hand them over by token, slice, list,
# inspect and remove them. `make demo` runs it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
[ -z "${NO_COLOR:-}" ] && [ -t 1 ] || say() { printf '\n$ %s\n' "$*"; }

say max --version
max --version

say max init
max init

say 'TOKEN=$(python make_contacts.py 100000 | max stage)'
TOKEN=$(python "$here/make_contacts.py" 100000 | max stage)
echo "$TOKEN"

say 'max stage list'
max stage list

say "max stage info $TOKEN"
max stage info "$TOKEN"

# What an agent is told is the token; what it runs is this, in a process of its own.
if command -v jq >/dev/null; then
    say "max retrieve $TOKEN | jq -r .company | sort | uniq -c | sort -rn | head -3"
    max retrieve "$TOKEN" | jq -r .company | sort | uniq -c | sort -rn | head -3
else
    say "max retrieve $TOKEN | (count the companies in Python)"
    max retrieve "$TOKEN" | python -c '
import collections, json, sys
for company, count in collections.Counter(json.loads(line)["company"] for line in sys.stdin).most_common(3):
    print(f"{count:7} {company}")'
fi

say "max retrieve $TOKEN --lines 40000:40001"
max retrieve "$TOKEN" --lines 40000:40001

say "max retrieve $TOKEN | max stage --split 4 --compress --label job=demo"
max retrieve "$TOKEN" | max stage --split 4 --compress --label job=demo

say 'max stage list --label job=demo'
max stage list --label job=demo

say 'max stage verify'
max stage verify

say "max unstage $TOKEN"
max unstage "$TOKEN"

say 'max unstage --all --yes'
max unstage --all --yes

count=$(python "$here/make_contacts.py" 100000 | max stage | xargs max retrieve | wc -l)
[ "$count" -eq 100000 ] || { echo "expected 100000 records back, got $count" >&2; exit 1; }
printf '\n100,000 records staged, handed over and counted.\n'
