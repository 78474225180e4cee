#!/usr/bin/env bash
# Writes to /app all that one role needs but the sources: Node, and the production dependencies of its package and of
# the workspace packages below it. Runs inside the image that builds, in a checkout that holds manifests only.
#
#   docker/image/install-dependencies.sh ROLE
set -euo pipefail

readonly ROLE=${1:?usage: install-dependencies.sh ROLE}
readonly APP=/app
readonly STORE=/tmp/pnpm-store
# Connections to the registry at once. With pnpm's own number a proxy between may take minutes for what takes seconds.
readonly CONNECTIONS=8

# The root is selected for Node itself, which is one of its dependencies.
install_dependencies() {
  mkdir -p "$APP"
  cp -r package.json pnpm-lock.yaml pnpm-workspace.yaml patches packages "$APP/"
  pnpm --dir "$APP" install --prod --frozen-lockfile --ignore-scripts --reporter=append-only \
    --store-dir "$STORE" --network-concurrency "$CONNECTIONS" \
    --filter-prod compute-horde --filter-prod "@horde/$ROLE..."
  rm -rf "$STORE"
}

# Gives Node a path of its own, and removes what only pnpm, compilers and people read.
tidy() {
  local store=$APP/node_modules/.pnpm package
  install -D -m 755 "$store"/node-linux-*/node_modules/node-linux-*/bin/node "$APP/bin/node"
  rm -rf "$store"/node-linux-* "$APP"/node_modules/{node-linux-*,.bin} "$APP"/{patches,pnpm-lock.yaml}
  # Recorded answers of a chain, for tests of @polkadot's own.
  rm -rf "$store"/@polkadot+types-support@*/node_modules/@polkadot/types-support/{metadata,json,cjs}
  # A light client of chains, which @polkadot offers and loads only when it is asked for; nothing here asks.
  rm -rf "$store"/{smoldot@,@substrate+connect,@substrate+light-client,@polkadot-api+}*
  # Native parts for Bare, another program than Node.
  rm -rf "$store"/bare-*/node_modules/bare-*/prebuilds
  # Of the client of Hugging Face, what only its types and browsers take.
  rm -rf "$store"/@huggingface+tasks@* "$store"/@huggingface+hub@*/node_modules/@huggingface/hub/{src,dist/browser}
  # An executor opens no database.
  [ "$ROLE" != executor ] || rm -rf "$store"/{@electric-sql+pglite,drizzle-orm}@*
  # Below node_modules Node runs no TypeScript.
  find "$APP/node_modules" -type f \
    \( -name '*.map' -o -name '*.md' -o -name '*.ts' -o -name '*.cts' -o -name '*.mts' -o -name '*.flow' \) -delete
  # The lockfile spoke of every package.
  for package in "$APP"/packages/*; do
    [ -d "$package/node_modules" ] || rm -rf "$package"
  done
}

install_dependencies
tidy
install -D docker/image/health-check.js "$APP/docker/image/health-check.js"
