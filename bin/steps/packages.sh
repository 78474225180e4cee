# shellcheck shell=bash
# Debian packages: only those that are missing, without a question asked.

readonly APT_LOCK_SECONDS=300

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
    apt-get -q -o "DPkg::Lock::Timeout=$APT_LOCK_SECONDS" -o Dpkg::Options::=--force-confold "$@" </dev/null
}

# apt-get waits for dpkg's lock by itself, but not for that of the package lists.
apt_update() {
  local deadline=$((SECONDS + APT_LOCK_SECONDS)) output
  until output=$(LC_ALL=C apt_get update 2>&1); do
    if ! grep -q 'Could not get lock' <<<"$output" || [ "$SECONDS" -gt "$deadline" ]; then
      say "packages: apt-get update had complaints, going on: $(grep -m1 '^[EW]:' <<<"$output" || true)"
      return
    fi
    sleep 2
  done
}

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

# A server that tests start themselves, with settings of their own. The package's own service would listen on every address
# of this machine: it is masked before it comes, or stopped where there is no systemd.
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

setup_packages() {
  local missing=()
  command -v curl >/dev/null || missing+=(curl)
  [ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
  # Tests make certificates, and networks, of their own.
  command -v openssl >/dev/null || missing+=(openssl)
  command -v ip >/dev/null || missing+=(iproute2)
  command -v shellcheck >/dev/null || missing+=(shellcheck)
  # Miners reach engines of other hosts by ssh.
  command -v ssh >/dev/null || missing+=(openssh-client)
  has_postgres || missing+=(postgresql)
  if ! engine_answers && ! dockerd_path >/dev/null && ! engine_answers_root; then
    missing+=(docker.io)
    # A kernel that enforces AppArmor wants its parser before it lets a container start.
    if grep -qs Y /sys/module/apparmor/parameters/enabled && ! [ -x /sbin/apparmor_parser ]; then missing+=(apparmor); fi
  fi
  if [ ${#missing[@]} = 0 ]; then say 'packages: nothing is missing'; else install_packages "${missing[@]}"; fi
  command -v docker-registry >/dev/null || install_without_service docker-registry docker-registry
  has_sshd || install_without_service openssh-server ssh
  # Newer releases keep the client in a package of its own.
  command -v docker >/dev/null || install_packages docker-cli
}
