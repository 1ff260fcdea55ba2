#!/usr/bin/env bash
# Runs a command against a PostgreSQL of its own: tests/support/with_postgres.sh make test
# The server has a new data folder and a free port, trusts loopback alone, and is gone when the command ends. It does not
# wait for the disk, unless POSTGRES_FSYNC=on: then it is as durable as PostgreSQL is by default.
set -euo pipefail

[ $# -gt 0 ] || { echo "usage: $0 COMMAND…" >&2; exit 2; }
bin=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || bin=$(pg_config --bindir 2>/dev/null) || { echo "PostgreSQL is not installed." >&2; exit 3; }

# PostgreSQL refuses to run as root.
as=()
[ "$(id -u)" -ne 0 ] || as=(runuser -u postgres --)

home=$(mktemp -d "${TMPDIR:-/tmp}/pkgindex-postgres.XXXXXX")
[ "$(id -u)" -ne 0 ] || chown postgres "$home"
cd "$home" # where the server's user may be, whatever the caller's folder
launcher=
stop() {
  if [ -n "$launcher" ]; then
    pid=$(head -n 1 "$home/data/postmaster.pid" 2>/dev/null || echo "$launcher")
    kill -INT "$pid" 2>/dev/null || true # fast shutdown: open connections are closed
    wait "$launcher" 2>/dev/null || true
  fi
  rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

careless=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off)
[ "${POSTGRES_FSYNC:-off}" != on ] || careless=()

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"${as[@]}" "$bin/initdb" --pgdata data --username pkgindex --auth trust --encoding UTF8 --no-locale --no-sync >initdb.log
"${as[@]}" "$bin/postgres" -D data -p "$port" -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$home" \
  "${careless[@]}" -c max_connections=200 >postgres.log 2>&1 &
launcher=$!
for _ in $(seq 100); do
  if "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"; then break; fi
  kill -0 "$launcher" 2>/dev/null || { cat postgres.log >&2; exit 3; }
  sleep 0.1
done
"$bin/createdb" -h 127.0.0.1 -p "$port" -U pkgindex pkgindex

export DATABASE_URL="postgres://pkgindex@127.0.0.1:$port/pkgindex"
cd "$OLDPWD"
"$@"
