"""Transfers over a slow link: two network namespaces, a veth pair between them, shaped by tc's token bucket.

Used by slow-links.py, which says what must hold, and by benches/slow_links.py, which measures. Needs root, iproute2,
curl, and a kernel with sch_tbf. Everything it makes has a name of its own, and is removed at the end.
"""

import atexit
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

GCSD = os.environ["GCSD"]
HERE, THERE = "10.99.0.1", "10.99.0.2"
# What a queue in front of a slow uplink holds, as home routers have it.
QUEUE = "1000ms"
GCS_TIMEOUT = "10s"
STALL_TIMEOUT = "25s"

_numbers = itertools.count()
_namespaces = []
_lock = threading.Lock()


class NotPermitted(Exception):
    """Namespaces or shaping cannot be had here."""


def sh(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def available():
    """Raises NotPermitted where links cannot be made."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for tool in ("ip", "tc", "curl"):
        if not shutil.which(tool):
            raise NotPermitted(f"{tool} is not installed")
    try:
        Link(1).remove()
    except RuntimeError as error:
        raise NotPermitted(error) from None


@atexit.register
def remove_all():
    with _lock:
        names, _namespaces[:] = _namespaces[:], []
    for name in names:
        sh("ip", "netns", "del", name, check=False)


class Link:
    """Two namespaces, `here` and `there`, and a link of so many Mbit/s in both directions."""

    def __init__(self, mbit):
        self.mbit = mbit
        number = next(_numbers)
        self.here, self.there = (f"gcsd-{os.getpid()}-{number}-{end}" for end in ("here", "there"))
        for name in (self.here, self.there):
            sh("ip", "netns", "add", name)
            with _lock:
                _namespaces.append(name)
        sh("ip", "-n", self.here, "link", "add", "slow", "type", "veth", "peer", "name", "slow", "netns", self.there)
        for name, address in ((self.here, HERE), (self.there, THERE)):
            sh("ip", "-n", name, "address", "add", f"{address}/24", "dev", "slow")
            for device in ("lo", "slow"):
                sh("ip", "-n", name, "link", "set", device, "up")
            shape = f"rate {mbit}mbit burst 8kb latency {QUEUE}".split()
            sh("tc", "-n", name, "qdisc", "add", "dev", "slow", "root", "tbf", *shape)

    def sent(self, name):
        """Bytes that the namespace's end of the link has sent, with all headers."""
        shown = json.loads(sh("ip", "-n", name, "-s", "-j", "link", "show", "slow"))
        return shown[0]["stats64"]["tx"]["bytes"]

    def remove(self):
        for name in (self.here, self.there):
            sh("ip", "netns", "del", name, check=False)
            with _lock:
                if name in _namespaces:
                    _namespaces.remove(name)


class Transfer:
    """One transfer, of `size` bytes, over a link of its own. `hop` says which one is slow: client or gcs."""

    def __init__(self, form, hop, mbit, size):
        self.form, self.hop, self.mbit, self.size = form, hop, mbit, size
        self.name = f"{form.name}, {hop} hop at {mbit} Mbit/s, {size / 1e6:g} MB"
        self.ideal = size * 8 / (mbit * 1e6)
        self.error = None

    def run(self):
        try:
            self._run()
        except Exception as error:  # Told by whoever started it.
            self.error = f"{type(error).__name__}: {error}"

    def _run(self):
        self.link, self.started = Link(self.mbit), []
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="gcsd-link-"))
        try:
            self._start_servers()
            self.form.prepare(self)
            sender = self.link.here if self.form.up else self.link.there
            before, begun = self.link.sent(sender), time.monotonic()
            self.client = self.form.run(self)
            self.seconds = time.monotonic() - begun
            self.sent = self.link.sent(sender) - before
            self.log = (self.work / "daemon").read_text()
            self.form.verify(self)
        finally:
            for process in self.started:
                process.terminate()
            for process in self.started:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self.link.remove()
            shutil.rmtree(self.work, ignore_errors=True)

    def _start_servers(self):
        far, near = f"{THERE}:4443", f"{THERE}:4743"
        self._start(self.link.there, "devgcs", "devgcs", "--listen", "0.0.0.0:4443", "--bucket", "slow")
        if self.hop == "gcs":
            place, listen, endpoint, self.daemon = self.link.here, "127.0.0.1:4743", far, "127.0.0.1:4743"
        else:
            place, listen, endpoint, self.daemon = self.link.there, near, "127.0.0.1:4443", near
        serve = ["serve", "--listen", listen, "--state-dir", str(self.work / "state"), "--anonymous", "--allow-unauthenticated"]
        serve += ["--endpoint", f"http://{endpoint}", "--gcs-timeout", GCS_TIMEOUT]
        serve += ["--log-level", "info,gcsd::request=debug"]
        self._start(place, "daemon", *serve)

    def _start(self, place, log, *arguments):
        path = self.work / log
        with open(path, "w") as output:
            command = ["ip", "netns", "exec", place, GCSD, *arguments]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.started.append(process)
        end = time.monotonic() + 30
        while not re.search(r"listens", path.read_text()):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{log} does not listen:\n{path.read_text()}")
            time.sleep(0.05)

    def gcsd(self, *arguments, stdin=subprocess.DEVNULL):
        """Runs a client command at the near end of the link; its standard error."""
        command = ["ip", "netns", "exec", self.link.here, GCSD, *map(str, arguments)]
        command += ["--connect", self.daemon, "--stall-timeout", STALL_TIMEOUT]
        limit = 3 * self.ideal + 60
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, timeout=limit)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr}")
        return done.stderr

    def curl(self, *arguments):
        """Asks devgcs past the link."""
        command = ["ip", "netns", "exec", self.link.there, "curl", "-sS", "--fail", *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout

    def upload(self, path, name):
        url = f"http://127.0.0.1:4443/upload/storage/v1/b/slow/o?uploadType=media&name={name}"
        self.curl("-X", "POST", "--data-binary", f"@{path}", "-H", "content-type: application/octet-stream", url)

    def fetch(self, name):
        return self.curl(f"http://127.0.0.1:4443/storage/v1/b/slow/o/{name.replace('/', '%2F')}?alt=media")

    def requests(self, opcodes):
        """How many such requests the daemon had, and how many bytes they brought to GCS."""
        found = re.findall(rf'opcode=(?:{opcodes}) .*? received=(\d+)', self.log)
        return len(found), sum(map(int, found))


def payload(size, seed=1):
    return random.Random(seed).randbytes(size)


def same(found, expected):
    if found != expected:
        raise RuntimeError(f"the bytes differ: {len(found)} of {len(expected)}")


def once(transfer):
    """Every byte went to GCS once."""
    requests, moved = transfer.requests("WriteAt|UploadPart|PutObject")
    if moved != transfer.size:
        raise RuntimeError(f"{requests} requests brought {moved} bytes to GCS:\n{transfer.log}")


class Put:
    """An upload: of a file, or of what comes through a pipe."""

    up = True

    def __init__(self, name, *options, piped=False, parts=None):
        self.name, self.options, self.piped, self.parts = name, options, piped, parts

    def prepare(self, transfer):
        (transfer.work / "source").write_bytes(payload(transfer.size))

    def run(self, transfer):
        source = transfer.work / "source"
        if not self.piped:
            return transfer.gcsd("put", source, "gs://slow/object", *self.options)
        feed = subprocess.Popen(["cat", source], stdout=subprocess.PIPE)
        with feed.stdout:
            told = transfer.gcsd("put", "-", "gs://slow/object", *self.options, stdin=feed.stdout)
        feed.wait()
        return told

    def verify(self, transfer):
        same(transfer.fetch("object"), payload(transfer.size))
        once(transfer)
        made = transfer.requests("UploadPart")[0]
        if self.parts and made != self.parts:
            raise RuntimeError(f"{made} parts were sent, and not {self.parts}:\n{transfer.log}")


class PutMany:
    """Small files, side by side."""

    up, name, count = True, "put -r", 8

    def prepare(self, transfer):
        (transfer.work / "tree").mkdir()
        for number in range(self.count):
            (transfer.work / "tree" / f"{number}").write_bytes(payload(transfer.size // self.count, number))

    def run(self, transfer):
        return transfer.gcsd("put", "-r", transfer.work / "tree", "gs://slow/many/")

    def verify(self, transfer):
        listed = json.loads(transfer.curl("http://127.0.0.1:4443/storage/v1/b/slow/o"))["items"]
        for item in listed:
            number = int(item["name"].rsplit("/")[-1])
            same(transfer.fetch(item["name"]), payload(transfer.size // self.count, number))
        if len(listed) != self.count:
            raise RuntimeError(f"{len(listed)} objects, and not {self.count}")
        once(transfer)


class Get:
    """A download: of an object, or of all but its first and last thousand bytes."""

    up = False

    def __init__(self, name, *options, cut=0):
        self.name, self.options, self.cut = name, options, cut

    def prepare(self, transfer):
        (transfer.work / "source").write_bytes(payload(transfer.size + 2 * self.cut))
        transfer.upload(transfer.work / "source", "object")

    def run(self, transfer):
        options = list(self.options)
        if self.cut:
            options += [f"--range={self.cut}-{self.cut + transfer.size - 1}"]
        return transfer.gcsd("get", "gs://slow/object", transfer.work / "target", *options)

    def verify(self, transfer):
        whole = payload(transfer.size + 2 * self.cut)
        same((transfer.work / "target").read_bytes(), whole[self.cut : self.cut + transfer.size])


def transfers():
    """Every form of put and get, over each hop, at each speed."""
    forms = [
        Put("put"),
        Put("put -", piped=True),
        Put("put --connections", "--connections", "2"),
        PutMany(),
        Get("get"),
        Get("get --range", cut=1000),
        Get("get --connections", "--connections", "2"),
    ]
    cut = ["--connections", "2", "--part-size", "5MiB"]
    parts = [
        Put("put --connections --via compose", *cut, "--via", "compose"),
        Put("put --connections --via multipart", *cut, "--via", "multipart", parts=2),
    ]
    for hop in ("client", "gcs"):
        for mbit, size in ((0.25, 1_000_000), (0.4, 2_000_000), (1, 2_000_000), (2, 4_000_000)):
            for form in forms:
                yield Transfer(form, hop, mbit, size)
        for mbit, size in ((1, 6_000_000), (2, 10_400_000)):
            for form in parts:
                yield Transfer(form, hop, mbit, size)
        multipart = ["--connections", "2", "--part-size", "6MiB", "--via", "multipart"]
        whole = Put("put --connections --via multipart", *multipart, parts=2)
        yield Transfer(whole, hop, 2, 12_000_000)


def run_all(transfers):
    """Runs them side by side: they mostly wait. Yields each as it ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    transfers = list(transfers)
    threads = [threading.Thread(target=each.run, daemon=True) for each in transfers]
    for thread in threads:
        thread.start()
    for thread, transfer in zip(threads, transfers):
        thread.join()
        yield transfer
