#!/usr/bin/env python3
"""A small client of gcsd, written from proto-spec.md alone: the specification's "baseline client".

usage: mini.py HOST:PORT put FILE gs://BUCKET/OBJECT
       mini.py HOST:PORT pipe gs://BUCKET/OBJECT    (what standard input brings, of any length; tried once)
       mini.py HOST:PORT get gs://BUCKET/OBJECT FILE
       mini.py HOST:PORT stat gs://BUCKET/OBJECT
       mini.py HOST:PORT ls gs://BUCKET/PREFIX
       mini.py HOST:PORT rm gs://BUCKET/OBJECT
"""
import os, random, select, socket, struct, sys, time

START, WRITE, QUERY, FINISH, CANCEL, ATTACH, READ = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x21  # opcodes
STAT, LIST, DELETE = 0x22, 0x23, 0x24
SAME, UNKNOWN, RESTART, RECONNECT = 1, 2, 3, 4  # retry classes
DAMAGED, MISSING, LOST = 0x19, 0x83, 0x88  # kinds: body_damaged, not_found, session_lost
RANGE, PIECE = 8 << 20, 256 << 10  # bytes in one WriteAt (a multiple of 256 KiB) and in one send
TABLE = list(range(256))
for _ in range(8):
    TABLE = [c >> 1 ^ (0x82F63B78 if c & 1 else 0) for c in TABLE]

def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF

class Failure(Exception):
    """An error reply."""
    def __init__(self, status, http, flags, args):
        committed, present, self.delay_ms, length = struct.unpack_from("<QIIH", args)
        self.retry, self.closing, self.committed = status >> 8 & 15, flags & 2, committed if present & 1 else 0
        self.kind, self.http = status & 255, http
        super().__init__("status 0x%04x: %s" % (status, args[40:40 + length].decode()))

class Damaged(Exception):
    """The daemon received other bytes than were sent."""
    retry, closing, kind = RESTART, 0, DAMAGED

class Connection:
    """One request at a time over one stream."""
    def __init__(self, address):
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(600)
            self.socket.connect(address[5:])
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)), 600)
        self.sequence, self.cut = 0, False

    def receive(self, length):
        data = bytearray()
        while len(data) < length:
            piece = self.socket.recv(min(length - len(data), PIECE))
            if not piece:
                raise ConnectionError("the daemon closed the connection")
            data += piece
        return bytes(data)

    def send(self, data):
        try:
            for at in range(0, len(data), PIECE):
                if at and select.select([self.socket], [], [], 0)[0]:
                    raise BrokenPipeError  # the reply is there before the body is out: no need to send the rest
                self.socket.sendall(data[at:at + PIECE])
        except OSError:
            self.cut = True  # no further request; but the reply may have come

    def frames(self, opcode, upload=0, args=b"", body=b"", pieces=None):
        """Sends a request, and yields the args and the body of each frame of its reply."""
        self.sequence, flags, streamed = self.sequence + 1, 1, int(pieces is not None)
        head = struct.pack("<4sBBHQIIQ", b"GCS?", 1, opcode, streamed, self.sequence, upload, len(args), len(body))
        self.send(memoryview(head + args + body))
        for piece in pieces or ():
            self.send(memoryview(piece))
        while flags & 1:
            head = struct.unpack("<4sBBHQHHIQ", self.receive(32))
            magic, version, _, flags, sequence, status, http, args_len, body_len = head
            if (magic, version) != (b"GCS!", 1) or sequence not in (0, self.sequence) or args_len > 65536:
                raise ConnectionError("what came is no reply to the request")
            args, body = self.receive(args_len), self.receive(body_len)
            if status:
                raise Failure(status, http, flags, args)
            yield args, body
        if flags & 2 or self.cut:
            self.socket.close()  # the next request finds out, and connects again

    def ask(self, *request):
        return list(self.frames(*request))[-1]

    def progress(self, *request):
        return struct.unpack_from("<QQII16xQQQI", self.ask(*request)[0])

def recover(error, failures):
    """The retry class of what went wrong, after the back-off; raises it again if there is no hope."""
    retry = getattr(error, "retry", RECONNECT)
    if retry not in (SAME, UNKNOWN, RESTART, RECONNECT) or failures >= 10:
        raise error
    print("trying again after: %s" % error, file=sys.stderr)
    time.sleep(max(getattr(error, "delay_ms", 0) / 1000, random.uniform(0, min(2 ** failures, 32))))
    return retry

def start_args(bucket, name):
    return struct.pack("<HHHHHHIII40xQ8x", len(bucket), len(name), 0, 0, 0, 0, 0, 0, 0, 0) + bucket + name

def look(address, bucket, name, began, size, checksum):
    """The generation of the object, if an earlier request made it after all; None if nothing was made."""
    failures = 0
    while True:
        try:
            args = Connection(address).ask(STAT, 0, object_ref(bucket, name) + bucket + name)[0]
            generation, _, stored, stored_crc = struct.unpack_from("<QQQI", args)
            if generation < began:
                return None
            if (stored, stored_crc) == (size, checksum):
                return generation
            raise ValueError("the outcome is unknown: the object that is there is another")
        except (Failure, OSError) as error:
            if getattr(error, "kind", 0) == MISSING:
                return None
            if getattr(error, "retry", RECONNECT) not in (SAME, RECONNECT):
                raise ValueError("the outcome is unknown: %s" % error)
            recover(error, failures)
            failures += 1

def put(address, path, bucket, name):
    source, size, checksum = open(path, "rb"), os.path.getsize(path), 0
    while piece := source.read(PIECE):
        checksum = crc32c(piece, checksum)
    connection, token, bound, settled, unsure, began = None, None, False, False, False, 0
    committed = failures = restarts = 0
    while True:
        last = False
        try:
            data, data_crc, upload = b"", 0, restarts + 1
            if connection is None:
                connection, bound = Connection(address), False
            if token is None:
                args = start_args(bucket, name)
                reply = connection.ask(START, upload, args)[0]
                token, committed, bound, settled = reply[32:32 + struct.unpack_from("<H", reply, 8)[0]], 0, True, True
                began = began or (struct.unpack_from("<Q", reply)[0] - 604800) * 1000000  # as generations count
            if not bound:
                connection.ask(ATTACH, upload, struct.pack("<HHI8x", len(token), 0, 0) + token)
                bound, settled = True, False
            if not settled:
                progress, settled = connection.progress(QUERY, upload, bytes(8)), True
            elif committed == size:  # an empty object, or all bytes are there and the last answer was lost
                last = True
                progress = connection.progress(FINISH, upload, struct.pack("<QII8x", size, checksum, 1))
            else:
                source.seek(committed)
                data = source.read(RANGE)
                data_crc, last = crc32c(data), committed + len(data) == size
                ends = (size, checksum, data_crc, 7) if last else (0, 0, data_crc, 4)
                progress = connection.progress(WRITE, upload, struct.pack("<QQIII12x", committed, *ends), data)
            now, received, received_crc, finished, generation, _, stored, stored_crc = progress
            if finished and (stored, stored_crc) != (size, checksum):
                raise ValueError("the object is wrong: generation %d" % generation)
            if finished:
                return generation
            if (received, received_crc) != (len(data), data_crc):
                raise Damaged("the bytes changed on their way to the daemon")
            if not committed <= now <= size:
                raise ValueError("GCS holds %d bytes of %d, and %d were committed" % (now, size, committed))
            committed, failures = now, failures if now == committed else 0
        except (Failure, Damaged, OSError) as error:
            retry, kind = getattr(error, "retry", RECONNECT), getattr(error, "kind", 0)
            unsure |= last and (retry in (UNKNOWN, RECONNECT) or kind == LOST)
            refused = retry not in (SAME, UNKNOWN, RESTART, RECONNECT) and error.http in (403, 404, 410, 412)
            if unsure and (retry == RESTART or refused):
                if made := look(address, bucket, name, began, size, checksum):
                    return made
            if retry == RESTART and restarts == 3:
                raise
            if getattr(error, "committed", 0) > committed:
                committed, failures = error.committed, 0
            recover(error, failures)
            failures += 1
            if retry == RECONNECT or getattr(error, "closing", 0) or connection.cut:
                connection = None
            settled &= retry != UNKNOWN
            if retry == RESTART:
                if kind == DAMAGED and connection and bound:  # GCS need not keep what nobody will finish
                    try:
                        connection.ask(CANCEL, upload, bytes(8))
                    except (Failure, OSError):
                        connection = None
                token, restarts = None, restarts + 1  # under another id
        except (KeyboardInterrupt, ValueError):
            if connection and bound:
                connection.ask(CANCEL, upload, bytes(8))
            raise

def pieces(source):
    """The bytes of source as a body in pieces: data, and at the end the checksum of all of it."""
    checksum = 0
    while data := source.read1(PIECE):
        checksum = crc32c(data, checksum)
        yield struct.pack("<IB3x", len(data), 1) + data
    yield struct.pack("<IB3xI", 4, 2, checksum)

def pipe(address, bucket, name):
    connection = Connection(address)
    args = start_args(bucket, name)
    connection.ask(START, 1, args)
    return connection.progress(WRITE, 1, struct.pack("<QQIII12x", 0, 0, 0, 0, 0), b"", pieces(sys.stdin.buffer))[4]

def object_ref(bucket, name, generation=0):
    return struct.pack("<HHHHIIQ40x", len(bucket), len(name), 0, 0, 16 if generation else 0, 0, generation)

def get(address, bucket, name, path):
    target, offset, failures, generation, checksum = open(path, "wb"), 0, 0, 0, 0
    while True:
        try:
            args = object_ref(bucket, name, generation) + struct.pack("<QQ8x", offset, 0) + bucket + name
            for args, body in Connection(address).frames(READ, 0, args):
                if len(args) == 80:  # Start: from now on, this generation
                    generation, _, size, stored_crc, present = struct.unpack_from("<QQQII", args)
                target.write(body)
                offset, checksum, failures = offset + len(body), crc32c(body, checksum), 0 if body else failures
            if present & 1 and checksum != stored_crc:
                raise ValueError("the bytes are not those that are stored")
            return offset
        except (Failure, OSError) as error:
            recover(error, failures)
            failures += 1

def pages(address, bucket, prefix):
    """Yields how many objects a page has, and GCS's JSON."""
    connection, token = Connection(address), b""
    while True:
        args = struct.pack("<10HIII8x", len(bucket), 0, len(prefix), 0, 0, 0, 0, len(token), 0, 0, 0, 0, 0)
        *pieces, (end, _) = connection.frames(LIST, 0, args + bucket + prefix + token)
        sent, items, _, token_len = struct.unpack_from("<QIIH", end)
        json, token = b"".join(body for _, body in pieces), end[32:32 + token_len]
        if len(json) != sent:
            raise ValueError("a page of %d bytes came as %d" % (sent, len(json)))
        yield items, json.decode()
        if not token:
            return

def main(address, verb, *rest):
    bucket, _, name = rest[verb == "put"].removeprefix("gs://").encode().partition(b"/")
    if verb == "put":
        print("generation %d" % put(address, rest[0], bucket, name))
    elif verb == "pipe":
        print("generation %d" % pipe(address, bucket, name))
    elif verb == "get":
        print("%d bytes" % get(address, bucket, name, rest[1]))
    elif verb == "ls":
        for page in pages(address, bucket, name):
            print("%d objects" % page[0], page[1], sep="\n")
    elif verb == "rm":
        Connection(address).ask(DELETE, 0, object_ref(bucket, name) + bucket + name)
    else:
        args, json = Connection(address).ask(STAT, 0, object_ref(bucket, name) + bucket + name)
        print("generation %d, metageneration %d, %d bytes" % struct.unpack_from("<QQQ", args), json.decode(), sep="\n")

if __name__ == "__main__":
    if [len(sys.argv), *sys.argv[2:3]] not in ([5, "put"], [4, "pipe"], [5, "get"], [4, "stat"], [4, "ls"], [4, "rm"]):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (Failure, OSError, ValueError) as error:
        sys.exit("mini.py: %s" % error)
