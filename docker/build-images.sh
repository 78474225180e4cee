#!/usr/bin/env bash
# Builds the local images that are missing or whose definition changed. docker/README.md says what each is for.
#
#   docker/build-images.sh [--auto | --base IMAGE | --debian] [--force] [--plan] [NAME …]
#
#   NAME           hashcat, echo, python, executor, miner, validator, postgres or debian. Without a name, the script
#                  builds the first four
#   --base IMAGE   builds from this image, any Debian or Ubuntu. The build installs what it lacks
#   --debian       builds from Debian's packages, without any registry
#   --auto         builds from the public base images if their registry answers, else from Debian's packages
#   --force        builds even if nothing changed
#   --plan         builds nothing, and prints a line NAME BASE for each image that it would build
#
# Without --base, --debian and --auto, the script builds from the public base images.
#
# The images of the services (executor, miner, validator) need the npm registry while they are built. The script uses
# the registry of this machine's npm. It takes a private certificate authority from CA_CERTIFICATE (PEM text), else from
# the folder in which Debian keeps added ones. IMAGE_PREFIX and COMPUTE_HORDE_VERSION change the names of the services'
# images.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly JOB_IMAGES=(hashcat echo python)
readonly SERVICE_IMAGES=(executor miner validator)
readonly OTHER_IMAGES=(postgres debian)
readonly ALL_IMAGES=("${JOB_IMAGES[@]}" "${SERVICE_IMAGES[@]}" "${OTHER_IMAGES[@]}")
readonly BUILT_BY_DEFAULT=("${JOB_IMAGES[@]}" executor)
readonly IMAGE_PREFIX=${IMAGE_PREFIX:-compute-horde}
readonly ADDED_CERTIFICATES=/usr/local/share/ca-certificates
readonly DEBIAN_RELEASE=bookworm
readonly DEBIAN_BASE=compute-horde/debian:$DEBIAN_RELEASE
readonly REGISTRY_URL=https://registry-1.docker.io/v2/
readonly REGISTRY_ANSWER_SECONDS=5
readonly PULL_SECONDS=300
# Younger images without a name are not deleted.
readonly KEPT_STAGES=1h
# The space that the build of the Debian base takes. It uses memory if there is enough, which is several times faster.
readonly SCRATCH_KIB=2000000

# Prints a message on stderr.
say() { printf 'images: %s\n' "$*" >&2; }
# Prints a message and exits with 1.
fail() {
  say "$*"
  exit 1
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }
is_image() { [[ " ${ALL_IMAGES[*]} " == *" $1 "* ]]; }
is_service() { [[ " ${SERVICE_IMAGES[*]} " == *" $1 "* ]]; }

# Prints the version of the services' images: COMPUTE_HORDE_VERSION, or that of the checkout.
version() {
  if [ -n "${COMPUTE_HORDE_VERSION:-}" ]; then
    echo "$COMPUTE_HORDE_VERSION"
  else
    sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json
  fi
}

# Prints the names of an image. The build uses the first.
tags_of() { # tags_of NAME
  case $1 in
    python) echo compute-horde/python:3.11 ;;
    postgres) echo "$IMAGE_PREFIX/postgres:15" ;;
    executor) echo "$IMAGE_PREFIX/executor:v0 $IMAGE_PREFIX/executor:$(version)" ;;
    miner | validator) echo "$IMAGE_PREFIX/$1:$(version)" ;;
    *) echo "compute-horde/$1:v0" ;;
  esac
}

# Prints the first name of an image.
tag_of() { tags_of "$1" | cut -d' ' -f1; }

# Prints the public image from which an image is built.
public_base_of() { # public_base_of NAME
  case $1 in
    python) echo python:3.11-slim ;;
    *) echo debian:bookworm-slim ;;
  esac
}

# Prints the workspace packages that a service consists of, one a line.
packages_of() { # packages_of SERVICE
  local package=$1 needed
  echo "packages/$package"
  # shellcheck disable=SC2013 # names of packages
  for needed in $(
    sed -n '/"dependencies": {/,/}/s|.*"@horde/\(.*\)": "workspace.*|\1|p' "packages/$package/package.json"
  ); do
    packages_of "$needed"
  done
}

# Prints the files of the checkout from which a service's image is built.
service_sources() { # service_sources SERVICE
  local package
  printf '%s\n' package.json pnpm-lock.yaml pnpm-workspace.yaml .dockerignore docker/Dockerfile
  find patches docker/image docker/install/server/compute-horde docker/monitoring bin/steps/pnpm.sh -type f
  find docker -maxdepth 1 -type f \( -name "compose.$1.yml" -o -name "$1.env.example" \)
  for package in $(packages_of "$1" | sort -u); do
    printf '%s\n' "$package/package.json"
    find "$package" -path '*/node_modules' -prune -o -path '*/test' -prune -o -path '*/testing' -prune -o \
      -type f \( -path "$package/src/*" -o -path "$package/drizzle/*" \) ! -name '*.test.ts' -print
  done
}

# Prints a hash of all that an image is built from. For hashcat that includes the type of CPU, because the image
# contains kernels for it.
definition_of() { # definition_of NAME
  {
    if is_service "$1"; then service_sources "$1"; else find "docker/$1" -type f; fi |
      LC_ALL=C sort | xargs -d '\n' sha256sum
    [ "$1" != hashcat ] || grep -m1 '^model name' /proc/cpuinfo || true
  } | sha256sum | cut -c1-16
}

# Prints a label of an image, or nothing if there is no such image.
label_of() { # label_of IMAGE LABEL
  docker image inspect --format "{{index .Config.Labels \"compute-horde.$2\"}}" "$1" 2>/dev/null || true
}

# Whether an image has this definition under all of its names. A build of another version did not set them all.
is_up_to_date() { # is_up_to_date NAME DEFINITION
  local tag
  [ "$force" = no ] || return 1
  for tag in $(tags_of "$1"); do is_of_definition "$tag" "$2" || return 1; done
}

# Whether an image has this definition, and the base of --base or --debian. Without these options any base is correct.
is_of_definition() { # is_of_definition TAG DEFINITION
  local wanted
  [ "$(label_of "$1" definition)" = "$2" ] || return 1
  case $mode in
    named) wanted=$named_base ;;
    debian) wanted=$DEBIAN_BASE ;;
    *) return 0 ;;
  esac
  [ "$(label_of "$1" base)" = "$wanted" ]
}

# Whether the registry of the public images answers. Asks it only once.
registry_answers() {
  if [ "$registry" = unknown ]; then
    registry=no
    if curl --silent --output /dev/null --max-time "$REGISTRY_ANSWER_SECONDS" "$REGISTRY_URL"; then registry=yes; fi
  fi
  [ "$registry" = yes ]
}

# Pulls an image, unless it is there.
pull() { # pull IMAGE
  has_image "$1" && return
  say "pulling $1"
  timeout "$PULL_SECONDS" docker pull --quiet "$1" >/dev/null
}

# Sets `base` to the image from which an image will be built.
choose_base() { # choose_base NAME
  base=$(public_base_of "$1")
  case $mode in
    named) base=$named_base ;;
    debian) base=$DEBIAN_BASE ;;
    auto) has_image "$base" || { registry_answers && pull "$base"; } || base=$DEBIAN_BASE ;;
  esac
}

# Runs a command as root.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Prints the folder in which to build the Debian base.
scratch_folder() {
  if grep ' /dev/shm ' /proc/mounts | grep -qv noexec &&
    [ "$(df --output=avail -k /dev/shm | tail -1)" -gt "$SCRATCH_KIB" ]; then
    echo /dev/shm
  else
    echo /var/tmp
  fi
}

# Makes the image of a minimal Debian with apt from Debian's packages.
make_debian_base() {
  local scratch folder
  command -v mmdebstrap >/dev/null || fail 'mmdebstrap is missing: sudo apt-get install mmdebstrap'
  say "making $DEBIAN_BASE from Debian's packages (about half a minute)"
  scratch=$(scratch_folder)
  folder=$(mktemp --directory --tmpdir="$scratch")
  # apt reads the keys as its own user, which may not be able to read the checkout.
  chmod 755 "$folder"
  install -m 644 docker/debian-bookworm-keys.gpg "$folder/keys.gpg"
  if ! as_root env TMPDIR="$scratch" mmdebstrap --quiet --mode=root --variant=apt --include=ca-certificates \
    --keyring="$folder/keys.gpg" --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    "$DEBIAN_RELEASE" - >"$folder/debian.tar"; then
    rm -rf "$folder"
    fail "mmdebstrap failed (above): check whether this machine reaches Debian's mirror"
  fi
  docker import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["bash"]' --change 'LABEL compute-horde.image=debian' "$folder/debian.tar" "$DEBIAN_BASE" >/dev/null
  rm -rf "$folder"
}

# Prints the private certificate authority that builds must trust, or nothing.
certificate_authority() {
  if [ -n "${CA_CERTIFICATE:-}" ]; then
    echo "$CA_CERTIFICATE"
  else
    cat "$ADDED_CERTIFICATES"/*.crt 2>/dev/null || true
  fi
}

# Prints the address of this machine's npm registry, as bin/setup finds it.
npm_registry() (
  # shellcheck source=/dev/null
  . bin/steps/pnpm.sh
  registry
)

revision() { git rev-parse HEAD 2>/dev/null || echo unknown; }

# Runs docker build. Fails with the end of its output.
docker_build() { # docker_build TAG ARGUMENT…
  local tag=$1 log
  shift
  log=$(mktemp)
  if ! docker build --force-rm --tag "$tag" "$@" >"$log" 2>&1; then
    tail -40 "$log" >&2
    rm -f "$log"
    fail "could not build $tag (above: the end of the output of docker build)"
  fi
  rm -f "$log"
}

# Builds an image, and gives it all of its names.
build() { # build NAME BASE DEFINITION
  local tags started=$SECONDS arguments context=docker/$1 each
  read -ra tags <<<"$(tags_of "$1")"
  say "building ${tags[0]} on $2"
  arguments=(--build-arg "BASE_IMAGE=$2")
  if is_service "$1"; then
    context=.
    arguments+=(--file docker/Dockerfile --build-arg "NPM_REGISTRY=$(npm_registry)/"
      --build-arg "CA_CERTIFICATE=$(certificate_authority)")
    # With a name, the stage with the dependencies stays for the next build.
    docker_build "$IMAGE_PREFIX/$1-dependencies:v0" "${arguments[@]}" --target "$1-dependencies" "$context"
    arguments+=(--target "$1" --build-arg "VERSION=$(version)" --build-arg "REVISION=$(revision)")
  fi
  docker_build "${tags[0]}" "${arguments[@]}" --label "compute-horde.image=$1" --label "compute-horde.definition=$3" \
    --label "compute-horde.base=$2" "$context"
  for each in "${tags[@]:1}"; do docker tag "${tags[0]}" "$each"; done
  say "${tags[*]} built ($((SECONDS - started)) s)"
}

# Makes the Debian base if it is missing. It has no definition.
ensure_debian() {
  if has_image "$DEBIAN_BASE" && [ "$force" = no ]; then
    [ "$plan" = yes ] || say "$DEBIAN_BASE is there"
  elif [ "$plan" = yes ]; then
    echo "debian $DEBIAN_BASE"
  else
    make_debian_base
  fi
}

# Builds an image if it is missing or its definition changed.
ensure() { # ensure NAME
  local definition base
  if [ "$1" = debian ]; then
    ensure_debian
    return
  fi
  definition=$(definition_of "$1")
  if is_up_to_date "$1" "$definition"; then
    [ "$plan" = yes ] || say "$(tag_of "$1") is up to date"
    return
  fi
  choose_base "$1"
  if [ "$plan" = yes ]; then
    echo "$1 $base"
    return
  fi
  [ "$base" != "$DEBIAN_BASE" ] || has_image "$base" || make_debian_base
  build "$1" "$base" "$definition"
}

mode=public named_base='' force=no plan=no registry=unknown names=()
while [ $# -gt 0 ]; do
  case $1 in
    --auto) mode=auto ;;
    --debian) mode=debian ;;
    --base)
      [ -n "${2:-}" ] || fail '--base needs the name of an image'
      mode=named named_base=$2
      shift
      ;;
    --force) force=yes ;;
    --plan) plan=yes ;;
    *)
      is_image "$1" || fail "'$1' is neither an option nor an image; the images are ${ALL_IMAGES[*]}"
      names+=("$1")
      ;;
  esac
  shift
done
[ ${#names[@]} -gt 0 ] || names=("${BUILT_BY_DEFAULT[@]}")
docker version >/dev/null 2>&1 || fail 'no Docker engine answers: run bin/setup'

# A lock, because two runs at once would build the same image twice.
exec 9<docker
flock 9
for name in "${names[@]}"; do ensure "$name"; done
# Deletes images that have lost their name to a new build, and stages of builds. Young ones stay: another checkout may
# be building with them, and the classic builder fails if a stage disappears.
[ "$plan" = yes ] ||
  docker image prune --force --filter label=compute-horde.image --filter "until=$KEPT_STAGES" >/dev/null
