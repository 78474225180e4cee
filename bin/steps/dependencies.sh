# shellcheck shell=bash
# The workspace's dependencies. Node 24 is one of them: pnpm puts node_modules/.bin first on the PATH of what it runs, so
# the system's own node, whatever its version, is neither used nor touched.

setup_dependencies() {
  local node log
  say 'dependencies: pnpm install'
  log=$(mktemp)
  # CI: never ask, not even before node_modules of another layout is made anew.
  if ! as_developer env CI=true pnpm install --frozen-lockfile --reporter=append-only </dev/null >"$log" 2>&1; then
    tail -30 "$log" >&2
    fail 'pnpm install did not succeed (above)' 'check the network to the npm registry and run bin/setup again'
  fi
  rm -f "$log"
  # An owner without an account cannot run pnpm; what root made for them is theirs all the same.
  if [ "$(id -u)" = 0 ] && [ "$CHECKOUT_UID" != 0 ] && ! owner_is_another; then
    chown -R --no-dereference --reference=. node_modules packages/*/node_modules
  fi
  node=$(as_developer pnpm exec node --version 2>&1 </dev/null) || true
  case $node in
    v24.*) say "dependencies: installed; what pnpm runs has Node ${node#v}" ;;
    *) fail "pnpm runs Node '$node' instead of 24" 'remove node_modules and run bin/setup again' ;;
  esac
}

# What a new embedded database is copied from.
setup_database_template() {
  as_developer pnpm exec node packages/kit/src/database/make-template.ts </dev/null ||
    fail "the embedded database's template could not be made (above)" 'remove node_modules and run bin/setup again'
}
