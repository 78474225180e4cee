#!/usr/bin/env bash
# Installs, inside the image that builds, the pnpm that bin/setup installs on a developer's machine: one version, one
# checksum.
set -euo pipefail

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

# shellcheck source=/dev/null
. bin/steps/pnpm.sh
folder=$(mktemp -d)
download_pnpm "$folder"
install -m 755 "$folder/package/pnpm" /usr/local/bin/pnpm
rm -rf "$folder"
