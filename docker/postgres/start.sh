#!/bin/sh
# Makes the database at the first start, with the user, the password and the database of POSTGRES_USER, POSTGRES_PASSWORD and
# POSTGRES_DB, and runs the server. A first start that was cut short begins again.
set -eu

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups --inh-caps=-all "$@"; }

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
  # The file by which a database is known comes last.
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
