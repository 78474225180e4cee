# The command line of the install script.

usage() {
  cat <<END
Installs a Compute Horde $ROLE on a server, over SSH.

  $SCRIPT SSH_DESTINATION HOTKEY_PATH [OPTIONS]
  curl -sSfL …/$SCRIPT | bash -s - SSH_DESTINATION HOTKEY_PATH [OPTIONS]

  SSH_DESTINATION         user@host, or a name in ~/.ssh/config. The user is root or may use sudo
  HOTKEY_PATH             the hotkey's file, such as ~/.bittensor/wallets/default/hotkeys/default

  --version VERSION       the version of the images to pull ($VERSION); VERSION@sha256:… pins the $ROLE's image
  --image-prefix PREFIX   pull PREFIX/$ROLE from a registry; without it the images are built on the server
  --from SOURCE           the sources to build: a checkout's folder, a .tar.gz, or its address. Without it, the checkout
                          that contains this script. A .tar.gz needs a checksum: SOURCE#sha256=… or a file SOURCE.sha256
  --base-image IMAGE      the base of the built images, in place of the public one
  --network NETWORK       the chain: finney (the default), test, local, host:port or a URL
  --netuid NUMBER         the subnet ($DEFAULT_NETUID)
  --port PORT             a miner's port for validators, open to the internet ($(default_of PUBLIC_PORT))
  --admin-port PORT       the status page, on the server's loopback only ($(default_of ADMIN_PORT))
  --class CLASS           the class of a miner's executors ($(default_of EXECUTOR_CLASS))
  --no-gpu                do not install or check NVIDIA driver and toolkit on a miner's server
  --identity FILE         the SSH key, as for ssh -i
  --ssh-port PORT         the SSH port, as for ssh -p
  --auto-update           update once a day, and go back when a new version does not become healthy
  --dry-run               check everything, print each step and each file, change nothing
  --yes                   do not ask for confirmation
  --help                  print this text

Copies only the hotkey and coldkeypub.txt, never the coldkey. Run it again to repair, to continue, or to update.
Exit codes: 0 done; 1 a step failed; 2 fix the named problems first; 3 reboot the server first.
END
}

# Prints a setting's default, from the example settings.
default_of() { # default_of NAME
  print_env_example | sed -n "s/^#\{0,1\}$1=//p" | head -n 1
}

# Reads the command line into variables, and reports mistakes in it.
read_arguments() {
  destination='' hotkey_path='' version='' image_prefix='' from='' base_image=''
  network_given='' netuid_given='' port_given='' admin_port_given=''
  identity='' ssh_port='' class_given='' gpu=yes auto_update=no dry_run=no assume_yes=no can_connect=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h) usage && exit 0 ;;
      --no-gpu) gpu=no ;;
      --auto-update) auto_update=yes ;;
      --dry-run) dry_run=yes ;;
      --yes | -y) assume_yes=yes ;;
      --version | --image-prefix | --from | --base-image | --network | --netuid | --port | --admin-port | --class | \
        --identity | --ssh-port)
        case ${2:-} in
          '' | --*) problem "$1 needs a value" "$SCRIPT --help" ;;
          *)
            take_option "$1" "$2"
            shift
            ;;
        esac
        ;;
      --*=*) problem "'$1' is not an option" "write ${1%%=*} and its value as two words; see $SCRIPT --help" ;;
      -?*) problem "'$1' is not an option" "$SCRIPT --help" ;;
      *)
        if [ -z "$destination" ]; then destination=$1
        elif [ -z "$hotkey_path" ]; then hotkey_path=$1
        else problem "'$1' is one argument too many" "put quotes around a path with spaces; see $SCRIPT --help"; fi
        ;;
    esac
    shift
  done
  check_arguments
  network=${network_given:-$DEFAULT_NETWORK}
  netuid=${netuid_given:-$DEFAULT_NETUID}
  public_port=${port_given:-$(default_of PUBLIC_PORT)}
  executor_class=${class_given:-$(default_of EXECUTOR_CLASS)}
  admin_port=${admin_port_given:-$(default_of ADMIN_PORT)}
}

# Sets the variable of an option.
take_option() { # take_option NAME VALUE
  case $1 in
    --version) version=$2 ;;
    --image-prefix) image_prefix=${2%/} ;;
    --from) from=$2 ;;
    --base-image) base_image=$2 ;;
    --network) network_given=$2 ;;
    --netuid) netuid_given=$2 ;;
    --port) port_given=$2 ;;
    --admin-port) admin_port_given=$2 ;;
    --class) class_given=$2 ;;
    --identity) identity=$2 ;;
    --ssh-port) ssh_port=$2 ;;
  esac
}

# Reports mistakes in the values of arguments. Sets can_connect to no if there is no usable destination.
check_arguments() {
  if [ -z "$destination" ]; then
    problem 'SSH_DESTINATION is missing' "$SCRIPT user@host ~/.bittensor/wallets/default/hotkeys/default"
    can_connect=no
  fi
  case $destination in -* | *[[:space:]]*)
    problem "'$destination' is not an SSH destination" 'pass user@host, or a name in ~/.ssh/config'
    can_connect=no
    ;;
  esac
  [ -n "$hotkey_path" ] || problem 'HOTKEY_PATH is missing' \
    'pass the file of the hotkey, such as ~/.bittensor/wallets/default/hotkeys/default'
  check_number --netuid "$netuid_given" 0 65535
  check_number --port "$port_given" 1 65535
  check_number --admin-port "$admin_port_given" 1 65535
  check_number --ssh-port "$ssh_port" 1 65535
  if [ "$ROLE" != miner ] && [ -n "$port_given" ]; then
    problem "a $ROLE has no port for others: --port is a miner's" \
      'leave it out; --admin-port is the port of the status page'
  fi
  if [ "$ROLE" != miner ] && [ -n "$class_given" ]; then
    problem "a $ROLE has no executors: --class is a miner's" 'leave it out'
  fi
  case $class_given in *[!a-z0-9._-]*)
    problem "'$class_given' is not a class" 'pass one such as always_on.cpu.8c.16gb' ;;
  esac
  case $network_given in *[!A-Za-z0-9.,:/_-]*)
    problem "'$network_given' is not a network" 'pass finney, test, local, host:port or a ws:// address' ;;
  esac
  case $image_prefix in *[!a-z0-9./:_-]*)
    problem "'$image_prefix' cannot be the prefix of an image's name" 'pass one such as ghcr.io/owner' ;;
  esac
  if [ -n "$version" ] &&
    ! printf '%s' "$version" | grep -Eq '^[0-9A-Za-z][0-9A-Za-z._-]*(@sha256:[0-9a-f]{64})?$'; then
    problem "'$version' is not a version" 'pass one such as 0.1.0, or 0.1.0@sha256: and 64 digits'
  fi
  if [ -n "$version" ] && [ -z "$image_prefix" ]; then
    problem '--version names the images to pull, but without --image-prefix the server builds them' \
      'pass --image-prefix, or --from with the sources of that version'
  fi
  if [ "$auto_update" = yes ] && [ -z "$image_prefix" ]; then
    problem '--auto-update pulls new images, but without --image-prefix the server builds them' \
      'pass --image-prefix, or leave out --auto-update'
  fi
  if [ -n "$identity" ] && [ ! -r "$identity" ]; then
    problem "the SSH key $identity cannot be read" 'check the path after --identity'
  fi
}

# Reports a value that is not a whole number in a range. An empty value is correct.
check_number() { # check_number OPTION VALUE MIN MAX
  case $2 in
    '') return ;;
    *[!0-9]* | ??????*) ;;
    *) if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then return; fi ;;
  esac
  problem "$1 is '$2'" "pass a whole number from $3 to $4"
}

# Reports programs that this machine lacks.
check_tools() {
  local tool
  for tool in ssh tar gzip sed grep mktemp; do
    if ! command -v "$tool" >/dev/null 2>&1; then
      problem "$tool is missing on this machine" 'install it'
      if [ "$tool" = ssh ]; then can_connect=no; fi
    fi
  done
}
