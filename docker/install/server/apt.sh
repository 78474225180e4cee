# apt and dpkg on the server: never a question, and nobody else's update is disturbed.

# How long another program may hold the lock of apt or dpkg, in seconds: unattended-upgrades does on a fresh server.
APT_LOCK_SECONDS=${opt_apt_lock_seconds:-900}
APT_LOCK_RETRY_SECONDS=5

# Runs apt-get. Its output goes to the install log; a failure prints the last lines of it.
apt_get() { # apt_get ARGUMENTS...
  local output status told=no end=$((SECONDS + APT_LOCK_SECONDS))
  output=$(mktemp)
  while true; do
    status=0
    # Set here and not outside, since sudo would drop them. The owner's own version of a changed conffile stays.
    env LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 \
      APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1 \
      apt-get --quiet --yes --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold \
      "$@" </dev/null >"$output" 2>&1 || status=$?
    cat "$output" >>"$INSTALL_LOG"
    if [ "$status" = 0 ] || ! is_apt_locked "$output"; then break; fi
    if [ "$SECONDS" -ge "$end" ]; then
      rm -f "$output"
      fail "another program has held apt's lock for $APT_LOCK_SECONDS s: $(apt_lock_holder)" \
        'wait until it is done (ps -ef | grep -E "apt|dpkg")'
    fi
    if [ "$told" = no ]; then
      told=yes
      say "Waiting for the system's own update to end (at most $APT_LOCK_SECONDS s): $(apt_lock_holder)"
    fi
    sleep "$APT_LOCK_RETRY_SECONDS"
  done
  if [ "$status" != 0 ]; then tail -n 15 "$output"; fi
  rm -f "$output"
  return "$status"
}

is_apt_locked() { grep -Eq 'Could not get lock|Unable to acquire the dpkg|is another process using it' "$1"; } # is_apt_locked OUTPUT

apt_lock_holder() {
  local holder
  holder=$(sed -n 's/.*[Ii]t is held by process \([0-9]*\) (\([^)]*\)).*/process \1 (\2)/p; s/.*is held by process \([0-9]*\) (\([^)]*\)).*/process \1 (\2)/p' "$INSTALL_LOG" | tail -n 1)
  printf '%s\n' "${holder:-see ps -ef | grep -E 'apt|dpkg'}"
}

# What an interrupted dpkg left half done stands in the way of everything else.
finish_dpkg() {
  if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
    say 'Finishing what an interrupted dpkg left half done'
    env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
      dpkg --force-confdef --force-confold --configure -a </dev/null >>"$INSTALL_LOG" 2>&1 || true
  fi
}

update_lists() {
  finish_dpkg
  say 'Fetching the lists of packages'
  apt_get update || fail 'the lists of packages could not be fetched (above)' 'see whether this server reaches its mirror: apt-get update'
}

install_packages() { # install_packages PACKAGE..., after update_lists
  say "Installing $*"
  apt_get install --no-install-recommends "$@" || fail "$* could not be installed (above)" "apt-get install $*"
}

has_candidate() { # has_candidate PACKAGE
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}
