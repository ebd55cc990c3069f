#!/usr/bin/env bash
# Conversations with the daemon by netcat: those that README.md prints, and longer ones.
. "$(dirname "$0")/lib.sh"
have nc xxd "$TOOLS/py/bin/python"

readme=$here/../../README.md

# as_printed MARK: runs that block against a daemon of its own.
as_printed() {
    local code
    code=$(block "$readme" "$1")
    [ -n "$code" ]
    # shellcheck disable=SC2001
    code=$(sed "s/nc -N 127.0.0.1 4743/timeout 30 nc -N ${GCSD_CONNECT/:/ }/" <<<"$code")
    gcsd() { "$GCSD" "$@"; }
    eval "$code"
}

readme_ping() {
    as_printed "printf 'GCS?" >"$work/answer"
    diff "$work/answer" <(block "$readme" '00000000: 4743 5321')
}
readme_upload() {
    as_printed 'gcsd encode start-upload' >"$work/answer"
    cat "$work/answer"
    [ "$("$GCSD" get gs://demo/hello.txt -)" = 'hello, world' ]
}

# The same through a Unix socket.
over_unix() {
    start unix env -u GCSD_CONNECT "$GCSD" serve --listen 127.0.0.1:0 --listen "unix:$work/socket" \
        --state-dir "$work/state" --endpoint "$DEVGCS" --anonymous
    wait_for 20 test -S "$work/socket"
    {
        "$GCSD" encode start-upload upload=1 "gs://$BUCKET/unix"
        "$GCSD" encode write-at upload=1 sequence=2 text=hello last
    } | timeout 60 nc -N -U "$work/socket" | "$GCSD" decode --json >"$work/answer"
    cat "$work/answer"
    [ "$(grep -c '"status":"ok"' "$work/answer")" = 2 ]
    [ "$("$GCSD" cat --connect "unix:$work/socket" "gs://$BUCKET/unix")" = hello ]
}

# Three ranges and a finish, sent without waiting for any answer, then read back the same way.
pipelined() {
    payload 3000001 >"$work/whole"
    {
        "$GCSD" encode start-upload gs://demo/ranges sequence=1
        "$GCSD" encode write-at sequence=2 offset=0 body="@$work/whole" body_len=1048576
        dd if="$work/whole" bs=1048576 skip=1 count=1 status=none | "$GCSD" encode write-at sequence=3 offset=1048576 body=@-
        tail -c +2097153 "$work/whole" | "$GCSD" encode write-at sequence=4 offset=2097152 body=@- last
        "$GCSD" encode query-upload sequence=5
    } | say >"$work/answer"
    cat "$work/answer"
    [ "$(grep -c '"status":"ok"' "$work/answer")" = 5 ]
    [ "$(field committed <"$work/answer")" = 3000001 ]
    [ "$(field crc32c <"$work/answer")" = "$(crc32c "$work/whole")" ]
    "$GCSD" encode read-at gs://demo/ranges | say --body "$work/read"
    cmp "$work/whole" "$work/read"
}

# The connection ends in the middle of a body; another one goes on from what was committed.
resumed() {
    local token committed
    payload 3000001 >"$work/whole"
    {
        "$GCSD" encode start-upload gs://demo/resumed
        "$GCSD" encode write-at body="@$work/whole" last | head -c 1500000
    } | say >"$work/answer" || true
    token=$(field token <"$work/answer")
    [ "$(field status <"$work/answer")" = body_truncated ]
    {
        "$GCSD" encode attach-upload --token "$token"
        "$GCSD" encode query-upload
    } | say >"$work/answer"
    committed=$(field committed <"$work/answer")
    ((committed % 262144 == 0 && committed <= 1500000))
    {
        "$GCSD" encode attach-upload --token "$token"
        "$GCSD" encode query-upload
        tail -c +$((committed + 1)) "$work/whole" | "$GCSD" encode write-at offset="$committed" body=@- last
    } | say >"$work/answer"
    [ "$(field crc32c <"$work/answer")" = "$(crc32c "$work/whole")" ]
    "$GCSD" get gs://demo/resumed - | cmp - "$work/whole"
}

# What is not the protocol gets one answer, and the end.
nonsense() {
    printf 'what is this? %60s' '' | say >"$work/answer" || true
    cat "$work/answer"
    [ "$(field status <"$work/answer")" = bad_head ]
    grep '"sequence":0,.*"closing":true' "$work/answer"
    "$GCSD" encode ping echo=still-here | say | grep still-here
}

daemon serve --embedded || exit 1
check "the README's Ping, as printed" readme_ping
check "the README's upload, as printed" readme_upload
check "the same through a Unix socket" over_unix
check "encode | nc | decode: pipelined ranges, read back" pipelined
check "an upload cut in a body goes on over another connection" resumed
check "nonsense gets one answer, and harms nobody" nonsense
finish
