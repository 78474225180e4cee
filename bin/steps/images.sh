# shellcheck shell=bash
# Builds the local images. docker/README.md says what each is for.

# Builds the images that are missing or whose definition changed.
setup_images() {
  local plan
  # Tests always need the image debian: they make servers from it.
  plan=$(docker/build-images.sh --plan debian && docker/build-images.sh --auto --plan)
  if [ -z "$plan" ]; then
    say 'images: up to date'
    return
  fi
  if grep -q ' compute-horde/debian:' <<<"$plan"; then
    command -v mmdebstrap >/dev/null || install_packages mmdebstrap
  fi
  if grep -v '^debian ' <<<"$plan" | grep -q ' compute-horde/debian:'; then
    say "images: Docker's registry does not answer, so they are made from Debian's packages"
  fi
  { docker/build-images.sh debian && docker/build-images.sh --auto; } ||
    fail 'an image could not be built (above)' 'docker/README.md says how to build them by hand'
}
