#!/bin/sh
# Stands in for `node packages/<role>/src/main.ts check`.
echo "ok    stand-in: $*"
