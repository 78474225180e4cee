# Preflight checks: examine the server and change nothing. Each problem is reported with what to do about it.

MIN_MEMORY_MIB=1700
# How far the server's clock may be off, in seconds. Peers refuse signatures with an older or newer time.
MAX_CLOCK_SECONDS=20

# Prints the free disk space that an installation needs, in GiB: for images and database, and for a miner also for the
# images of jobs.
needed_disk_gib() { case $role in miner) echo "${opt_disk_gib:-20}" ;; *) echo "${opt_disk_gib:-10}" ;; esac; }

# Runs all checks, and prints what the installation will do.
step_checks() {
  check_system
  check_disk
  check_memory
  check_clock
  check_docker
  check_ports
  check_firewall
  check_settings
  if [ "$role" = miner ] && [ "$opt_gpu" = yes ]; then check_nvidia; fi
  plan_files
}

# Checks the distribution, the processor and systemd.
check_system() {
  case $(os_release ID) in
    debian | ubuntu) ;;
    *) case " $(os_release ID_LIKE) " in *debian* | *ubuntu*) ;; *)
      problem "the server runs $(os_release PRETTY_NAME), not Debian or Ubuntu" \
        "install Docker and Compose by hand and use docker/compose.$role.yml, or use another server"
      ;;
    esac ;;
  esac
  case $(uname -m) in
    x86_64) ;;
    aarch64)
      if [ -n "$opt_prefix" ]; then
        problem 'the published images are for x86_64 only, and this server is an aarch64' \
          'leave out --image-prefix, so that the server builds the images; without a checkout also pass --from'
      fi
      ;;
    *) problem "there are no images for this processor ($(uname -m))" 'use an x86_64 or aarch64 server' ;;
  esac
  [ -d /run/systemd/system ] || problem 'systemd does not run on this server' \
    "use a server, not a container, or run docker/compose.$role.yml by hand"
  fact system "$(os_release PRETTY_NAME), $(uname -m)"
}

# Prints a folder, or its nearest parent that exists.
existing_parent() { # existing_parent PATH
  local path=$1
  while [ ! -d "$path" ]; do path=${path%/*} path=${path:-/}; done
  printf '%s\n' "$path"
}

# Prints the folder of Docker's data. An owner may have moved it to another disk.
docker_data_folder() {
  local path
  path=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null </dev/null || true)
  case $path in /*) printf '%s\n' "$path" ;; *) echo /var/lib/docker ;; esac
}

# Checks the free disk space, unless the role is installed already.
check_disk() {
  local path free needed
  if [ -e "$folder/state/healthy" ]; then return 0; fi
  needed=$(needed_disk_gib)
  for path in "$(docker_data_folder)" "$ROOT"; do
    path=$(existing_parent "$path")
    free=$(df -Pm "$path" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt $((needed * 1024)) ]; then
      problem "only $((free / 1024)) GiB are free on the disk of $path; the $role needs $needed" \
        "free some (docker system df; du -xh -d1 $path | sort -h), or use a larger disk"
      return 0
    fi
  done
}

check_memory() {
  local memory
  memory=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
  [ "$memory" -ge "$MIN_MEMORY_MIB" ] ||
    problem "the server has $memory MiB of memory; the $role needs 2 GiB" 'use a larger server'
}

# Compares the server's clock with that of the owner's machine.
check_clock() {
  local off=$((opt_now - $(date +%s)))
  off=${off#-}
  [ "$off" -le "$MAX_CLOCK_SECONDS" ] ||
    warn "the clocks of this machine and of the server differ by $off s, and peers refuse messages with a wrong time;" \
      'on the server run: timedatectl set-ntp true'
}

# Checks that the role's ports are free or used by the role itself.
check_ports() {
  check_port "$(env_or ADMIN_PORT "$opt_admin_port")" --admin-port
  if [ "$role" = miner ]; then check_port "$(env_or PUBLIC_PORT "$opt_port")" --port; fi
}

# Prints a setting of .env, or DEFAULT if .env does not have it.
env_or() { # env_or NAME DEFAULT
  local value
  value=$(setting "$1")
  printf '%s\n' "${value:-$2}"
}

check_port() { # check_port PORT OPTION
  local holder
  if role_publishes "$1"; then return 0; fi
  holder=$(ss -Htlnp "sport = :$1" 2>/dev/null | head -n 1)
  [ -n "$holder" ] || return 0
  holder=$(printf '%s\n' "$holder" | sed -n 's/.*users:(("\([^"]*\)".*/\1/p')
  if [ "$holder" = docker-proxy ] && role_will_publish "$1"; then return 0; fi
  problem "port $1 of the server is taken${holder:+ by $holder}" \
    "stop the program that uses it (ss -tlnp 'sport = :$1'), or pass another port: $2 PORT"
}

# Whether a running container of this role publishes a port.
role_publishes() { # role_publishes PORT
  type -P docker >/dev/null || return 1
  docker ps --filter "label=com.docker.compose.project=$project" --format '{{.Ports}}' 2>/dev/null </dev/null |
    grep -q ":$1->"
}

# Whether a container of this role publishes a port whenever it runs, and no other container does. Between two starts of
# a container that ends at its start, Docker may hold its port although the container does not run.
role_will_publish() { # role_will_publish PORT
  local others containers
  others=$(docker ps --filter "publish=$1" --format '{{.Label "com.docker.compose.project"}}' 2>/dev/null </dev/null |
    grep -vxF "$project" || true)
  [ -z "$others" ] || return 1
  containers=$(docker ps -aq --filter "label=com.docker.compose.project=$project" 2>/dev/null </dev/null)
  # shellcheck disable=SC2086 # one argument for each container
  docker inspect --format '{{range .HostConfig.PortBindings}}{{range .}}:{{.HostPort}}->{{end}}{{end}}' $containers \
    2>/dev/null </dev/null | grep -q ":$1->"
}

# Warns that ufw does not block the ports that Docker publishes.
check_firewall() {
  if LC_ALL=C ufw status 2>/dev/null </dev/null | grep -q '^Status: active'; then
    if [ "$role" = miner ]; then
      warn 'ufw is active, but it cannot block ports that Docker publishes:' \
        "the miner's port $(env_or PUBLIC_PORT "$opt_port") is reachable whatever ufw says; no other port is"
    else
      warn 'ufw is active, but it cannot block ports that Docker publishes; the validator publishes only on loopback'
    fi
  fi
}

# Warns of options that differ from an existing .env, which the installation keeps.
check_settings() {
  [ -e "$folder/.env" ] || return 0
  warn_if_ignored BITTENSOR_NETWORK "$opt_network_given" --network
  warn_if_ignored BITTENSOR_NETUID "$opt_netuid_given" --netuid
  warn_if_ignored EXECUTOR_CLASS "$opt_class_given" --class
  warn_if_ignored ADMIN_PORT "$opt_admin_port_given" --admin-port
  if [ "$role" = miner ]; then warn_if_ignored PUBLIC_PORT "$opt_port_given" --port; fi
}

warn_if_ignored() { # warn_if_ignored SETTING VALUE OPTION
  local now
  now=$(setting "$1")
  if [ -n "$2" ] && [ -n "$now" ] && [ "$now" != "$2" ]; then
    warn "$folder/.env says $1=$now and is kept; $3 $2 is ignored." \
      'To change it: edit the file, then run this script again'
  fi
}

# Prints what the installation will write, fetch and start.
plan_files() {
  local verb=write
  plan "write $COMMAND_PATH (mode 755), $folder/compose.yml (mode 644)"
  if [ -e "$folder/.env" ]; then verb='keep, with new settings added,'; fi
  plan "$verb $folder/.env (mode 600)"
  plan "write $folder/wallet/default/hotkeys/default and coldkeypub.txt (mode 600)"
  if [ "$opt_auto_update" = yes ]; then
    plan "write /etc/systemd/system/compute-horde-$role-update.timer and .service"
  fi
  if [ -n "$opt_prefix" ]; then
    for name in $(images_of_role); do plan "pull $opt_prefix/$name:$opt_version"; done
  else
    plan "build the images of the $role from the sources, in $folder/source"
  fi
  plan "start the $role, wait until it is healthy, and run its check"
}
