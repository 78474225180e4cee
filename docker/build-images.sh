#!/usr/bin/env bash
# Builds the local images that are missing or whose definition changed: docker/README.md tells what each is for.
#
#   docker/build-images.sh [--auto | --base IMAGE | --debian] [--force] [hashcat echo python executor …]
#
#   (nothing)      from the public base images
#   --base IMAGE   from this image (any Debian or Ubuntu: what an image needs and it lacks is installed)
#   --debian       from Debian's packages, without any registry
#   --auto         from the public base images where a registry answers, else from Debian's packages
#   --force        even when nothing changed
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly IMAGES=(hashcat echo python executor)
readonly DEBIAN_RELEASE=bookworm
readonly DEBIAN_BASE=compute-horde/debian:$DEBIAN_RELEASE
readonly REGISTRY_PROBE_URL=https://registry-1.docker.io/v2/
readonly REGISTRY_PROBE_SECONDS=5
readonly PULL_SECONDS=300

say() { printf 'images: %s\n' "$*"; }
fail() { printf 'images: %s\n' "$*" >&2; exit 1; }

tag_of() {
  case $1 in
    python) echo compute-horde/python:3.11 ;;
    *) echo "compute-horde/$1:v0" ;;
  esac
}

public_base_of() {
  case $1 in
    python) echo python:3.11-slim ;;
    executor) echo node:24-bookworm-slim ;;
    *) echo debian:bookworm-slim ;;
  esac
}

# What an image is made from, as one hash. hashcat's holds kernels for one type of CPU.
definition_of() {
  {
    case $1 in
      executor) executor_sources | LC_ALL=C sort | xargs -d '\n' sha256sum ;;
      *) find "docker/$1" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum ;;
    esac
    if [ "$1" = hashcat ]; then grep -m1 '^model name' /proc/cpuinfo || true; fi
  } | sha256sum | cut -c1-16
}

label_of() { # label_of IMAGE NAME: empty when there is no such image
  docker image inspect --format "{{index .Config.Labels \"compute-horde.$2\"}}" "$1" 2>/dev/null || true
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# A minimal Debian with apt, imported from packages; the base of every image when no registry is in reach.
ensure_debian_base() {
  docker image inspect "$DEBIAN_BASE" >/dev/null 2>&1 && return
  command -v mmdebstrap >/dev/null || fail 'mmdebstrap is missing: sudo apt-get install mmdebstrap debian-archive-keyring'
  say "making $DEBIAN_BASE from Debian's packages (about half a minute)"
  local scratch=${TMPDIR:-/tmp}
  [ -w /dev/shm ] && [ "$(df --output=avail -k /dev/shm | tail -1)" -gt 2000000 ] && scratch=/dev/shm
  as_root env TMPDIR="$scratch" mmdebstrap --quiet --mode=root --variant=apt --include=ca-certificates \
    --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$DEBIAN_RELEASE" - |
    docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      --change 'CMD ["bash"]' --change 'LABEL compute-horde.image=debian' - "$DEBIAN_BASE" >/dev/null ||
    fail "could not make $DEBIAN_BASE: is Debian's mirror in reach?"
}

registry_answers() {
  curl --silent --output /dev/null --connect-timeout "$REGISTRY_PROBE_SECONDS" --max-time "$REGISTRY_PROBE_SECONDS" \
    "$REGISTRY_PROBE_URL"
}

pull() {
  docker image inspect "$1" >/dev/null 2>&1 || timeout "$PULL_SECONDS" docker pull --quiet "$1" >/dev/null
}

# Prints the base image to build on; decides once for --auto.
base_for() {
  local public
  public=$(public_base_of "$1")
  case $mode in
    named) echo "$named_base" ;;
    debian) echo "$DEBIAN_BASE" ;;
    public) echo "$public" ;;
    auto)
      if docker image inspect "$public" >/dev/null 2>&1 || { registry_answers && pull "$public"; }; then
        echo "$public"
      else
        echo "$DEBIAN_BASE"
      fi
      ;;
  esac
}

build() { # build NAME BASE DEFINITION
  local tag started=$SECONDS log
  tag=$(tag_of "$1")
  say "building $tag on $2"
  log=$(mktemp)
  if ! context_of "$1" | docker build --pull=false --tag "$tag" --build-arg "BASE_IMAGE=$2" \
    --label "compute-horde.image=$1" --label "compute-horde.definition=$3" --label "compute-horde.base=$2" \
    - >"$log" 2>&1; then
    tail -40 "$log" >&2
    rm -f "$log"
    fail "could not build $tag (above: the end of docker build's output)"
  fi
  rm -f "$log"
  say "$tag is built ($((SECONDS - started)) s)"
}

context_of() { # the build context, as a tar stream
  tar -C "docker/$1" -cf - .
}

ensure() {
  local tag base definition
  tag=$(tag_of "$1")
  definition=$(definition_of "$1")
  if [ "$force" = no ] && [ "$(label_of "$tag" definition)" = "$definition" ] &&
    { [ "$mode" = auto ] || [ "$(label_of "$tag" base)" = "$(base_for "$1")" ]; }; then
    say "$tag is up to date"
    return
  fi
  base=$(base_for "$1")
  [ "$base" != "$DEBIAN_BASE" ] || ensure_debian_base
  build "$1" "$base" "$definition"
}

mode=public force=no named_base=
names=()
while [ $# -gt 0 ]; do
  case $1 in
    --auto) mode=auto ;;
    --debian) mode=debian ;;
    --base) mode=named named_base=${2:?--base needs the name of an image} && shift ;;
    --force) force=yes ;;
    -*) fail "unknown option $1: the head of this script tells the known ones" ;;
    *) names+=("$1") ;;
  esac
  shift
done
[ ${#names[@]} -gt 0 ] || names=("${IMAGES[@]}")
for name in "${names[@]}"; do
  case " ${IMAGES[*]} " in
    *" $name "*) ;;
    *) fail "no image is called '$name'; there are: ${IMAGES[*]}" ;;
  esac
done
docker version >/dev/null 2>&1 || fail 'no Docker engine answers: run bin/setup'
for name in "${names[@]}"; do ensure "$name"; done
