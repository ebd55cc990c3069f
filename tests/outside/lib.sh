# Shared by the outside tests written for bash; sourced. The runner sets:
#
#   GCSD     the binary            DEVGCS   the URL of a fresh devgcs       GCSD_CONNECT  a daemon in front of it
#   TOOLS    what .ci/run installs: py/ (a venv) and js/ (node_modules)     BUCKET        a bucket that exists there
#
# A test prints one line for each thing that it shows: "ok WHAT", "not ok WHAT", "skipped WHAT".
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
: >"$work/started"

# Ends what was started, within a check or outside.
stop_all() {
    local id
    while read -r id; do stop "$id"; done <"$work/started"
    : >"$work/started"
}

leave() {
    trap - EXIT
    stop_all
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 143' INT TERM

# stop ID: asks a process to end, and after five seconds makes it.
stop() {
    kill "$1" 2>/dev/null
    wait_for 5 ended "$1" || kill -KILL "$1" 2>/dev/null
    wait "$1" 2>/dev/null
}

ended() { ! kill -0 "$1" 2>/dev/null || [[ $(ps -o stat= -p "$1") == Z* ]]; }

# start LOG COMMAND...: runs it in the background with its output in $work/LOG; its id is $!.
start() {
    local log=$work/$1
    shift
    # Now, and not when the background has come so far: nobody may read what an earlier process said.
    : >"$log"
    "$@" </dev/null >"$log" 2>&1 &
    echo $! >>"$work/started"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.05
    done
}

listens='listens[^0-9]*(127\.0\.0\.1:[1-9][0-9]*)'

# address LOG: where a process started with port 0 says that it listens.
address() {
    if ! wait_for 20 grep -qE "$listens" "$work/$1"; then
        echo "nothing says that it listens:" >&2
        cat "$work/$1" >&2
        return 1
    fi
    [[ $(<"$work/$1") =~ $listens ]] && echo "${BASH_REMATCH[1]}"
}

# free_ports N: ports that nobody listens on, for a program that cannot take port 0.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in held))
PYTHON
}

# daemon LOG ARGUMENT...: starts `gcsd serve` and points gcsd's client commands at it.
daemon() {
    local log=$1
    shift
    start "$log" env -u GCSD_CONNECT "$GCSD" serve --listen 127.0.0.1:0 --state-dir "$work/state" "$@"
    GCSD_CONNECT=$(address "$log") || return 1
    export GCSD_CONNECT
}

# say [OPTION...]: sends the request bytes on standard input to the daemon, shows its replies as JSON lines.
say() { timeout 60 nc -N "${GCSD_CONNECT%:*}" "${GCSD_CONNECT#*:}" | "$GCSD" decode --json --show-token "$@"; }

# field NAME: the last value of a field in such lines.
field() { grep -oE "\"$1\": *(\"[^\"]*\"|[a-z0-9]+)" | tail -n 1 | sed -E 's/^[^:]*: *"?([^"]*)"?$/\1/'; }

# payload SIZE: that many bytes, the same in every run.
payload() { head -c "$1" < <(openssl enc -aes-128-ctr -pass pass:gcsd -nosalt -md sha256 </dev/zero 2>/dev/null); }

# round_trips URL: objects of many sizes, put through the daemon, are the same when they are read through it, and
# when they are read from the server at URL itself.
round_trips() {
    local size name
    for size in 0 1 262143 262144 262145 5000001; do
        name="dir/of $size#?ü"
        payload "$size" >"$work/sent"
        "$GCSD" put "$work/sent" "gs://$BUCKET/$name"
        "$GCSD" put - "gs://$BUCKET/piped/$size" <"$work/sent"
        "$GCSD" get "gs://$BUCKET/$name" "$work/got"
        cmp "$work/sent" "$work/got"
        fetch "$1" "$name" >"$work/fetched"
        cmp "$work/sent" "$work/fetched"
        fetch "$1" "piped/$size" >"$work/fetched"
        cmp "$work/sent" "$work/fetched"
        [ "$("$GCSD" stat --json "gs://$BUCKET/$name" | field crc32c)" = "$(crc32c "$work/sent")" ]
    done
    "$GCSD" get "gs://$BUCKET/$name" - --range 262140-262150 | cmp - <(payload 262151 | tail -c 11)
    "$GCSD" get "gs://$BUCKET/$name" - --range=-3 | cmp - <(tail -c 3 "$work/sent")
}

# fetch URL OBJECT: its bytes, from the server itself.
fetch() {
    local name
    name=$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$2")
    curl -sS --fail --max-time 30 "${curl_options[@]}" "$1/storage/v1/b/$BUCKET/o/$name?alt=media"
}
curl_options=()

# make_bucket URL: creates $BUCKET there.
make_bucket() {
    curl -sS --fail --max-time 10 "${curl_options[@]}" -H 'content-type: application/json' \
        -d "{\"name\":\"$BUCKET\"}" "$1/storage/v1/b?project=outside"
}

# block FILE MARK: the first code block of a Markdown file that holds MARK.
block() {
    awk -v mark="$2" '
        /^```/ { if (inside && index(text, mark)) { printf "%s", text; exit } inside = !inside; text = ""; next }
        inside { text = text $0 "\n" }' "$1"
}

# crc32c FILE: GCS's notation of the checksum.
crc32c() {
    "$TOOLS/py/bin/python" -c 'import base64, google_crc32c, sys
print(base64.b64encode(google_crc32c.Checksum(open(sys.argv[1], "rb").read()).digest()).decode())' "$1"
}

# check WHAT COMMAND...: one result; what the command did is shown where it failed.
failures=0
check() {
    local what=$1 log=$work/check.log
    shift
    (
        set -ex
        "$@"
    ) >"$log" 2>&1
    if [ $? = 0 ]; then
        echo "ok $what"
    else
        failures=$((failures + 1))
        tail -n 40 "$log" | sed 's/^/# /'
        echo "not ok $what"
    fi
}

# fails COMMAND...: the command must not succeed. (`! command` would not end a function under `set -e`.)
fails() { if "$@"; then return 1; fi; }

# finish: the test's exit code, as its last line.
finish() { exit $((failures > 0)); }

# have TOOL...: the tools of this test, or the test is skipped.
have() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null && continue
        echo "skipped $(basename "$0"): $tool is not installed"
        exit 0
    done
}
