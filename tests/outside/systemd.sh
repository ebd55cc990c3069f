#!/usr/bin/env bash
# The units in systemd/, socket activation, and what the daemon tells systemd.
. "$(dirname "$0")/lib.sh"
have systemd-analyze systemd-socket-activate nc openssl python3

units=$here/../../systemd

# What systemd-analyze says of the units, with the binary where it is now.
verify() {
    mkdir -p "$work/units"
    cp "$units"/gcsd* "$work/units"
    sed -i "s#/usr/local/bin/gcsd#$GCSD#" "$work/units/gcsd.service"
    systemd-analyze verify "$work/units/gcsd.service" "$work"/units/*.socket 2>&1 | tee "$work/verify"
    [ ! -s "$work/verify" ]
}
exposure() { systemd-analyze security --offline=true --no-pager --threshold=15 "$units/gcsd.service"; }

# Systemd must not kill what still has its grace.
patience() {
    local stop grace
    stop=$(sed -n 's/^TimeoutStopSec=//p' "$units/gcsd.service")
    grace=$("$GCSD" serve --help | grep -oE 'env: GCSD_GRACE=|default: 30s' | grep -oE '[0-9]+' | tail -n 1)
    [ "$stop" -gt "$grace" ]
}

# A stand-in for systemd's side of the notify socket: one line for each message.
listen_notify() {
    start notify python3 -uc '
import socket, sys
it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
it.bind(sys.argv[1])
while True:
    print(it.recv(4096).decode(), flush=True)' "$work/notify.socket"
    wait_for 10 test -S "$work/notify.socket"
}

# The socket is there before the daemon; the first client starts it, and is served.
activation() {
    local port id
    listen_notify
    port=$(free_ports 1)
    start activate systemd-socket-activate --listen="127.0.0.1:$port" \
        --setenv=NOTIFY_SOCKET="$work/notify.socket" --setenv=STATE_DIRECTORY="$work/state" \
        "$GCSD" serve --anonymous --endpoint "$DEVGCS" --log-format json
    id=$!
    wait_for 10 grep -q 'Listening on' "$work/activate"
    [ ! -e "$work/state" ]
    [ "$(ping_by_nc "$port")" = 'GCS!' ]
    wait_for 10 grep -qx 'READY=1' "$work/notify"
    grep '"gcsd listens".*"address":"127.0.0.1:'"$port"'"' "$work/activate"
    [ "$(grep -c '"gcsd listens"' "$work/activate")" = 1 ]
    [ "$(stat -c %a "$work/state"/*)" = 600 ]
    # The port stays open while it stops; it says so, and ends well.
    kill -TERM "$id"
    wait_for 10 grep -qx 'STOPPING=1' "$work/notify"
    wait_for 10 ended "$id"
    wait "$id"
}

# The first four bytes of the answer to a Ping.
ping_by_nc() {
    printf 'GCS?\1\2\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' |
        timeout 20 nc -N 127.0.0.1 "$1" | head -c 4
}

# Sockets of several kinds, told apart by their names and families.
named() {
    local plain tls
    read -r plain tls < <(free_ports 2)
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
        -keyout "$work/key.pem" -out "$work/cert.pem"
    chmod 600 "$work/key.pem"
    start named systemd-socket-activate --listen="127.0.0.1:$plain" --listen="127.0.0.1:$tls" --listen="$work/named.socket" \
        --fdname=plain:tls:unix --setenv=STATE_DIRECTORY="$work/state" \
        "$GCSD" serve --anonymous --endpoint "$DEVGCS" --cert "$work/cert.pem" --key "$work/key.pem"
    wait_for 10 grep -q 'Listening on.*named.socket' "$work/named"
    echo hello | "$GCSD" put --connect "127.0.0.1:$plain" - "gs://$BUCKET/named"
    [ "$("$GCSD" cat --connect "tls://localhost:$tls" --ca-file "$work/cert.pem" "gs://$BUCKET/named")" = hello ]
    [ "$("$GCSD" cat --connect "unix:$work/named.socket" "gs://$BUCKET/named")" = hello ]
    # The file is systemd's, and stays.
    stop "$(tail -n 1 "$work/started")"
    [ -S "$work/named.socket" ]
}

check "systemd-analyze verify" verify
check "systemd-analyze security: exposure at most 1.5" exposure
check "the stop timeout is beyond the grace" patience
check "socket activation, readiness, stop" activation
check "sockets of several kinds by their names" named
finish
