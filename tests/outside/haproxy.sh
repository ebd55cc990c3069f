#!/usr/bin/env bash
# Three daemons as one service, behind HAProxy with the configuration that docs/scaling.md shows.
PATH=$PATH:/usr/sbin
. "$(dirname "$0")/lib.sh"
have haproxy openssl nc

scaling=$here/../../docs/scaling.md
(umask 077 && openssl rand -hex 32 >"$work/key")
read -r balancer port1 port2 port3 < <(free_ports 4)
export GCSD_CONNECT=127.0.0.1:$balancer

# The configuration as it is shown, with the addresses and the size of this machine.
configuration() {
    block "$scaling" 'default_backend daemons' | sed -E "
        s/^( *bind ).*:4743/\1127.0.0.1:$balancer/
        s/10\.0\.0\.1:4743/127.0.0.1:$port1/
        s/10\.0\.0\.2:4743/127.0.0.1:$port2/
        s/10\.0\.0\.3:4743/127.0.0.1:$port3/
        s/^( *maxconn ).*/\11000/"
}

# node N: starts a daemon, again where it was before.
node() {
    local port=port$1
    start "node$1" env -u GCSD_CONNECT "$GCSD" serve --listen "127.0.0.1:${!port}" --token-key "$work/key" \
        --endpoint "$DEVGCS" --anonymous --grace 3s
    echo $! >"$work/node$1.id"
    address "node$1"
}
signal_node() { kill "-$2" "$(<"$work/node$1.id")"; }
node_ended() { ended "$(<"$work/node$1.id")"; }

balance() {
    start balancer haproxy -db -f "$work/haproxy.cfg"
    echo $! >"$work/balancer.id"
    wait_for 20 answers
}
answers() { printf 'GCS?\1\2\0\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' | timeout 5 nc -N 127.0.0.1 "$balancer" | grep -q 'GCS!'; }

# said N STATE: HAProxy has noticed it.
said() { grep -q "daemons/node-$1 is $2" "$work/balancer"; }

valid() {
    configuration >"$work/haproxy.cfg"
    cat "$work/haproxy.cfg"
    grep -q "127.0.0.1:$port3" "$work/haproxy.cfg"
    haproxy -c -f "$work/haproxy.cfg" 2>&1 | tee "$work/valid"
    fails grep -qE 'WARNING|ALERT' "$work/valid"
}

# Objects go up and come back, and each daemon has a part of the work.
shared() {
    local n
    payload 3000001 >"$work/whole"
    for n in 1 2 3 4 5 6; do
        "$GCSD" put "$work/whole" "gs://$BUCKET/shared/$n"
        "$GCSD" get "gs://$BUCKET/shared/$n" - | cmp - "$work/whole"
    done
    for n in 1 2 3; do grep -q 'WriteAt' "$work/node$n"; done
}

# begin NAME: three uploads from pipes, which get the K-th two million bytes at `feed K`.
begin() {
    local n
    puts=()
    rm -f "$work"/go*
    payload 8000001 >"$work/whole"
    for n in 1 2 3; do
        pieces | "$GCSD" put - "gs://$BUCKET/$1/$n" --chunk 256KiB --retry-for 60s >"$work/put$n" 2>&1 &
        puts+=($!)
        echo $! >>"$work/started"
    done
}
pieces() {
    local k
    for k in 0 1 2 3; do
        wait_for 120 test -e "$work/go$k"
        dd if="$work/whole" bs=1000000 skip=$((2 * k)) count=2 status=none
    done
    tail -c +8000001 "$work/whole"
}
feed() {
    touch "$work/go$1"
    sleep 0.5
}
# complete NAME: what came of them.
complete() {
    local n
    for n in 1 2 3; do
        wait "${puts[n - 1]}" || { cat "$work/put$n"; return 1; }
        "$GCSD" get "gs://$BUCKET/$1/$n" - | cmp - "$work/whole"
    done
    cat "$work"/put[123]
}

killed() {
    local n
    begin killed
    feed 0
    for n in 1 2 3; do
        : >"$work/balancer"
        signal_node "$n" KILL
        wait_for 20 said "$n" DOWN
        feed "$n"
        node "$n"
        wait_for 20 said "$n" UP
    done
    complete killed
    grep -q 'recovered' "$work"/put[123]
}

# Nobody notices that a new version goes out.
drained() {
    local n
    begin drained
    feed 0
    for n in 1 2 3; do
        signal_node "$n" TERM
        feed "$n"
        wait_for 20 node_ended "$n"
        grep -q 'stopped: every request in flight was answered' "$work/node$n"
        node "$n"
        wait_for 20 "$GCSD" put "$work/key" "gs://$BUCKET/drained/other"
    done
    complete drained
}

# It accepts and does not answer: only a check that asks finds out.
hangs() {
    : >"$work/balancer"
    signal_node 2 STOP
    wait_for 30 said 2 DOWN
    "$GCSD" put "$work/key" "gs://$BUCKET/hangs"
    signal_node 2 CONT
    wait_for 30 said 2 UP
}

# The balancer itself is replaced.
replaced() {
    begin replaced
    feed 0
    kill -KILL "$(<"$work/balancer.id")"
    wait_for 20 ended "$(<"$work/balancer.id")"
    feed 1
    balance
    feed 2
    feed 3
    complete replaced
    grep -q 'recovered' "$work"/put[123]
}

check "the configuration that docs/scaling.md shows is valid" valid
for n in 1 2 3; do node "$n" >/dev/null || exit 1; done
balance || exit 1
check "three daemons share the work" shared
check "each daemon is killed in turn, in the middle of uploads" killed
check "each daemon is stopped in turn, in the middle of uploads" drained
check "a daemon that hangs gets no new connections" hangs
check "the balancer is killed and comes back, in the middle of uploads" replaced
finish
