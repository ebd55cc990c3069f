# Shared by the scripts here; sourced. Each runs a suite of others, unmodified, from a checkout whose path it is given, against
# `gcsd devgcs`; docs/devgcs.md has the counts of the last run.
#
# GCSD is the binary (target/debug/gcsd). What the suite itself needs must be installed; each script says what that is.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
export GCSD=${GCSD:-$root/target/debug/gcsd}
[ -x "$GCSD" ] || { echo "$GCSD is not there: cargo build" >&2; exit 2; }
checkout=${1:?the path of a checkout}
shift
checkout=$(cd "$checkout" && pwd)
TESTBENCH_STATE=$(mktemp -d)
export TESTBENCH_STATE

# The suites call `docker`: ours is found first.
export PATH=$here:$PATH
leave() {
    "$here/docker" stop
    rm -rf "$TESTBENCH_STATE"
}
trap leave EXIT
trap 'exit 143' INT TERM

# free_port: one that nobody listens on.
free_port() {
    python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])'
}
