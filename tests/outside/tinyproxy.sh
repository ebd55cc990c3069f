#!/usr/bin/env bash
# The daemon behind a real HTTP proxy, tinyproxy: bytes, access tokens, and what is said when the proxy refuses.
PATH=$PATH:/usr/sbin
. "$(dirname "$0")/lib.sh"
have tinyproxy python3 ip

# Proxies are not asked for loopback: the servers listen on another address of this machine.
here_ip=$(ip -4 -o address show scope global | sed -nE '1s/.* inet ([0-9.]+).*/\1/p')
if [ -z "$here_ip" ]; then
    echo "skipped tinyproxy.sh: this machine has no address but loopback"
    exit 0
fi
unset HTTPS_PROXY HTTP_PROXY ALL_PROXY NO_PROXY https_proxy http_proxy all_proxy no_proxy
read -r proxy_port dead_port < <(free_ports 2)

# A devgcs that speaks https, one that speaks http, and a server of tokens.
start https "$GCSD" devgcs --listen "$here_ip:0" --bucket "$BUCKET" --tls="$work/tls"
start http "$GCSD" devgcs --listen "$here_ip:0" --bucket "$BUCKET"
start tokens python3 -uc '
import http.server, sys
class Tokens(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(b"{\"access_token\":\"t\",\"expires_in\":3600,\"token_type\":\"Bearer\"}")
server = http.server.ThreadingHTTPServer((sys.argv[1], 0), Tokens)
print("tokens at", server.server_address[1], flush=True)
server.serve_forever()' "$here_ip"
# port LOG: the port on this address that a server says it listens on.
port() {
    wait_for 20 grep -qE "listens.*$here_ip:[0-9]+|tokens at [0-9]+" "$work/$1" || return 1
    grep -oE "$here_ip:[0-9]+|tokens at [0-9]+" "$work/$1" | grep -oE '[0-9]+$' | head -n 1
}
https_port=$(port https) http_port=$(port http) token_port=$(port tokens) || exit 1
cat >"$work/user.json" <<JSON
{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
 "token_uri": "http://$here_ip:$token_port/token"}
JSON

cat >"$work/tinyproxy.conf" <<CONF
Port $proxy_port
Listen 127.0.0.1
Timeout 600
LogLevel Connect
MaxClients 50
BasicAuth daemon h1d.den
ConnectPort $https_port
ConnectPort $http_port
ConnectPort $dead_port
CONF
proxy() {
    start proxy tinyproxy -d -c "$work/tinyproxy.conf"
    echo $! >"$work/proxy.id"
    wait_for 20 accepts
}
accepts() { (exec 3<>"/dev/tcp/127.0.0.1/$proxy_port") 2>/dev/null; }
url=http://daemon:h1d%2Eden@127.0.0.1:$proxy_port
tls=(--endpoint "https://$here_ip:$https_port" --ca-file "$work/tls/ca.pem")
plain=(--endpoint "http://$here_ip:$http_port" --anonymous)

# asked PATTERN: the proxy was asked for this, by now.
asked() { wait_for 10 grep -qE "$1" "$work/proxy"; }
fresh() { : >"$work/proxy"; }

trips() {
    local size
    for size in 0 1 262145 9000001; do
        payload "$size" >"$work/sent"
        "$GCSD" put "$work/sent" "gs://$BUCKET/$1/$size"
        "$GCSD" put - "gs://$BUCKET/$1/piped/$size" <"$work/sent"
        "$GCSD" get "gs://$BUCKET/$1/$size" - | cmp - "$work/sent"
        "$GCSD" get "gs://$BUCKET/$1/piped/$size" - | cmp - "$work/sent"
    done
    "$GCSD" put --connections 3 --part-size 5MiB "$work/sent" "gs://$BUCKET/$1/striped"
    "$GCSD" get --connections 3 "gs://$BUCKET/$1/striped" "$work/got"
    cmp "$work/sent" "$work/got"
}

variables() {
    fresh
    HTTPS_PROXY=$url daemon secure "${tls[@]}" --anonymous
    trips variables
    asked "CONNECT $here_ip:$https_port "
    grep "through a proxy.*http://127.0.0.1:$proxy_port" "$work/secure"
    fails grep -q 'h1d' "$work/secure"
}

plain_endpoint() {
    fresh
    HTTP_PROXY=$url daemon plain "${plain[@]}"
    trips plain
    asked "CONNECT $here_ip:$http_port "
    fails grep -qE "(GET|PUT|POST) http" "$work/proxy"
}

# The flag holds for tokens, too.
tokens() {
    fresh
    daemon tokens_daemon "${tls[@]}" --credentials "$work/user.json" --proxy "$url"
    trips tokens
    asked "CONNECT $here_ip:$https_port "
    asked "POST http://$here_ip:$token_port/token "
    fails grep -q 'h1d' "$work/tokens_daemon"
}

exceptions() {
    fresh
    HTTPS_PROXY=$url NO_PROXY=$here_ip daemon excepted "${tls[@]}" --anonymous
    "$GCSD" put "$work/user.json" "gs://$BUCKET/excepted"
    HTTPS_PROXY=$url daemon excepted "${tls[@]}" --anonymous --no-proxy "$here_ip/32,other.example"
    "$GCSD" put "$work/user.json" "gs://$BUCKET/excepted"
    fails grep -q CONNECT "$work/proxy"
}

# refused STATUS TEXT PROXY ARGUMENT...: a request ends with this exit code, at once, and says so.
refused() {
    local status=$1 text=$2 proxy=$3 code=0
    shift 3
    daemon refusing --proxy "$proxy" "$@"
    timeout 20 "$GCSD" rm --retry-for 1s "gs://$BUCKET/o" >"$work/said" 2>&1 || code=$?
    cat "$work/said"
    [ "$code" = "$status" ]
    grep -qF "$text" "$work/said"
    grep -q "the proxy http://127.0.0.1:$proxy_port" "$work/said"
    fails grep -q 'h1d' "$work/said" "$work/refusing"
}
# This proxy answers a wrong password with 401, where others answer 407.
wrong_password() {
    refused 1 'does not accept the user and password in its URL (401)' \
        "http://daemon:h1dd0n@127.0.0.1:$proxy_port" "${plain[@]}"
}
no_password() { refused 1 'wants a user and a password (407)' "http://127.0.0.1:$proxy_port" "${plain[@]}"; }
forbidden() {
    refused 1 "does not permit a connection to $here_ip:$token_port (403 Forbidden)" "$url" \
        --endpoint "http://$here_ip:$token_port" --anonymous
}
unreachable() {
    refused 5 "cannot connect to $here_ip:$dead_port now (50" "$url" --endpoint "http://$here_ip:$dead_port" --anonymous
}

# The proxy is killed inside an upload, and comes back.
restarted() {
    HTTPS_PROXY=$url daemon patient "${tls[@]}" --anonymous
    payload 6000001 >"$work/whole"
    { head -c 3000000 "$work/whole"; wait_for 60 test -e "$work/go"; tail -c +3000001 "$work/whole"; } |
        "$GCSD" put - "gs://$BUCKET/restarted" --chunk 256KiB --retry-for 60s >"$work/put" 2>&1 &
    local put=$!
    echo $put >>"$work/started"
    wait_for 20 grep -q 'WriteAt' "$work/patient"
    kill -KILL "$(<"$work/proxy.id")"
    wait_for 10 ended "$(<"$work/proxy.id")"
    touch "$work/go"
    # It is not back before it was missed.
    wait_for 60 grep -q 'cannot connect to the proxy' "$work/patient"
    proxy
    wait "$put" || { cat "$work/put"; return 1; }
    cat "$work/put"
    grep -q recovered "$work/put"
    "$GCSD" get "gs://$BUCKET/restarted" - | cmp - "$work/whole"
}

# The daemon starts itself anew to hand the proxy on: systemd's socket and its name for the process must outlive that.
activated() {
    local listen
    listen=$(free_ports 1)
    start activated systemd-socket-activate --listen="127.0.0.1:$listen" --setenv=HTTPS_PROXY="$url" \
        --setenv=HTTP_PROXY="$url" --setenv=STATE_DIRECTORY="$work/state" \
        "$GCSD" serve "${tls[@]}" --credentials "$work/user.json"
    wait_for 10 grep -q 'Listening on' "$work/activated"
    fresh
    GCSD_CONNECT=127.0.0.1:$listen "$GCSD" put "$work/user.json" "gs://$BUCKET/activated"
    asked "POST http://$here_ip:$token_port/token "
    [ "$(grep -c 'gcsd listens' "$work/activated")" = 1 ]
}

proxy || { echo "not ok tinyproxy starts"; cat "$work/proxy" >&2; exit 1; }
check "HTTPS_PROXY: objects go up and come back" variables
check "HTTP_PROXY and a plain http endpoint: by CONNECT as well" plain_endpoint
check "--proxy: access tokens go through it, too" tokens
check "NO_PROXY and --no-proxy" exceptions
check "a wrong password" wrong_password
check "no password" no_password
check "a server that the proxy forbids" forbidden
check "a server that the proxy cannot reach" unreachable
check "the proxy is killed inside an upload, and comes back" restarted
if command -v systemd-socket-activate >/dev/null; then
    check "a socket of systemd's is kept" activated
else
    echo "skipped tinyproxy.sh: systemd-socket-activate is not installed"
fi
finish
