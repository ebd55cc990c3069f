"""gcsfs, the Python file system, against devgcs."""

import os

# Asks by gRPC, over TLS, whether a bucket is a zonal one, and waits a minute for the answer.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

import gcsfs  # noqa: E402

from outside import BUCKET, DEVGCS, MIB, crc32c, gcsd, payload, run, test  # noqa: E402

fs = gcsfs.GCSFileSystem(project="outside", token="anon", endpoint_url=DEVGCS, use_listings_cache=False)
ROOT = f"{BUCKET}/gcsfs"


def same(path, data):
    """The object holds `data`, and its resource says so."""
    info = fs.info(path)
    assert (info["size"], info["crc32c"]) == (len(data), crc32c(data)), info
    assert fs.cat_file(path) == data


@test
def small():
    """pipe_file and cat_file, in one request"""
    for size in (0, 1, 100_000):
        fs.pipe_file(f"{ROOT}/small-{size}", payload(size))
        same(f"{ROOT}/small-{size}", payload(size))


@test
def large():
    """open for writing: resumable, in blocks"""
    data = payload(12 * MIB + 11)
    with fs.open(f"{ROOT}/large", "wb", block_size=5 * MIB, content_type="text/x-large") as out:
        for start in range(0, len(data), MIB):
            out.write(data[start : start + MIB])
    same(f"{ROOT}/large", data)
    assert fs.info(f"{ROOT}/large")["contentType"] == "text/x-large"


@test
def discarded():
    """a write that is given up leaves no object"""
    out = fs.open(f"{ROOT}/discarded", "wb", block_size=5 * MIB, autocommit=False)
    out.write(payload(11 * MIB))
    out.close()
    out.discard()
    assert not fs.exists(f"{ROOT}/discarded")


@test
def ranges():
    """seek and ranged reads"""
    data = payload(12 * MIB + 11)
    with fs.open(f"{ROOT}/large", "rb", block_size=MIB) as source:
        source.seek(7_000_001)
        assert source.read(10) == data[7_000_001:7_000_011]
    assert fs.cat_file(f"{ROOT}/large", start=5, end=15) == data[5:15]
    assert fs.cat_file(f"{ROOT}/large", start=-15) == data[-15:]


@test
def listing():
    """ls, find, glob, du"""
    assert sorted(fs.ls(ROOT, detail=False)) == [f"{ROOT}/{each}" for each in ("large", "small-0", "small-1", "small-100000")]
    assert fs.glob(f"{ROOT}/small-1*") == [f"{ROOT}/small-1", f"{ROOT}/small-100000"]
    assert fs.du(ROOT) == 12 * MIB + 11 + 100_001
    assert fs.isdir(ROOT) and fs.isfile(f"{ROOT}/large")


@test
def names():
    """names with every kind of character"""
    for name in ("a b", "plus+percent%25", "ünïcödé/雪"):
        fs.pipe_file(f"{ROOT}/names/{name}", name.encode())
        same(f"{ROOT}/names/{name}", name.encode())


@test
def merge():
    """merge (compose), cp, mv, rm"""
    fs.merge(f"{ROOT}/merged", [f"{ROOT}/small-100000", f"{ROOT}/small-1"])
    same(f"{ROOT}/merged", payload(100_000) + payload(1))
    fs.cp_file(f"{ROOT}/merged", f"{ROOT}/copied")
    fs.mv(f"{ROOT}/copied", f"{ROOT}/moved")
    same(f"{ROOT}/moved", payload(100_000) + payload(1))
    assert not fs.exists(f"{ROOT}/copied")
    fs.rm(ROOT, recursive=True)
    assert fs.find(ROOT) == []


@test
def from_gcsd():
    """reads what gcsd wrote"""
    data = payload(6 * MIB + 5, seed=79)
    gcsd("put", "-", f"gs://{ROOT}/gcsd", data=data)
    same(f"{ROOT}/gcsd", data)


@test
def to_gcsd():
    """writes what gcsd reads"""
    data = payload(6 * MIB + 5, seed=80)
    with fs.open(f"{ROOT}/for-gcsd", "wb", block_size=5 * MIB) as out:
        out.write(data)
    assert gcsd("get", f"gs://{ROOT}/for-gcsd", "-") == data


run()
