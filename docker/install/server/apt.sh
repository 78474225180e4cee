# apt and dpkg on the server. They never ask a question, and wait while another program holds their lock.

# How long to wait for the lock of apt or dpkg, in seconds. On a fresh server unattended-upgrades holds it for minutes.
APT_LOCK_SECONDS=${opt_apt_lock_seconds:-900}
APT_LOCK_RETRY_SECONDS=5

# Runs apt-get, and waits while another program holds its lock. Appends the output to the install log. If apt-get fails,
# prints the end of the output and returns its exit code.
apt_get() { # apt_get ARGUMENTS...
  local output status announced=no end=$((SECONDS + APT_LOCK_SECONDS))
  output=$(mktemp)
  while true; do
    status=0
    # The variables are set here, because sudo would drop them. A configuration file that the owner changed stays.
    env LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 \
      APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1 \
      apt-get --quiet --yes --option Dpkg::Options::=--force-confdef --option Dpkg::Options::=--force-confold \
      "$@" </dev/null >"$output" 2>&1 || status=$?
    cat "$output" >>"$INSTALL_LOG"
    if [ "$status" = 0 ] || ! is_apt_locked "$output"; then break; fi
    if [ "$SECONDS" -ge "$end" ]; then
      rm -f "$output"
      fail "another program has held apt's lock for $APT_LOCK_SECONDS s: $(apt_lock_holder)" \
        'wait until it ends (ps -ef | grep -E "apt|dpkg")'
    fi
    if [ "$announced" = no ]; then
      announced=yes
      say "Waiting for the system's own update to end (at most $APT_LOCK_SECONDS s): $(apt_lock_holder)"
    fi
    sleep "$APT_LOCK_RETRY_SECONDS"
  done
  if [ "$status" != 0 ]; then tail -n 15 "$output"; fi
  rm -f "$output"
  return "$status"
}

# Whether apt-get failed because another program holds its lock.
is_apt_locked() { # is_apt_locked OUTPUT-FILE
  grep -Eq 'Could not get lock|Unable to acquire the dpkg|is another process using it' "$1"
}

# Prints the process that holds apt's lock, as apt-get named it last.
apt_lock_holder() {
  local holder
  holder=$(sed -n 's/.*[Ii]s held by process \([0-9]*\) (\([^)]*\)).*/process \1 (\2)/p' "$INSTALL_LOG" | tail -n 1)
  printf '%s\n' "${holder:-see ps -ef | grep -E 'apt|dpkg'}"
}

# Configures packages that an interrupted dpkg left unconfigured. apt-get would refuse to work before that.
finish_dpkg() {
  if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
    say 'Configuring packages that an interrupted dpkg left unconfigured'
    env LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
      dpkg --force-confdef --force-confold --configure -a </dev/null >>"$INSTALL_LOG" 2>&1 || true
  fi
}

# Fetches the package lists.
update_lists() {
  finish_dpkg
  say 'Fetching the package lists'
  apt_get update || fail 'the package lists could not be fetched (above)' \
    'check whether this server reaches its mirror: apt-get update'
}

# Installs packages. Call update_lists first.
install_packages() { # install_packages PACKAGE...
  say "Installing $*"
  apt_get install --no-install-recommends "$@" || fail "$* could not be installed (above)" "apt-get install $*"
}

# Whether apt can install a package.
has_candidate() { # has_candidate PACKAGE
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q '^  Candidate: [^(]'
}
