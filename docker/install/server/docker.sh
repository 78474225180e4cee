# Finds out which Docker the server has, and installs what is missing. Never installs a second engine.

# Prints the kind of Docker on this server: none, engine, stopped (an engine that does not answer), client (without an
# engine), snap, podman or rootless.
docker_kind() {
  local path
  path=$(type -P docker || true)
  case $(readlink -f "${path:-/none}") in
    /snap/* | */usr/bin/snap) echo snap && return ;;
    */podman*) echo podman && return ;;
  esac
  if [ -n "$path" ] && "$path" --version 2>/dev/null </dev/null | grep -qi podman; then
    echo podman
  elif [ -n "$path" ] && is_rootless_client; then
    echo rootless
  elif [ -n "$path" ] && docker info >/dev/null 2>&1 </dev/null; then
    echo engine
  elif has_rootless_engine; then
    echo rootless
  elif type -P dockerd >/dev/null; then
    echo stopped
  elif [ -n "$path" ]; then
    echo client
  else
    echo none
  fi
}

# Whether the engine that answers is rootless.
is_rootless_client() {
  docker info --format '{{json .SecurityOptions}}' 2>/dev/null </dev/null | grep -q rootless
}

# Whether any user runs a rootless engine.
has_rootless_engine() {
  local socket
  for socket in /run/user/*/docker.sock; do if [ -S "$socket" ]; then return 0; fi; done
  pgrep -x rootlesskit >/dev/null
}

# Whether Docker Compose is installed: v2, or docker-compose 1.27 or newer.
has_compose() {
  local version
  if docker compose version >/dev/null 2>&1 </dev/null; then return 0; fi
  version=$(docker-compose version --short 2>/dev/null </dev/null || true)
  case $version in '' | 1.[0-9].* | 1.1[0-9].* | 1.2[0-6].*) return 1 ;; esac
}

# Prints the package of Compose that fits the installed engine.
compose_package() {
  local name
  if dpkg-query --show --showformat='${db:Status-Status}' docker-ce 2>/dev/null | grep -q '^installed'; then
    echo docker-compose-plugin
    return
  fi
  for name in docker-compose-v2 docker-compose-plugin docker-compose; do
    if has_candidate "$name"; then
      echo "$name"
      return
    fi
  done
  # Before the first `apt-get update` apt knows no packages.
  compose_package_of_system
}

# Prints the package of Compose in the system's distribution.
compose_package_of_system() {
  case $(os_release ID) in ubuntu) echo docker-compose-v2 ;; *) echo docker-compose ;; esac
}

# Prints a value of /etc/os-release.
os_release() { # os_release NAME
  # shellcheck source=/dev/null
  (. "${OS_RELEASE_FILE:-/etc/os-release}" && eval "printf '%s\n' \"\${$1:-}\"")
}

# Plans what step_docker will do, or reports a Docker that roles cannot use.
check_docker() {
  case $(docker_kind) in
    none) plan "install Docker and Compose from the packages of $(os_release NAME)" ;;
    stopped) plan 'start Docker, which is installed and does not answer' ;;
    snap)
      problem 'Docker is installed as a snap, which cannot read /opt and loses containers when it refreshes' \
        'move its containers elsewhere, run snap remove docker, then this script, which installs a package instead'
      ;;
    podman)
      problem "the command docker is podman, which lacks what executors need of Docker's API" \
        'remove the package podman-docker (apt-get remove podman-docker), or use another server'
      ;;
    rootless)
      problem 'Docker runs rootless: it may not enforce limits of jobs, and a second engine would conflict with it' \
        'uninstall it as its user (dockerd-rootless-setuptool.sh uninstall), or use another server'
      ;;
    client)
      problem 'there is a Docker client without an engine on this server' \
        'install the engine of the same source (docker-ce or docker.io), or remove the client'
      ;;
    engine) if ! has_compose; then plan "add Compose to the installed Docker (package $(compose_package))"; fi ;;
  esac
}

# Installs Docker and Compose as far as they are missing, and starts Docker.
step_docker() {
  case $(docker_kind) in
    none)
      update_lists
      install_packages docker.io "$(compose_package)"
      ;;
    stopped) start_docker ;;
    engine)
      if ! has_compose; then
        update_lists
        install_packages "$(compose_package)"
      fi
      ;;
    *) fail 'the Docker of this server cannot be used' 'run this script again: its checks say why' ;;
  esac
  docker info >/dev/null 2>&1 || start_docker
  has_compose || fail 'Docker has no Compose after installing it' 'install docker-compose-v2 or docker-compose by hand'
  systemctl enable --quiet docker 2>/dev/null || true
  say "Docker $(docker version --format '{{.Server.Version}}') and Compose are installed"
}

# Starts Docker and waits until it answers.
start_docker() {
  local end=$((SECONDS + 30))
  say 'Starting Docker'
  systemctl reset-failed docker.service docker.socket 2>/dev/null || true
  systemctl start docker >/dev/null 2>&1 </dev/null || true
  until docker info >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ] || systemctl is-failed --quiet docker; then
      journalctl --no-pager --lines 10 --unit docker 2>/dev/null || true
      fail 'Docker does not start (above: the end of its log)' 'fix what its log names (journalctl -u docker)'
    fi
    sleep 1
  done
}
