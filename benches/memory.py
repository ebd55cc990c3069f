#!/usr/bin/env python3
"""Measures the peak memory of a daemon: idle, one large upload, many uploads at once, many idle connections.

    benches/memory.py target/release/gcsd [--large 4GiB-in-bytes] [--uploads 1000] [--each 4194304]

It starts `gcsd devgcs --discard` and `gcsd serve` on loopback, a new daemon for each figure, and stops them.
"""

import argparse
import asyncio
import re
import resource
import struct
import subprocess
import tempfile

HEAD = struct.Struct("<4sBBHQIIQ")
PIECE = bytes(range(256)) * 1024


def request(opcode, sequence, upload, args=b"", body_len=0):
    return HEAD.pack(b"GCS?", 1, opcode, 0, sequence, upload, len(args), body_len) + args


def start_upload(bucket, name):
    args = struct.pack("<HHHHHHIII40xQ8x", len(bucket), len(name), 0, 0, 0, 0, 0, 0, 0, 0)
    return request(0x10, 1, 1, args + bucket + name)


def write_at(offset, total, length):
    return request(0x11, 2, 1, struct.pack("<QQIII12x", offset, total, 0, 0, 1), length)


async def reply(reader):
    head = await reader.readexactly(32)
    _, _, _, _, _, status, _, args_len, body_len = struct.unpack("<4sBBHQHHIQ", head)
    await reader.readexactly(args_len + body_len)
    assert status == 0, f"status {status:#06x}"


async def upload(port, name, size):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start_upload(b"bench", name.encode()) + write_at(0, size, size))
    sent = 0
    while sent < size:
        piece = PIECE[: size - sent]
        writer.write(piece)
        await writer.drain()
        sent += len(piece)
    await reply(reader)
    await reply(reader)
    writer.close()


def spawn(command, pattern):
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        found = re.search(pattern, line)
        if found:
            return process, found.group(1)
    raise SystemExit(f"{command} ended early")


def peak(process):
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024


async def measure(gcsd, what, work):
    devgcs, endpoint = spawn(
        [gcsd, "devgcs", "--listen", "127.0.0.1:0", "--bucket", "bench", "--discard"], r'endpoint="?([^" ]+)'
    )
    with tempfile.TemporaryDirectory() as state:
        serve = [gcsd, "serve", "--listen", "127.0.0.1:0", "--endpoint", endpoint, "--anonymous", "--state-dir", state]
        daemon, port = spawn(serve, r"address=127\.0\.0\.1:(\d+)")
        silent = [asyncio.get_running_loop().run_in_executor(None, p.stderr.read) for p in (devgcs, daemon)]
        idle = peak(daemon)
        await work(int(port))
        print(f"{what}: {peak(daemon):.1f} MiB at most, {peak(daemon) - idle:.1f} MiB over idle", flush=True)
        for process in (daemon, devgcs):
            process.terminate()
            process.wait(60)
        await asyncio.gather(*silent)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gcsd")
    parser.add_argument("--large", type=int, default=4 << 30)
    parser.add_argument("--uploads", type=int, default=1000)
    parser.add_argument("--each", type=int, default=4 << 20)
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def many(port):
        await asyncio.gather(*(upload(port, f"many/{i}", args.each) for i in range(args.uploads)))

    async def connections(port):
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(args.uploads)]
        for reader, writer in opened:
            writer.write(request(0x02, 1, 0))
            await reply(reader)
        for _, writer in opened:
            writer.close()

    await measure(args.gcsd, f"one upload of {args.large / (1 << 20):.0f} MiB", lambda port: upload(port, "large", args.large))
    await measure(args.gcsd, "one upload of 64 MiB", lambda port: upload(port, "small", 64 << 20))
    await measure(args.gcsd, f"{args.uploads} uploads at once, {args.each / (1 << 20):.0f} MiB each", many)
    await measure(args.gcsd, f"{args.uploads} idle connections", connections)


asyncio.run(main())
