# shellcheck shell=bash
# Installs the dependencies of the workspace. Node 24 is one of them: pnpm runs programs with node_modules/.bin first on
# the PATH, so it never uses the system's node.

# Runs pnpm install, and checks the version of Node.
setup_dependencies() {
  local node log
  say 'dependencies: pnpm install'
  log=$(mktemp)
  # CI=true: pnpm asks nothing, not even whether to replace node_modules of another layout.
  if ! as_developer env CI=true pnpm install --frozen-lockfile --reporter=append-only </dev/null >"$log" 2>&1; then
    tail -30 "$log" >&2
    fail 'pnpm install failed (above)' 'check the connection to the npm registry, then run bin/setup again'
  fi
  rm -f "$log"
  # The owner of the clone may have no account on this machine. Then root has run pnpm, and gives them the files.
  if [ "$(id -u)" = 0 ] && [ "$CHECKOUT_UID" != 0 ] && ! owner_is_another; then
    chown -R --no-dereference --reference=. node_modules packages/*/node_modules
  fi
  node=$(as_developer pnpm exec node --version 2>&1 </dev/null) || true
  case $node in
    v24.*) say "dependencies: installed; pnpm uses Node ${node#v}" ;;
    *) fail "pnpm uses Node '$node' instead of 24" 'remove node_modules, then run bin/setup again' ;;
  esac
}

# Makes the template from which services copy a new embedded database.
setup_database_template() {
  as_developer pnpm exec node packages/kit/src/database/make-template.ts </dev/null ||
    fail "the embedded database's template could not be made (above)" 'remove node_modules, then run bin/setup again'
}
