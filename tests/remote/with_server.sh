#!/usr/bin/env bash
# Runs a command with a real S3 server beside it, which ends with it; where none can be installed, says so and succeeds.
#
#   with_server.sh COMMAND ARG...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

packages=(radosgw ceph-mon ceph-osd ceph-common curl openssl)
if ! command -v radosgw ceph-mon ceph-osd >/dev/null && [[ $(id -u) = 0 ]] && command -v apt-get >/dev/null; then
    # A list that is out of date may name packages that are gone.
    { timeout 60 apt-get -qq update && DEBIAN_FRONTEND=noninteractive timeout 300 \
        apt-get -qq install --yes --no-install-recommends "${packages[@]}"; } >/dev/null 2>&1 || true
fi
for program in radosgw ceph-mon ceph-osd; do
    if ! command -v "$program" >/dev/null; then
        echo "SKIPPED: the tests with a real S3 server: $program is not installed (apt-get install ${packages[*]})"
        exit 0
    fi
done

RGW_DIR=$(mktemp -d)/rgw
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
RGW_PORT=${RGW_PORT:-$(free_port)}
RGW_MON_PORT=${RGW_MON_PORT:-$(free_port)}
export RGW_DIR RGW_PORT RGW_MON_PORT
finish() {
    "$here/rgw.sh" stop
    rmdir "$(dirname "$RGW_DIR")" 2>/dev/null || true
}
trap finish EXIT
environment=$("$here/rgw.sh" start)
eval "$environment"
export MAXSTAGE_REMOTE=1
"$@"
