#!/bin/sh
# Runs Postgres. The first start makes the database, with the user, password and name in POSTGRES_USER,
# POSTGRES_PASSWORD and POSTGRES_DB. If the first start was interrupted, the next one begins again.
set -eu

# Runs a program as the user postgres.
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups --inh-caps=-all "$@"; }

# Makes the database in $PGDATA/new, and moves it to $PGDATA once it is complete.
make_database() {
  : "${POSTGRES_PASSWORD:?is not set}"
  new=$PGDATA/new
  rm -rf "$new"
  printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
  chown postgres /tmp/password
  chmod 600 /tmp/password
  as_postgres initdb --pgdata="$new" --username="${POSTGRES_USER:=postgres}" --pwfile=/tmp/password \
    --encoding=UTF8 --auth-host=scram-sha-256 --auth-local=trust >/dev/null
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$new/pg_hba.conf"
  if [ "${POSTGRES_DB:=$POSTGRES_USER}" != postgres ]; then
    printf 'create database "%s"\n' "$POSTGRES_DB" |
      as_postgres postgres --single -D "$new" postgres >/dev/null
  fi
  # PG_VERSION comes last: it marks a complete database.
  mv "$new/PG_VERSION" "$PGDATA/PG_VERSION.new"
  for each in "$new"/*; do mv "$each" "$PGDATA/"; done
  rmdir "$new"
  mv "$PGDATA/PG_VERSION.new" "$PGDATA/PG_VERSION"
}

chown postgres:postgres "$PGDATA"
chmod 700 "$PGDATA"
[ -s "$PGDATA/PG_VERSION" ] || make_database
exec setpriv --reuid=postgres --regid=postgres --init-groups --inh-caps=-all \
  postgres -D "$PGDATA" -c listen_addresses='*'
