#!/usr/bin/env python3
"""Measures transfers over links of 0.25 to 2 Mbit/s against what such a link can do at best.

    sudo benches/slow_links.py target/release/gcsd [NAME...]        all, or those whose name contains one of the words

Each transfer has two network namespaces and a shaped link of its own (tests/outside/links.py). "time" is the time taken over
that of the bare bytes at the link's rate, of which headers are 5 %: the goal is 1.5. "wire" is the bytes on the link, with all
headers, over those of the object.
"""

import os
import pathlib
import sys

if len(sys.argv) < 2:
    sys.exit(__doc__)
os.environ["GCSD"] = str(pathlib.Path(sys.argv[1]).resolve())
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "outside"))
import links  # noqa: E402

try:
    links.available()
except links.NotPermitted as error:
    sys.exit(f"slow links cannot be had here: {error}")

words = sys.argv[2:]
worst = 0
for transfer in links.run_all(each for each in links.transfers() if not words or any(word in each.name for word in words)):
    if transfer.error:
        print(f"{transfer.name:66} {transfer.error}", flush=True)
        continue
    ratio = transfer.seconds / transfer.ideal
    worst = max(worst, ratio)
    print(f"{transfer.name:66} time {ratio:.2f}  wire {transfer.sent / transfer.size:.2f}", flush=True)
print(f"{'the worst':66} time {worst:.2f}")
