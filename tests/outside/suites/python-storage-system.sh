#!/usr/bin/env bash
# tests/system of googleapis/python-storage, without what needs an account of Google's or a service other than Cloud Storage.
#
#     tests/outside/suites/python-storage-system.sh CHECKOUT [PYTEST-ARGUMENT...]
#
# PYTHON is one with pytest, google-cloud-testutils, and the checkout's requirements.
. "$(dirname "$0")/lib.sh"

port=$(free_port)
"$here/docker" run --strict -p "$port:$port"
cd "$checkout"
env STORAGE_EMULATOR_HOST="http://localhost:$port" GOOGLE_CLOUD_PROJECT=devgcs PYTHONPATH="$checkout" \
    PYTHONDONTWRITEBYTECODE=1 \
    "${PYTHON:-python3}" -m pytest -q -p no:cacheprovider tests/system \
    --ignore=tests/system/test_kms_integration.py --ignore=tests/system/test__signing.py \
    --ignore=tests/system/test_zonal.py "$@"
