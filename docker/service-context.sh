#!/usr/bin/env bash
# Writes the build context of a service's image (docker/Dockerfile) to stdout, as tar: the workspace as far as the
# service needs it, with pnpm having installed that and no more. Installing here and not in the image means that no
# container needs a way, or a certificate, to the npm registry.
#
#   docker/service-context.sh SERVICE            the tar
#   docker/service-context.sh SERVICE --sources  the names of the files of the checkout that it is made from
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly SERVICE=${1:?usage: docker/service-context.sh SERVICE [--sources]}
readonly ROOT_FILES=(package.json pnpm-lock.yaml pnpm-workspace.yaml patches/*.patch docker/Dockerfile docker/service-context.sh)

# The service's package and the workspace packages that it stands on, as paths below the root.
packages() {
  pnpm list --recursive --filter "@horde/$SERVICE..." --prod --depth -1 --parseable | sed "s|^$PWD/||"
}

sources() {
  printf '%s\n' "${ROOT_FILES[@]}"
  local package
  for package in $(packages); do
    printf '%s\n' "$package/package.json"
    find "$package" -path '*/node_modules' -prune -o -path '*/test' -prune -o -path '*/e2e' -prune -o \
      -type f \( -path "$package/src/*" -o -path "$package/drizzle/*" \) ! -name '*.test.ts' -print
  done
}

if [ "${2:-}" = --sources ]; then
  sources
  exit
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The lockfile speaks of every package, so every manifest goes along.
{ sources; ls packages/*/package.json; } | LC_ALL=C sort -u | tar -cf - --files-from=- | tar -xf - -C "$folder"
# The root is selected for Node itself, which is one of its dependencies.
CI=true pnpm --dir "$folder" install --prod --frozen-lockfile --ignore-scripts --silent \
  --filter compute-horde --filter "@horde/$SERVICE..." </dev/null >&2
tar -C "$folder" -cf - .
