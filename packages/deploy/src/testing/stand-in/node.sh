#!/bin/sh
# Stands in for `node`: for the health check of an image, and for `packages/<role>/src/main.ts check`. What the role lacks is
# what its image was built with, or what a test has written to /tmp/lacks since.
if [ "$1" != docker/image/health-check.js ]; then
  echo "ok    stand-in: $*"
  exit
fi
[ -e /tmp/started ] || exit 1
lacks=$(cat /tmp/lacks 2>/dev/null || echo "$LACKS")
warns=$SUSPECTS
if [ $(($(date +%s) - $(stat -c %Y /tmp/started))) -ge 10 ]; then lacks="$lacks $warns" warns=''; fi
quoted() { for name in "$@"; do printf ',"%s"' "$name"; done; }
# shellcheck disable=SC2086
names=$(quoted $lacks) warned=$(quoted $warns)
ready=true
[ -z "$names" ] || ready=false
printf '{"version":"stand-in","live":true,"ready":%s,"complete":true,"bad":[%s],"warned":[%s],"reasons":[%s]}\n' \
  "$ready" "${names#,}" "${warned#,}" "${names#,}"
[ "$ready" = true ]
