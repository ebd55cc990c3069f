#!/usr/bin/env bash
# rclone's Google Cloud Storage backend against devgcs.
. "$(dirname "$0")/lib.sh"
have "$TOOLS/py/bin/rclone"

export RCLONE_CONFIG=$work/rclone.conf RCLONE_RETRIES=1 RCLONE_LOW_LEVEL_RETRIES=2
cat >"$RCLONE_CONFIG" <<CONFIG
[dev]
type = google cloud storage
anonymous = true
endpoint = $DEVGCS/storage/v1/
bucket_policy_only = true
CONFIG
rclone() { timeout 60 "$TOOLS/py/bin/rclone" "$@"; }
remote=dev:$BUCKET/rclone

mkdir -p "$work/tree/deep/er"
payload 20000000 >"$work/tree/large"
payload 300000 >"$work/tree/deep/a b#?&ü"
payload 5 >"$work/tree/deep/er/five"
: >"$work/tree/empty"

copy() { rclone copy "$work/tree" "$remote/tree"; }
verify() {
    rclone check "$work/tree" "$remote/tree"
    rclone check --download "$work/tree" "$remote/tree"
}
back() {
    rclone copy "$remote/tree" "$work/back"
    diff -r "$work/tree" "$work/back"
}
rcat() {
    payload 3000000 | rclone rcat "$remote/rcat"
    rclone cat "$remote/rcat" | cmp - <(payload 3000000)
    payload 10 | rclone rcat "$remote/rcat-small"
    rclone cat "$remote/rcat-small" | cmp - <(payload 10)
}
ranges() { rclone cat --offset 1000000 --count 5000 "$remote/tree/large" | cmp - <(payload 1005000 | tail -c 5000); }
ls_all() {
    rclone lsf -R --files-only "$remote/tree" | LC_ALL=C sort >"$work/listed"
    (cd "$work/tree" && find . -type f -printf '%P\n' | LC_ALL=C sort) | diff "$work/listed" -
    [ "$(rclone size --json "$remote/tree" | grep -oE '"bytes":[0-9]+')" = '"bytes":20300005' ]
}
hashes() {
    rclone hashsum md5 "$remote/tree/large" | grep "^$(md5sum <"$work/tree/large" | cut -d' ' -f1)"
}
move() {
    rclone moveto "$remote/rcat" "$remote/moved"
    rclone cat "$remote/moved" | cmp - <(payload 3000000)
    [ -z "$(rclone lsf "$remote/rcat")" ]
}
delete() {
    rclone delete "$remote/tree/deep"
    [ "$(rclone lsf -R --files-only "$remote/tree" | wc -l)" = 2 ]
    rclone purge "$remote/tree"
    [ -z "$(rclone lsf -R "$remote/tree")" ]
}
from_gcsd() {
    payload 7000001 | "$GCSD" put - "gs://$BUCKET/rclone/gcsd"
    rclone cat "$remote/gcsd" | cmp - <(payload 7000001)
}
to_gcsd() {
    rclone copyto "$work/tree/large" "$remote/for-gcsd"
    "$GCSD" get "gs://$BUCKET/rclone/for-gcsd" - | cmp - "$work/tree/large"
}

check "copy a tree, its large file resumable" copy
check "check: checksums and bytes" verify
check "copy a tree back" back
check "rcat and cat" rcat
check "cat a range" ranges
check "lsf and size" ls_all
check "hashsum md5" hashes
check "moveto on the server" move
check "delete and purge" delete
check "reads what gcsd wrote" from_gcsd
check "writes what gcsd reads" to_gcsd
finish
