"""google-cloud-storage, Google's Python client, against devgcs."""

import io
import os
import tempfile

from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.cloud.storage import transfer_manager

from outside import BUCKET, DEVGCS, KIB, MIB, crc32c, gcsd, md5, payload, run, test

client = storage.Client(
    project="outside",
    credentials=AnonymousCredentials(),
    client_options={"api_endpoint": DEVGCS},
)
bucket = client.bucket(BUCKET)


def same(name, data, has_md5=True):
    """The object holds `data`, and its resource says so."""
    blob = bucket.get_blob(name)
    assert blob is not None, f"{name} is not there"
    assert blob.size == len(data), (blob.size, len(data))
    assert blob.crc32c == crc32c(data)
    assert not has_md5 or blob.md5_hash == md5(data)
    assert blob.download_as_bytes(checksum="crc32c") == data


class Unseekable(io.RawIOBase):
    """A stream whose size nobody can find out."""

    def __init__(self, data):
        self.rest = io.BytesIO(data)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.rest.readinto(buffer)

    def tell(self):
        return self.rest.tell()


@test
def buckets():
    """buckets: create, get, list, delete"""
    made = client.create_bucket("outside-python")
    assert client.get_bucket(made.name).name == made.name
    assert made.name in [each.name for each in client.list_buckets()]
    made.delete()
    assert not made.exists()


@test
def simple():
    """upload_from_string, in one request, with metadata"""
    blob = bucket.blob("python/simple")
    blob.metadata = {"colour": "blue"}
    blob.upload_from_string(b"hello", content_type="text/x-hello", checksum="crc32c")
    same(blob.name, b"hello")
    again = bucket.get_blob(blob.name)
    assert (again.content_type, again.metadata) == ("text/x-hello", {"colour": "blue"})


@test
def empty():
    """an empty object, in one request and resumable"""
    bucket.blob("python/empty").upload_from_string(b"")
    same("python/empty", b"")
    bucket.blob("python/empty2", chunk_size=256 * KIB).upload_from_file(io.BytesIO(b""))
    same("python/empty2", b"")


@test
def chunks_known_size():
    """upload_from_file in 256 KiB chunks, size known"""
    for size in (1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 3 * MIB, 3 * MIB + 12345):
        data = payload(size, seed=size)
        blob = bucket.blob(f"python/known/{size}", chunk_size=256 * KIB)
        blob.upload_from_file(io.BytesIO(data), size=size, checksum="crc32c")
        same(blob.name, data)


@test
def chunks_unknown_size():
    """upload_from_file in 256 KiB chunks, size unknown"""
    for size in (1, 256 * KIB, 256 * KIB + 1, 3 * MIB, 3 * MIB + 12345):
        data = payload(size, seed=size + 1)
        blob = bucket.blob(f"python/unknown/{size}", chunk_size=256 * KIB)
        blob.upload_from_file(Unseekable(data), checksum="md5")
        same(blob.name, data)


@test
def writer():
    """BlobWriter: a file that is written piece by piece"""
    data = payload(5 * MIB + 321)
    blob = bucket.blob("python/writer")
    with blob.open("wb", chunk_size=512 * KIB, content_type="application/x-thing") as out:
        for start in range(0, len(data), 100_000):
            out.write(data[start : start + 100_000])
    same(blob.name, data)
    assert bucket.get_blob(blob.name).content_type == "application/x-thing"


@test
def reader():
    """BlobReader: seek and ranged reads"""
    data = payload(2 * MIB + 17)
    bucket.blob("python/reader").upload_from_string(data)
    with bucket.blob("python/reader").open("rb", chunk_size=256 * KIB) as source:
        source.seek(1_000_000)
        assert source.read(300_000) == data[1_000_000:1_300_000]
    blob = bucket.blob("python/reader")
    assert blob.download_as_bytes(start=5, end=9) == data[5:10]
    assert blob.download_as_bytes(start=len(data) - 3) == data[-3:]


@test
def resumed_by_uri():
    """a resumable session, interrupted and resumed by another client with its URI"""
    data = payload(2 * MIB + 99)
    blob = bucket.blob("python/resumed")
    uri = blob.create_resumable_upload_session(size=len(data))
    send = client._http.put
    first = send(uri, data=data[:MIB], headers={"content-range": f"bytes 0-{MIB - 1}/*"})
    assert (first.status_code, first.headers["range"]) == (308, f"bytes=0-{MIB - 1}")
    asked = send(uri, headers={"content-range": "bytes */*", "content-length": "0"})
    assert (asked.status_code, asked.headers["range"]) == (308, f"bytes=0-{MIB - 1}")
    rest = send(uri, data=data[MIB:], headers={"content-range": f"bytes {MIB}-{len(data) - 1}/{len(data)}"})
    assert rest.status_code == 200, rest.text
    same(blob.name, data)


@test
def preconditions():
    """if_generation_match: 412 in one request and resumable"""
    blob = bucket.blob("python/once")
    blob.upload_from_string(b"1", if_generation_match=0)
    chunked = bucket.blob("python/once", chunk_size=256 * KIB)
    for refused in (
        lambda: blob.upload_from_string(b"2", if_generation_match=0),
        lambda: chunked.upload_from_file(io.BytesIO(b"2"), if_generation_match=0),
    ):
        try:
            refused()
        except PreconditionFailed:
            continue
        raise AssertionError("nothing was refused")
    same("python/once", b"1")


@test
def missing():
    """404 for an object and for a bucket"""
    for absent in (bucket.blob("python/none"), client.bucket("outside-none").blob("x")):
        try:
            absent.download_as_bytes()
        except NotFound:
            continue
        raise AssertionError("found")
    assert not bucket.blob("python/none").exists()


@test
def listing():
    """list: prefix, delimiter, pages, offsets"""
    for name in ("a", "b/1", "b/2", "c/1", "d"):
        bucket.blob(f"python/list/{name}").upload_from_string(name)
    names = [each.name.removeprefix("python/list/") for each in bucket.list_blobs(prefix="python/list/", page_size=2)]
    assert names == ["a", "b/1", "b/2", "c/1", "d"], names
    listed = bucket.list_blobs(prefix="python/list/", delimiter="/")
    assert [each.name for each in listed] == ["python/list/a", "python/list/d"]
    assert listed.prefixes == {"python/list/b/", "python/list/c/"}
    between = bucket.list_blobs(start_offset="python/list/b/2", end_offset="python/list/d", prefix="python/list/")
    assert [each.name for each in between] == ["python/list/b/2", "python/list/c/1"]


@test
def names():
    """object names with every kind of character"""
    for name in ("python/a b", "python/#?&%25+", "python/ünïcödé/雪", "python//..//x", "python/'\"\\*[]"):
        bucket.blob(name).upload_from_string(name)
        same(name, name.encode())
        blob = bucket.blob(name, chunk_size=256 * KIB)
        blob.upload_from_file(io.BytesIO(b"again"))
        same(name, b"again")
        assert name in [each.name for each in bucket.list_blobs(prefix=name)]


@test
def compose():
    """compose: bytes, checksum, component count"""
    parts = [payload(300_000, seed=each) for each in range(3)]
    sources = []
    for index, part in enumerate(parts):
        source = bucket.blob(f"python/part/{index}")
        source.upload_from_string(part)
        sources.append(source)
    whole = bucket.blob("python/composed")
    whole.compose(sources)
    same(whole.name, b"".join(parts), has_md5=False)
    blob = bucket.get_blob(whole.name)
    assert (blob.component_count, blob.md5_hash) == (3, None)


@test
def copies():
    """copy, rewrite, rename, patch, delete"""
    data = payload(MIB)
    source = bucket.blob("python/source")
    source.upload_from_string(data)
    bucket.copy_blob(source, bucket, "python/copied")
    same("python/copied", data)
    target = bucket.blob("python/rewritten")
    token, done, total = target.rewrite(source)
    while token is not None:
        token, done, total = target.rewrite(source, token=token)
    assert done == total == len(data)
    same("python/rewritten", data)
    bucket.rename_blob(bucket.blob("python/copied"), "python/renamed")
    assert not bucket.blob("python/copied").exists()
    renamed = bucket.get_blob("python/renamed")
    before = renamed.metageneration
    renamed.metadata = {"k": "v"}
    renamed.cache_control = "no-store"
    renamed.patch()
    again = bucket.get_blob("python/renamed")
    assert (again.metadata, again.cache_control) == ({"k": "v"}, "no-store")
    assert again.metageneration == before + 1
    again.delete()
    assert not again.exists()


@test
def transfers():
    """transfer_manager: many at once, chunks at once in both directions"""
    data = payload(12 * MIB + 7)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "whole")
        with open(path, "wb") as out:
            out.write(data)
        threads = {"worker_type": transfer_manager.THREAD, "max_workers": 4}
        transfer_manager.upload_chunks_concurrently(path, bucket.blob("python/chunks"), chunk_size=5 * MIB, **threads)
        same("python/chunks", data, has_md5=False)
        back = os.path.join(folder, "back")
        transfer_manager.download_chunks_concurrently(
            bucket.get_blob("python/chunks"), back, chunk_size=5 * MIB, **threads
        )
        with open(back, "rb") as got:
            assert got.read() == data
        small = []
        for index in range(20):
            small.append(f"small-{index}")
            with open(os.path.join(folder, small[-1]), "wb") as out:
                out.write(payload(1000 + index, seed=index))
        results = transfer_manager.upload_many_from_filenames(
            bucket, small, source_directory=folder, blob_name_prefix="python/many/", raise_exception=True, **threads
        )
        assert results == [None] * 20
        for index, name in enumerate(small):
            same(f"python/many/{name}", payload(1000 + index, seed=index))


@test
def keys():
    """encryption keys that the client keeps: every kind of upload, read, rewrite; gcsd reads and writes them, too"""
    key, other = bytes(range(32)), bytes(32)
    data = payload(11 * MIB + 3, seed=79)
    under = lambda name, key, **more: bucket.blob(f"python/{name}", encryption_key=key, **more)
    under("locked", key).upload_from_string(data)
    under("locked-chunks", key, chunk_size=256 * KIB).upload_from_file(Unseekable(data))
    with tempfile.TemporaryDirectory() as folder:
        path, key_file = os.path.join(folder, "whole"), os.path.join(folder, "key")
        for name, content in ((path, data), (key_file, key)):
            with open(name, "wb") as out:
                out.write(content)
        transfer_manager.upload_chunks_concurrently(
            path, under("locked-parts", key), chunk_size=5 * MIB, worker_type=transfer_manager.THREAD
        )
        gcsd("put", path, f"gs://{BUCKET}/python/locked-gcsd", "--encryption-key-file", key_file)
        for name in ("locked", "locked-chunks", "locked-parts", "locked-gcsd"):
            assert under(name, key).download_as_bytes() == data, name
            shown = bucket.get_blob(f"python/{name}")
            assert (shown.size, shown.crc32c) == (len(data), None), name
            for wrong in (None, other):
                try:
                    under(name, wrong).download_as_bytes()
                except BadRequest:
                    continue
                raise AssertionError(f"{name} is read without its key")
            got = gcsd("get", f"gs://{BUCKET}/python/{name}", "-", "--encryption-key-file", key_file)
            assert got == data, name
    token, _, _ = under("rotated", other).rewrite(under("locked", key))
    assert token is None and under("rotated", other).download_as_bytes() == data


@test
def from_gcsd():
    """reads what gcsd wrote"""
    data = payload(9 * MIB + 5, seed=77)
    gcsd("put", "-", f"gs://{BUCKET}/python/gcsd", data=data)
    same("python/gcsd", data)


@test
def to_gcsd():
    """writes what gcsd reads"""
    data = payload(9 * MIB + 5, seed=78)
    bucket.blob("python/for-gcsd", chunk_size=256 * KIB).upload_from_file(io.BytesIO(data))
    assert gcsd("get", f"gs://{BUCKET}/python/for-gcsd", "-") == data


run()
