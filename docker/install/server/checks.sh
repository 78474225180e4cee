# What is looked at on the server before anything is changed. Every mistake is reported, each with what to do.

# Free disk that an installation needs, in GiB: images, database, and for a miner the images of jobs.
disk_gib() { case $role in miner) echo "${opt_disk_gib:-20}" ;; *) echo "${opt_disk_gib:-10}" ;; esac; }
MIN_MEMORY_MIB=1700
# Signatures carry a time: peers refuse those of a clock that is further off, in seconds.
MAX_CLOCK_SECONDS=20

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

check_system() {
  case $(os_release ID) in
    debian | ubuntu) ;;
    *) case " $(os_release ID_LIKE) " in *debian* | *ubuntu*) ;; *)
      problem "the server runs $(os_release PRETTY_NAME), not Debian or Ubuntu" \
        'install Docker and Compose by hand and use docker/compose.'"$role"'.yml, or use another server'
      ;;
    esac ;;
  esac
  case $(uname -m) in
    x86_64) ;;
    aarch64)
      if [ -n "$opt_prefix" ]; then
        problem 'the images that are published are for x86_64 only, and this server is an aarch64' \
          'leave --image-prefix out, and pass --from where the script stands in no checkout: the images are then built on the server'
      fi
      ;;
    *) problem "there are no images for this processor ($(uname -m))" 'use an x86_64 or aarch64 server' ;;
  esac
  [ -d /run/systemd/system ] || problem 'systemd does not run on this server' 'use a server, not a container, or run docker/compose.'"$role"'.yml by hand'
  fact system "$(os_release PRETTY_NAME), $(uname -m)"
}

# The folder, or the nearest one above that exists.
existing() { # existing PATH
  local path=$1
  while [ ! -d "$path" ]; do path=${path%/*} path=${path:-/}; done
  printf '%s\n' "$path"
}

# Where Docker keeps its data, or will: an owner may have put it on another disk.
docker_data() {
  local path
  path=$(docker info --format '{{.DockerRootDir}}' 2>/dev/null </dev/null || true)
  case $path in /*) printf '%s\n' "$path" ;; *) echo /var/lib/docker ;; esac
}

check_disk() {
  local path free needed
  # What runs already has taken its room.
  if [ -e "$folder/state/healthy" ]; then return 0; fi
  needed=$(disk_gib)
  for path in "$(docker_data)" "$ROOT"; do
    path=$(existing "$path")
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
  [ "$memory" -ge "$MIN_MEMORY_MIB" ] || problem "the server has $memory MiB of memory; the $role needs 2 GiB" 'use a larger server'
}

check_clock() {
  local off=$((opt_now - $(date +%s)))
  off=${off#-}
  [ "$off" -le "$MAX_CLOCK_SECONDS" ] || warn "the clocks of this machine and of the server differ by $off s: peers refuse messages of a wrong clock; on the server: timedatectl set-ntp true"
}

# Ports that another program than this role holds.
check_ports() {
  check_port "$(wanted_setting ADMIN_PORT "$opt_admin_port")" --admin-port
  if [ "$role" = miner ]; then check_port "$(wanted_setting PUBLIC_PORT "$opt_port")" --port; fi
}

wanted_setting() { # wanted_setting NAME VALUE: what .env says, else VALUE
  local value
  value=$(setting "$1")
  printf '%s\n' "${value:-$2}"
}

check_port() { # check_port PORT OPTION
  local holder
  if own_containers_publish "$1"; then return 0; fi
  holder=$(ss -Htlnp "sport = :$1" 2>/dev/null | head -n 1)
  [ -n "$holder" ] || return 0
  holder=$(printf '%s\n' "$holder" | sed -n 's/.*users:(("\([^"]*\)".*/\1/p')
  problem "port $1 of the server is taken${holder:+ by $holder}" "stop what holds it (ss -tlnp 'sport = :$1'), or pass another: $2 PORT"
}

own_containers_publish() { # own_containers_publish PORT
  type -P docker >/dev/null || return 1
  docker ps --filter "label=com.docker.compose.project=$project" --format '{{.Ports}}' 2>/dev/null </dev/null | grep -q ":$1->"
}

check_firewall() {
  if LC_ALL=C ufw status 2>/dev/null </dev/null | grep -q '^Status: active'; then
    if [ "$role" = miner ]; then
      warn "ufw is on, and ports that Docker publishes bypass it: the miner's port $(wanted_setting PUBLIC_PORT "$opt_port") is reachable whatever ufw says; nothing else is"
    else
      warn 'ufw is on, and ports that Docker publishes bypass it: the validator publishes none but on loopback'
    fi
  fi
}

# An .env that is there wins over what was passed now, and that is said.
check_settings() {
  [ -e "$folder/.env" ] || return 0
  differs BITTENSOR_NETWORK "$opt_network_given" --network
  differs BITTENSOR_NETUID "$opt_netuid_given" --netuid
  differs EXECUTOR_CLASS "$opt_class_given" --class
  differs ADMIN_PORT "$opt_admin_port_given" --admin-port
  if [ "$role" = miner ]; then differs PUBLIC_PORT "$opt_port_given" --port; fi
}

differs() { # differs NAME VALUE OPTION
  local now
  now=$(setting "$1")
  if [ -n "$2" ] && [ -n "$now" ] && [ "$now" != "$2" ]; then
    warn "$folder/.env says $1=$now and is kept; $3 $2 is ignored. To change it: edit the file, then run this again"
  fi
}

plan_files() {
  local verb=write
  plan "write $COMMAND_PATH (mode 755), $folder/compose.yml (mode 644)"
  if [ -e "$folder/.env" ]; then verb='keep, with new settings added,'; fi
  plan "$verb $folder/.env (mode 600)"
  plan "write $folder/wallet/default/hotkeys/default and coldkeypub.txt (mode 600)"
  if [ "$opt_auto_update" = yes ]; then plan "write /etc/systemd/system/compute-horde-$role-update.timer and .service"; fi
  if [ -n "$opt_prefix" ]; then
    for name in $(images_of_role); do plan "pull $opt_prefix/$name:$opt_version"; done
  else
    plan "build the images of the $role from the sources, in $folder/source"
  fi
  plan "start the $role, wait until it is healthy, and run its check"
}
