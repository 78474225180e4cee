# The NVIDIA driver and container toolkit of a miner's server.

NVIDIA_URL=${opt_nvidia_url:-https://nvidia.github.io/libnvidia-container}
NVIDIA_LIST=/etc/apt/sources.list.d/compute-horde-nvidia-container-toolkit.list
NVIDIA_KEY=/etc/apt/keyrings/compute-horde-nvidia-container-toolkit.asc
APT_LISTS=/etc/apt/sources.list
# Contains the id of the boot in which the driver was installed.
DRIVER_BOOT_FILE=/var/lib/compute-horde-driver-boot

# Whether the server has an NVIDIA display controller: PCI class 03, vendor 10de.
has_nvidia_card() {
  local device
  if type -P lspci >/dev/null; then
    lspci -n 2>/dev/null </dev/null | grep -Eiq ' 03[0-9a-f]{2}: 10de:'
    return
  fi
  for device in /sys/bus/pci/devices/*; do
    if [ "$(cat "$device/vendor" 2>/dev/null)" = 0x10de ]; then
      case $(cat "$device/class") in 0x03*) return 0 ;; esac
    fi
  done
  return 1
}

# Prints the state of the driver: works, missing, reboot (installed or updated since the last boot) or broken.
driver_state() {
  local output
  if ! type -P nvidia-smi >/dev/null; then
    echo missing
  elif output=$(nvidia-smi -L 2>&1 </dev/null); then
    echo works
  elif [ "$(cat "$DRIVER_BOOT_FILE" 2>/dev/null)" = "$(boot_id)" ]; then
    echo reboot
  else
    case $output in *'version mismatch'*) echo reboot ;; *) echo broken ;; esac
  fi
}

boot_id() { cat "${BOOT_ID_FILE:-/proc/sys/kernel/random/boot_id}"; }

has_toolkit() { type -P nvidia-ctk >/dev/null; }
has_nvidia_runtime() { docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -q '"nvidia"'; }

# Prints the packages of the driver: on Ubuntu the newest for servers, on Debian the only one.
driver_packages() {
  local newest
  case $(os_release ID) in
    ubuntu)
      newest=$(apt-cache pkgnames nvidia-driver- 2>/dev/null | grep -E '^nvidia-driver-[0-9]+-server$' |
        LC_ALL=C sort -V | tail -n 1)
      printf '%s\n' "${newest:-nvidia-driver-570-server}"
      ;;
    *) printf 'linux-headers-%s nvidia-driver nvidia-smi\n' "$(dpkg --print-architecture)" ;;
  esac
}

# Prints the apt list that already has the packages of the toolkit, or nothing.
toolkit_list() {
  local address="nvidia\.github\.io/libnvidia-container|${NVIDIA_URL#*://}"
  grep -rlE "^[^#]*($address)" "$APT_LISTS" "$APT_LISTS.d" 2>/dev/null | head -n 1
}

# Plans what step_nvidia will do, or reports a driver that does not work.
check_nvidia() {
  if ! has_nvidia_card; then
    warn_without_card
    return 0
  fi
  case $(driver_state) in
    missing) plan "install the NVIDIA driver ($(driver_packages)), and ask you to reboot the server" ;;
    reboot) plan 'ask for a reboot: the NVIDIA driver was installed or updated since this server started' ;;
    broken)
      problem "the NVIDIA driver is installed and does not work: $(nvidia-smi -L 2>&1 </dev/null | head -n 1)" \
        'run dmesg | grep -i nvidia (Secure Boot? a module for another kernel?), or pass --no-gpu'
      ;;
  esac
  if ! has_toolkit; then
    if [ -n "$(toolkit_list)" ]; then
      plan "install nvidia-container-toolkit from the existing list $(toolkit_list)"
    else
      plan "add NVIDIA's apt list $NVIDIA_LIST and install nvidia-container-toolkit"
    fi
  fi
  if ! has_nvidia_runtime; then plan 'add the NVIDIA runtime to Docker, and restart Docker once'; fi
}

# Warns if the executor class needs a card: without one, the miner declines all jobs.
warn_without_card() {
  local class
  class=$(env_or EXECUTOR_CLASS "$opt_class")
  case $class in
    *gpu* | *llm*)
      warn "there is no NVIDIA card, and executors of the class $class need one: the miner will take no jobs." \
        'For a server without a card: --class always_on.cpu.8c.16gb'
      ;;
  esac
}

# Installs the driver and the toolkit as far as they are missing, and adds the NVIDIA runtime to Docker.
step_nvidia() {
  if ! has_nvidia_card; then
    say 'No NVIDIA card: nothing to install'
    return
  fi
  if [ "$(driver_state)" = missing ]; then install_driver; fi
  has_toolkit || install_toolkit
  if ! has_nvidia_runtime; then
    nvidia-ctk runtime configure --runtime=docker >>"$INSTALL_LOG" 2>&1 </dev/null ||
      fail "Docker's settings could not be changed" 'nvidia-ctk runtime configure --runtime=docker'
    say 'Restarting Docker, so that it finds the NVIDIA runtime'
    systemctl restart docker >>"$INSTALL_LOG" 2>&1 </dev/null || start_docker
  fi
  if [ "$(driver_state)" = reboot ]; then
    answer reboot ''
    fail 'the NVIDIA driver works only after a reboot' 'reboot the server (sudo reboot)'
  fi
  say 'The NVIDIA driver and the container toolkit are installed'
}

install_driver() {
  local packages
  update_lists
  if [ "$(os_release ID)" = debian ] && ! has_candidate nvidia-driver; then
    add_non_free
    update_lists
  fi
  packages=$(driver_packages)
  # shellcheck disable=SC2086 # one word per package
  install_packages $packages
  boot_id >"$DRIVER_BOOT_FILE"
}

# Adds Debian's section non-free, which has the driver and which Debian's installer may leave out.
add_non_free() {
  local list=/etc/apt/sources.list.d/compute-horde-non-free.list
  say "Adding Debian's non-free packages: $list"
  printf 'deb http://deb.debian.org/debian %s contrib non-free non-free-firmware\n' \
    "$(os_release VERSION_CODENAME)" >"$list"
}

# Installs the container toolkit. Uses an existing apt list for it: a second list with another key makes apt refuse all
# work ("Conflicting values set for option Signed-By").
install_toolkit() {
  local key
  if [ -z "$(toolkit_list)" ]; then
    if ! type -P curl >/dev/null; then
      update_lists
      install_packages curl ca-certificates
    fi
    mkdir -p "${NVIDIA_KEY%/*}"
    key=$(curl --silent --show-error --fail --location "$NVIDIA_URL/gpgkey" 2>&1 </dev/null) ||
      fail "NVIDIA's key could not be fetched: $key" "check whether this server reaches $NVIDIA_URL"
    printf '%s\n' "$key" >"$NVIDIA_KEY"
    chmod 644 "$NVIDIA_KEY"
    printf 'deb [signed-by=%s] %s/stable/deb/%s /\n' \
      "$NVIDIA_KEY" "$NVIDIA_URL" "$(dpkg --print-architecture)" >"$NVIDIA_LIST"
  fi
  update_lists
  install_packages nvidia-container-toolkit
}
