#!/usr/bin/env bash
# gcp-storage-emulator, by others, behind the daemon. It can show a status query once something is persisted, and an
# upload that goes on after a broken PUT. It cannot show a query before that, or bytes that are sent twice.
. "$(dirname "$0")/lib.sh"
have "$TOOLS/py/bin/gcp-storage-emulator" curl nc

port=$(free_ports 1)
url=http://127.0.0.1:$port
start server "$TOOLS/py/bin/gcp-storage-emulator" start --host 127.0.0.1 --port "$port" --in-memory -q
wait_for 30 make_bucket "$url" >/dev/null 2>&1
daemon daemon --anonymous --endpoint "$url" || exit 1

# The first range is whole; the second breaks off within its body; another connection goes on.
resumed() {
    local token committed
    payload 3000001 >"$work/whole"
    {
        "$GCSD" encode start-upload "gs://$BUCKET/resumed"
        "$GCSD" encode write-at sequence=90 body="@$work/whole" body_len=1048576
        tail -c +1048577 "$work/whole" | "$GCSD" encode write-at offset=1048576 body=@- last | head -c 700000
    } | say >"$work/answer" || true
    cat "$work/answer"
    token=$(field token <"$work/answer")
    [ "$(field status <"$work/answer")" = body_truncated ]
    {
        "$GCSD" encode attach-upload --token "$token"
        "$GCSD" encode query-upload
    } | say >"$work/answer"
    cat "$work/answer"
    committed=$(field committed <"$work/answer")
    ((committed >= 1048576 && committed <= 1748576))
    {
        "$GCSD" encode attach-upload --token "$token"
        "$GCSD" encode query-upload
        tail -c +$((committed + 1)) "$work/whole" | "$GCSD" encode write-at offset="$committed" body=@- last
    } | say >"$work/answer"
    cat "$work/answer"
    "$GCSD" get "gs://$BUCKET/resumed" - | cmp - "$work/whole"
    fetch "$url" resumed | cmp - "$work/whole"
}

check "sizes and names, written and read" round_trips "$url"
check "an upload goes on after a broken PUT" resumed
finish
