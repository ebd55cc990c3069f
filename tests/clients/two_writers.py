#!/usr/bin/env python3
"""Two writers on one upload, each a process of its own, over the baseline client.

usage: two_writers.py HOST:PORT zombie FILE gs://BUCKET/OBJECT
           starts an upload, prints its token, sends half of the file in one WriteAt, and prints how that was answered.
           It reads a line before it sends the rest; then it asks for the upload once more.
       two_writers.py HOST:PORT owner FILE TOKEN
           attaches, and finishes the upload with the bytes of the file
"""
import struct, sys

import mini


def write_args(offset, data):
    """Of the last range of an object whose bytes are `data`."""
    return struct.pack("<QQIII12x", offset, len(data), mini.crc32c(data), 0, 3)


def zombie(connection, data, url):
    bucket, _, name = url.removeprefix("gs://").encode().partition(b"/")
    reply = connection.ask(mini.START, 1, mini.start_args(bucket, name))[0]
    print(reply[32:].decode(), flush=True)
    args, half = write_args(0, data), len(data) // 2
    head = struct.pack("<4sBBHQIIQ", b"GCS?", 1, mini.WRITE, 0, 2, 1, len(args), len(data))
    connection.socket.sendall(head + args + data[:half])
    head = struct.unpack("<4sBBHQHHIQ", connection.receive(32))
    committed = struct.unpack_from("<Q", connection.receive(head[7]))[0]
    print("status 0x%04x, %d committed" % (head[5], committed), flush=True)
    sys.stdin.readline()
    connection.socket.sendall(data[half:])
    connection.sequence = 2
    try:
        connection.progress(mini.QUERY, 1, bytes(8))
        print("ok", flush=True)
    except mini.Failure as failure:
        print(failure, flush=True)


def owner(connection, data, token):
    connection.ask(mini.ATTACH, 1, struct.pack("<HHI8x", len(token), 0, 0) + token.encode())
    committed = connection.progress(mini.QUERY, 1, bytes(8))[0]
    progress = connection.progress(mini.WRITE, 1, write_args(committed, data), data[committed:])
    _, _, _, finished, generation, _, size, crc = progress
    assert finished and (size, crc) == (len(data), mini.crc32c(data))
    print("generation %d" % generation)


if __name__ == "__main__":
    address, role, path, what = sys.argv[1:]
    {"zombie": zombie, "owner": owner}[role](mini.Connection(address), open(path, "rb").read(), what)
