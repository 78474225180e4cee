# shellcheck shell=bash
# pnpm, as the native executable that needs no Node; only when there is none that is new enough.

readonly PNPM_VERSION=12.21.0
readonly PNPM_FOLDER=/usr/local/bin
# The `integrity` of the registry's @pnpm/exe.linux-x64 and @pnpm/exe.linux-arm64 of that version, in hex.
readonly PNPM_SHA512_X64=f1eb9f0a31d7b2929b352fe487cab843482a2683aebc2e10e69828b3a5d2f01cbf9c032d3fe8dff05d42c3d7abf38d247c05fe3c9fedb3e03daa72c4f75aef5d
readonly PNPM_SHA512_ARM64=e0e8ff885d930c27b695c1f49f84eea4f479b1276b34b725241eb104494b30f094380bc185d7f6ad195268ee4ce1eac9ea0e05cb2ed84d74e97267c5b0acb110

pnpm_version() { (cd / && COREPACK_ENABLE_DOWNLOAD_PROMPT=0 timeout 20 pnpm --version </dev/null 2>/dev/null) || true; }

registry() {
  local url=${npm_config_registry:-${NPM_CONFIG_REGISTRY:-}}
  [ -n "$url" ] || url=$(sed -n 's/^registry *= *//p' ~/.npmrc 2>/dev/null | tail -1)
  url=${url:-https://registry.npmjs.org}
  echo "${url%/}"
}

download_pnpm() { # download_pnpm FOLDER
  local arch=x64 sha512=$PNPM_SHA512_X64 url
  [ "$(uname -m)" = x86_64 ] || arch=arm64 sha512=$PNPM_SHA512_ARM64
  url=$(registry)/@pnpm/exe.linux-$arch/-/exe.linux-$arch-$PNPM_VERSION.tgz
  curl --fail --silent --show-error --location --retry 3 --output "$1/pnpm.tgz" "$url" ||
    fail "could not download $url" 'check the network; npm_config_registry may name another registry'
  echo "$sha512  $1/pnpm.tgz" | sha512sum --check --status ||
    fail "$url is not the file whose checksum bin/steps/pnpm.sh holds" \
      'do not trust this registry or proxy; use another'
  tar -xzf "$1/pnpm.tgz" -C "$1" package/pnpm
}

setup_pnpm() {
  local version folder
  version=$(pnpm_version)
  if [ "${version%%.*}" -ge "${PNPM_VERSION%%.*}" ] 2>/dev/null; then
    say "pnpm: $version is there"
    return
  fi
  say "pnpm: installing $PNPM_VERSION in $PNPM_FOLDER${version:+ (found $version)}"
  folder=$(mktemp -d)
  download_pnpm "$folder"
  if [ -e "$PNPM_FOLDER/pnpm" ]; then
    say "pnpm: the old one stays as $PNPM_FOLDER/pnpm-${version:-old}"
    as_root mv "$PNPM_FOLDER/pnpm" "$PNPM_FOLDER/pnpm-${version:-old}"
  fi
  as_root install -D -m 755 "$folder/package/pnpm" "$PNPM_FOLDER/pnpm"
  rm -rf "$folder"
  hash -r
  [ "$(pnpm_version)" = "$PNPM_VERSION" ] ||
    fail "in this shell 'pnpm' is $(command -v pnpm || echo 'not found'), not $PNPM_FOLDER/pnpm" \
      "export PATH=$PNPM_FOLDER:\$PATH and run bin/setup again"
}
