"""Shared by the Python clients' tests: results, payloads, gcsd's own put and get."""

import os
import random
import subprocess
import traceback

import google_crc32c
import base64
import hashlib

DEVGCS = os.environ["DEVGCS"]
BUCKET = os.environ["BUCKET"]
KIB = 1024
MIB = 1024 * KIB

_tests = []


def test(function):
    """Registers a test; its docstring is what the result line says."""
    _tests.append(function)
    return function


def run():
    """Runs every test in the order of the file, one result line each."""
    failed = 0
    for function in _tests:
        try:
            function()
        except Exception:
            failed += 1
            print("# " + traceback.format_exc().strip().replace("\n", "\n# "))
            print(f"not ok {function.__doc__}", flush=True)
        else:
            print(f"ok {function.__doc__}", flush=True)
    raise SystemExit(1 if failed else 0)


def payload(size, seed=1):
    """Bytes that look random and are the same in every run."""
    return random.Random(seed).randbytes(size)


def crc32c(data):
    """GCS's notation of the checksum."""
    return base64.b64encode(google_crc32c.Checksum(data).digest()).decode()


def md5(data):
    """GCS's notation of the checksum."""
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def gcsd(*args, data=None):
    """Runs a client command of gcsd through the daemon and returns what it wrote."""
    command = [os.environ["GCSD"], *args]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stderr.decode()}")
    return done.stdout
