#!/bin/sh
# Stands in for `node`: for the health check of an image, and for `packages/<role>/src/main.ts check`. What the role lacks is
# what its image was built with, or what a test has written to /tmp/lacks since.
if [ "$1" != docker/image/health-check.js ]; then
  echo "ok    stand-in: $*"
  exit
fi
[ -e /tmp/started ] || exit 1
lacks=$(cat /tmp/lacks 2>/dev/null || echo "$LACKS")
names=$(for name in $lacks; do printf ',"%s"' "$name"; done)
ready=true
[ -z "$lacks" ] || ready=false
printf '{"version":"stand-in","live":true,"ready":%s,"complete":true,"bad":[%s],"warned":[],"reasons":[%s]}\n' "$ready" "${names#,}" "${names#,}"
[ "$ready" = true ]
