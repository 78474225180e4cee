# shellcheck shell=bash
# The local images: docker/README.md tells what each is for.

setup_images() {
  local plan
  # The tests' servers are made from Debian's packages wherever they run.
  plan=$(docker/build-images.sh --plan debian && docker/build-images.sh --auto --plan)
  if [ -z "$plan" ]; then
    say 'images: up to date'
    return
  fi
  if grep -q ' compute-horde/debian:' <<<"$plan"; then
    command -v mmdebstrap >/dev/null || install_packages mmdebstrap
  fi
  if grep -v '^debian ' <<<"$plan" | grep -q ' compute-horde/debian:'; then
    say "images: Docker's registry is out of reach, so they are made from Debian's packages"
  fi
  { docker/build-images.sh debian && docker/build-images.sh --auto; } ||
    fail 'an image could not be built (above)' 'docker/README.md tells how to build them by hand'
}
