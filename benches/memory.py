#!/usr/bin/env python3
"""Measures the memory of a daemon: one large upload, many uploads at once, many idle connections, bodies that stall,
connections that are idle after work, and what stays when the load is gone.

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


def put_object(sequence, bucket, name, body):
    args = struct.pack("<HH76x", len(bucket), len(name))
    return request(0x20, sequence, 0, args + bucket + name, len(body)) + body


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


def resident(process):
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024


class Daemon:
    """A daemon, and devgcs behind it, for the time of a measurement."""

    def __init__(self, gcsd):
        self.gcsd = gcsd

    async def __aenter__(self):
        self.devgcs, endpoint = spawn(
            [self.gcsd, "devgcs", "--listen", "127.0.0.1:0", "--bucket", "bench", "--discard"], r'endpoint="?([^" ]+)'
        )
        self.state = tempfile.TemporaryDirectory()
        serve = [self.gcsd, "serve", "--listen", "127.0.0.1:0", "--endpoint", endpoint, "--anonymous"]
        self.process, port = spawn([*serve, "--state-dir", self.state.name], r"address=127\.0\.0\.1:(\d+)")
        self.port = int(port)
        loop = asyncio.get_running_loop()
        self.silent = [loop.run_in_executor(None, p.stderr.read) for p in (self.devgcs, self.process)]
        return self

    async def __aexit__(self, *_):
        for process in (self.process, self.devgcs):
            process.terminate()
            process.wait(60)
        await asyncio.gather(*self.silent)
        self.state.cleanup()


async def measure(gcsd, what, work):
    async with Daemon(gcsd) as daemon:
        idle = peak(daemon.process)
        await work(daemon.port)
        print(f"{what}: {peak(daemon.process):.1f} MiB at most, {peak(daemon.process) - idle:.1f} MiB over idle", flush=True)


async def measure_each(gcsd, what, count, open_one):
    """What one of `count` connections holds, when all of them are as `open_one` leaves them."""
    async with Daemon(gcsd) as daemon:
        # What the first requests bring up is not the connections'.
        (await open_one(daemon.port, -1)).close()
        await asyncio.sleep(1)
        before = resident(daemon.process)
        writers = await asyncio.gather(*(open_one(daemon.port, i) for i in range(count)))
        await asyncio.sleep(5)
        each = (resident(daemon.process) - before) * 1024 / count
        print(f"{what}: {each:.1f} KiB each ({count} of them)", flush=True)
        for writer in writers:
            writer.close()


async def measure_rest(gcsd, what, work):
    """What is still held 10 s after `work`."""
    async with Daemon(gcsd) as daemon:
        before = resident(daemon.process)
        await work(daemon.port)
        await asyncio.sleep(10)
        print(f"10 s after {what}: {resident(daemon.process) - before:.1f} MiB more than before", flush=True)


async def stalled(port, i):
    """An upload whose client has sent a quarter, and nothing since."""
    size = 4 << 20
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start_upload(b"bench", f"stalled/{i}".encode()) + write_at(0, size, size))
    for _ in range(size // len(PIECE) // 4):
        writer.write(PIECE)
        await writer.drain()
    await reply(reader)
    return writer


async def worked(port, _):
    """A connection that has had 64 requests at once, and is idle since."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for sequence in range(1, 65):
        writer.write(put_object(sequence, b"bench", b"worked/%d" % sequence, PIECE[:4096]))
    for _ in range(64):
        await reply(reader)
    return writer


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
    await measure_each(args.gcsd, "a connection that is idle after 64 requests", args.uploads // 2, worked)
    await measure_each(args.gcsd, "a body that has stalled for 5 s", args.uploads // 4, stalled)
    await measure_rest(args.gcsd, f"{args.uploads} uploads at once", many)


asyncio.run(main())
