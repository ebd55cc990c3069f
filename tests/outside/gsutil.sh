#!/usr/bin/env bash
# gsutil against devgcs. Its JSON API speaks nothing but https, so devgcs runs with --tls.
. "$(dirname "$0")/lib.sh"
have "$TOOLS/py/bin/gsutil"

start devgcs "$GCSD" devgcs --tls="$work" --listen 127.0.0.1:0 --bucket "$BUCKET"
host=$(address devgcs) || exit 1
daemon daemon --endpoint "https://$host" --anonymous --ca-file "$work/ca.pem" || exit 1

export BOTO_CONFIG=$work/boto
cat >"$BOTO_CONFIG" <<CONFIG
[Credentials]
gs_json_host = ${host%:*}
gs_json_port = ${host#*:}
[Boto]
ca_certificates_file = $work/ca.pem
num_retries = 2
[GSUtil]
prefer_api = json
default_project_id = outside
resumable_threshold = 1048576
json_resumable_chunk_size = 262144
state_dir = $work/state
software_update_check_period = 0
CONFIG
gsutil() { timeout 60 "$TOOLS/py/bin/gsutil" "$@"; }
remote=gs://$BUCKET/gsutil

payload 5000000 >"$work/large"
payload 1000 >"$work/small"
: >"$work/empty"

cp_file() {
    local size
    for size in empty small large; do
        gsutil cp "$work/$size" "$remote/$size"
        gsutil cp "$remote/$size" "$work/back"
        cmp "$work/$size" "$work/back"
    done
}
cp_stream() {
    payload 3000000 | gsutil cp - "$remote/stream"
    gsutil cp "$remote/stream" - | cmp - <(payload 3000000)
}
cat_range() { gsutil cat -r 1000000-1004999 "$remote/large" | cmp - <(payload 1005000 | tail -c 5000); }
ls_all() {
    gsutil ls "$remote/" | diff - <(printf "$remote/%s\n" empty large small stream)
    gsutil ls -l "$remote/large" | grep -E '^ *5000000 .*'"$remote/large"
    gsutil ls gs:// | grep -x "gs://$BUCKET/"
    gsutil du -s "gs://$BUCKET/gsutil" | grep '^8001000 '
}
stat_object() {
    gsutil stat "$remote/large" >"$work/stat"
    grep -qE 'Content-Length: +5000000$' "$work/stat"
    grep -qF "$(crc32c "$work/large")" "$work/stat"
    grep -qF "$(openssl md5 -binary "$work/large" | base64)" "$work/stat"
    fails gsutil -q stat "$remote/none"
}
compose() {
    gsutil compose "$remote/small" "$remote/large" "$remote/composed"
    gsutil cat "$remote/composed" | cmp - <(cat "$work/small" "$work/large")
}
# The first attempt is halted half way by gsutil's own test handler, the second finds its tracker file.
resumed() {
    "$TOOLS/py/bin/python" - "$work/halt" <<'PYTHON'
import pickle, sys
from gslib.tests.util import HaltingCopyCallbackHandler
with open(sys.argv[1], "wb") as out:
    pickle.dump(HaltingCopyCallbackHandler(True, 2 * 1024 * 1024), out)
PYTHON
    fails gsutil cp --testcallbackfile "$work/halt" "$work/large" "$remote/resumed"
    fails gsutil -q stat "$remote/resumed"
    gsutil cp "$work/large" "$remote/resumed" 2>&1 | grep 'Resuming upload'
    gsutil cat "$remote/resumed" | cmp - "$work/large"
}
metadata() {
    gsutil setmeta -h 'Content-Type:text/x-set' -h 'x-goog-meta-colour:blue' "$remote/small"
    gsutil stat "$remote/small" >"$work/stat"
    grep -q 'text/x-set' "$work/stat"
    grep -qE 'colour: +blue' "$work/stat"
}
copies() {
    gsutil cp "$remote/large" "$remote/copied"
    gsutil mv "$remote/copied" "$remote/moved"
    gsutil cat "$remote/moved" | cmp - "$work/large"
    fails gsutil -q stat "$remote/copied"
}
rm_objects() {
    gsutil rm "$remote/moved"
    fails gsutil -q stat "$remote/moved"
    gsutil -m rm -r "$remote"
    fails gsutil ls "$remote/"
}
from_gcsd() {
    payload 7000001 | "$GCSD" put - "$remote/gcsd"
    gsutil cat "$remote/gcsd" | cmp - <(payload 7000001)
    gsutil hash -c "$work/large" >/dev/null
}
to_gcsd() {
    gsutil cp "$work/large" "$remote/for-gcsd"
    "$GCSD" get "$remote/for-gcsd" - | cmp - "$work/large"
}

check "cp, in one request and resumable, and back" cp_file
check "cp - : a stream of unknown size, and back" cp_stream
check "cat -r" cat_range
check "ls, ls -l, du" ls_all
check "stat: size, crc32c, md5" stat_object
check "compose" compose
check "a cp that was interrupted resumes" resumed
check "setmeta" metadata
check "cp and mv on the server" copies
check "rm, rm -r" rm_objects
check "reads what gcsd wrote" from_gcsd
check "writes what gcsd reads" to_gcsd
finish
