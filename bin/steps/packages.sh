# shellcheck shell=bash
# Installs the Debian packages that are missing, without asking.

# How long to wait for the lock of apt or dpkg, in seconds.
readonly APT_LOCK_SECONDS=300

# Runs apt-get as root. It waits for dpkg's lock, and keeps changed configuration files.
apt_get() { # apt_get ARGUMENTS…
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get -q -o "DPkg::Lock::Timeout=$APT_LOCK_SECONDS" -o Dpkg::Options::=--force-confold "$@" </dev/null
}

# Fetches the package lists. Waits for their lock, which apt-get itself does not do. Continues if the fetch fails,
# because the lists of an earlier fetch may be enough.
apt_update() {
  local deadline=$((SECONDS + APT_LOCK_SECONDS)) output
  until output=$(LC_ALL=C apt_get update 2>&1); do
    if ! grep -q 'Could not get lock' <<<"$output" || [ "$SECONDS" -gt "$deadline" ]; then
      say "packages: apt-get update failed, continuing: $(grep -m1 '^[EW]:' <<<"$output" || true)"
      return
    fi
    sleep 2
  done
}

# Installs packages. Fails with the end of apt-get's output.
install_packages() { # install_packages PACKAGE…
  local log
  say "packages: installing $*"
  log=$(mktemp)
  apt_update
  if ! apt_get install -y --no-install-recommends "$@" >"$log" 2>&1; then
    tail -20 "$log" >&2
    fail "apt-get could not install $*" "try it by hand: sudo apt-get update && sudo apt-get install $*"
  fi
  rm -f "$log"
}

has_postgres() { command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }

# Installs a server that tests start themselves. Masks the package's service before the installation, or stops it if
# there is no systemd, because it would listen on every address of this machine.
install_without_service() { # install_without_service PACKAGE SERVICE
  local unit
  as_root mkdir -p /etc/systemd/system
  for unit in "$2.service" "$2.socket"; do as_root ln -sf /dev/null "/etc/systemd/system/$unit"; done
  install_packages "$1"
  if ! [ -d /run/systemd/system ]; then
    as_root "/etc/init.d/$2" stop >/dev/null 2>&1 || true
    as_root update-rc.d "$2" disable >/dev/null 2>&1 || true
  fi
}

has_sshd() { command -v sshd >/dev/null || [ -x /usr/sbin/sshd ]; }

# Installs all missing packages.
setup_packages() {
  local missing=()
  command -v curl >/dev/null || missing+=(curl)
  [ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  # Tests make their own certificates and networks.
  command -v openssl >/dev/null || missing+=(openssl)
  command -v ip >/dev/null || missing+=(iproute2)
  command -v shellcheck >/dev/null || missing+=(shellcheck)
  # Miners reach engines on other hosts by ssh.
  command -v ssh >/dev/null || missing+=(openssh-client)
  has_postgres || missing+=(postgresql)
  if ! engine_answers && ! dockerd_path >/dev/null && ! engine_answers_root; then
    missing+=(docker.io)
    # If the kernel enforces AppArmor, a container starts only with AppArmor's parser.
    if grep -qs Y /sys/module/apparmor/parameters/enabled && ! [ -x /sbin/apparmor_parser ]; then
      missing+=(apparmor)
    fi
  fi
  if [ ${#missing[@]} = 0 ]; then say 'packages: nothing is missing'; else install_packages "${missing[@]}"; fi
  command -v docker-registry >/dev/null || install_without_service docker-registry docker-registry
  has_sshd || install_without_service openssh-server ssh
  # In newer releases docker.io does not contain the client.
  command -v docker >/dev/null || install_packages docker-cli
}
