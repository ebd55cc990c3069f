#!/usr/bin/env bash
# conformance-test of googleapis/nodejs-storage: how the client tries again, and how it signs.
#
#     tests/outside/suites/nodejs-storage-retry.sh CHECKOUT [MOCHA-ARGUMENT...]
#
# The checkout has been installed and compiled: npm install && npm run compile:cjs.
. "$(dirname "$0")/lib.sh"

port=$(free_port)
cd "$checkout"
env STORAGE_EMULATOR_HOST="http://localhost:$port/" \
    npx mocha --parallel build/cjs/conformance-test/ --require build/cjs/conformance-test/globalHooks.js "$@"
