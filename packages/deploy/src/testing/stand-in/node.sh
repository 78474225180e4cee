#!/bin/sh
# Stands in for `node` in a role's image: for the image's health check, and for `packages/<role>/src/main.ts check`. The
# image's Dockerfile explains FAILING_CHECKS and LATER_FAILING_CHECKS.
if [ "$1" != docker/image/health-check.js ]; then
  echo "ok    stand-in: $*"
  exit
fi
[ -e /tmp/started ] || exit 1
failing=$FAILING_CHECKS warning=$LATER_FAILING_CHECKS
if [ $(($(date +%s) - $(stat -c %Y /tmp/started))) -ge 10 ]; then failing="$failing $warning" warning=''; fi
quoted() { for name in "$@"; do printf ',"%s"' "$name"; done; }
# shellcheck disable=SC2086
bad=$(quoted $failing) warned=$(quoted $warning)
ready=true
[ -z "$bad" ] || ready=false
printf '{"version":"stand-in","live":true,"ready":%s,"complete":true,"bad":[%s],"warned":[%s],"reasons":[%s]}\n' \
  "$ready" "${bad#,}" "${warned#,}" "${bad#,}"
[ "$ready" = true ]
