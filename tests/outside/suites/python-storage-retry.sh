#!/usr/bin/env bash
# tests/conformance of googleapis/python-storage: how the client tries again what may be tried again.
#
#     tests/outside/suites/python-storage-retry.sh CHECKOUT [PYTEST-ARGUMENT...]
#
# PYTHON is one with pytest, and the checkout's requirements.
. "$(dirname "$0")/lib.sh"

port=$(free_port)
cd "$checkout"
env STORAGE_EMULATOR_HOST="http://localhost:$port" PYTHONPATH="$checkout" PYTHONDONTWRITEBYTECODE=1 \
    "${PYTHON:-python3}" -m pytest -q -p no:cacheprovider tests/conformance/test_conformance.py "$@"
