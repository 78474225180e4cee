#!/usr/bin/env bash
# Installs a Compute Horde validator on a server: install_validator.sh --help
#
# Printed from the parts in docker/install by `node packages/deploy/src/print-install-scripts.ts`: change those.
# What runs on the server is at the end, in print_server_command and print_server_steps. Runs on bash 3.2.

ROLE=validator
SCRIPT=install_validator.sh
VERSION=0.1.0
set -uo pipefail

DEFAULT_NETWORK=finney
DEFAULT_NETUID=12
# Where a release's sources are, as an address that ends in .tar.gz#sha256=…; empty until there is a release.
RELEASE_ADDRESS=''

EXIT_FAILED=1
EXIT_MISTAKE=2
EXIT_REBOOT=3

# What the owner reads and answers.

say() { printf '%s\n' "$*"; }

stop() { # stop EXIT-CODE WHAT [WHAT-TO-DO]
  printf '\n%s\n' "$2" >&2
  [ -z "${3:-}" ] || printf '  What to do: %s\n' "$3" >&2
  exit "$1"
}

# Mistakes are gathered and said together, so that one run names them all.
problems=''
problem() { # problem WHAT WHAT-TO-DO
  problems="$problems- $1
  What to do: $2
"
}

report_problems() {
  [ -n "$problems" ] || return 0
  printf '\nNothing was changed. This stands in the way:\n%s' "$problems" >&2
  exit "$EXIT_MISTAKE"
}

# Questions go to the terminal: stdin may be the pipe that this script comes through.
has_terminal() { { true </dev/tty; } 2>/dev/null; }

confirm() {
  local answer=''
  [ "$assume_yes" = no ] || return 0
  has_terminal || stop "$EXIT_MISTAKE" 'There is no terminal to ask on. Nothing was changed.' 'pass --yes'
  printf '\nIs this your hotkey, and shall this be done? [y/N] ' >/dev/tty
  IFS= read -r answer </dev/tty || true
  case $answer in y | Y | yes | Yes) ;; *) stop "$EXIT_MISTAKE" 'Stopped. Nothing was changed.' ;; esac
}

ask_password() { # ask_password QUESTION: sets password
  printf '%s' "$1" >/dev/tty
  IFS= read -r -s password </dev/tty || password=''
  printf '\n' >/dev/tty
}

# A word as the shell of the server reads it again.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# A word as it may be copied to a command line.
shown() {
  case $1 in *[!A-Za-z0-9_./@:=-]*) quoted "$1" ;; *) printf '%s' "$1" ;; esac
}

# The command line.

usage() {
  cat <<END
Installs a Compute Horde $ROLE on a server, over SSH.

  $SCRIPT SSH_DESTINATION HOTKEY_PATH [OPTIONS]
  curl -sSfL …/$SCRIPT | bash -s - SSH_DESTINATION HOTKEY_PATH [OPTIONS]

  SSH_DESTINATION         user@host, or a name of ~/.ssh/config; root, or a user who may use sudo
  HOTKEY_PATH             the hotkey's file, such as ~/.bittensor/wallets/default/hotkeys/default

  --version VERSION       the version of the images to pull ($VERSION); VERSION@sha256:… pins the $ROLE's image
  --image-prefix PREFIX   pull PREFIX/$ROLE from a registry; without it the images are built on the server
  --from SOURCE           what is built: a checkout's folder, a .tar.gz, or its address. By default the checkout that this
                          script stands in. A .tar.gz is checked: SOURCE#sha256=…, or the file SOURCE.sha256
  --base-image IMAGE      what images are built on, in place of the public base
  --network NETWORK       the chain: finney (the default), test, local, host:port or a URL
  --netuid NUMBER         the subnet ($DEFAULT_NETUID)
  --port PORT             a miner's port for validators, open to the internet ($(default_of PUBLIC_PORT))
  --admin-port PORT       the status page, on the server's loopback only ($(default_of ADMIN_PORT))
  --class CLASS           what a miner offers: its executors' class ($(default_of EXECUTOR_CLASS))
  --no-gpu                a miner's server: leave NVIDIA driver and toolkit alone
  --identity FILE         the SSH key, as for ssh -i
  --ssh-port PORT         the SSH port, as for ssh -p
  --auto-update           update once a day, and go back when a new version does not get healthy
  --dry-run               look at everything, print each step and each file, change nothing
  --yes                   ask nothing
  --help                  this text

Only the hotkey and coldkeypub.txt are copied, never the coldkey. Run it again to repair, to go on, or to update.
Exit codes: 0 done; 1 a step failed; 2 something must be put right first; 3 the server must be rebooted first.
END
}

# What the example settings say a setting is without being set.
default_of() { print_env_example | sed -n "s/^#\{0,1\}$1=//p" | head -n 1; }

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
      --version | --image-prefix | --from | --base-image | --network | --netuid | --port | --admin-port | --class | --identity | --ssh-port)
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

check_arguments() {
  if [ -z "$destination" ]; then
    problem 'SSH_DESTINATION is missing' "$SCRIPT user@host ~/.bittensor/wallets/default/hotkeys/default"
    can_connect=no
  fi
  case $destination in -* | *[[:space:]]*)
    problem "'$destination' is not an SSH destination" 'pass user@host, or a name of ~/.ssh/config'
    can_connect=no
    ;;
  esac
  [ -n "$hotkey_path" ] || problem 'HOTKEY_PATH is missing' 'pass the file of the hotkey, such as ~/.bittensor/wallets/default/hotkeys/default'
  check_number --netuid "$netuid_given" 0 65535
  check_number --port "$port_given" 1 65535
  check_number --admin-port "$admin_port_given" 1 65535
  check_number --ssh-port "$ssh_port" 1 65535
  if [ "$ROLE" != miner ] && [ -n "$port_given" ]; then
    problem "a $ROLE has no port for others: --port is a miner's" 'leave it out; --admin-port is the port of the status page'
  fi
  if [ "$ROLE" != miner ] && [ -n "$class_given" ]; then
    problem "a $ROLE has no executors: --class is a miner's" 'leave it out'
  fi
  case $class_given in *[!a-z0-9._-]*) problem "'$class_given' is not a class" 'pass such as always_on.cpu.8c.16gb' ;; esac
  case $network_given in *[!A-Za-z0-9.,:/_-]*) problem "'$network_given' is not a network" 'pass finney, test, local, host:port or a ws:// address' ;; esac
  case $image_prefix in *[!a-z0-9./:_-]*) problem "'$image_prefix' cannot stand before an image's name" 'pass such as ghcr.io/somebody' ;; esac
  if [ -n "$version" ] && ! printf '%s' "$version" | grep -Eq '^[0-9A-Za-z][0-9A-Za-z._-]*(@sha256:[0-9a-f]{64})?$'; then
    problem "'$version' is not a version" 'pass such as 0.1.0, or 0.1.0@sha256: and 64 digits'
  fi
  if [ -n "$version" ] && [ -z "$image_prefix" ]; then
    problem '--version says which images are pulled, and without --image-prefix they are built' 'pass --image-prefix, or --from with the sources of that version'
  fi
  if [ "$auto_update" = yes ] && [ -z "$image_prefix" ]; then
    problem '--auto-update pulls new images, and without --image-prefix they are built' 'pass --image-prefix, or leave --auto-update out'
  fi
  if [ -n "$identity" ] && [ ! -r "$identity" ]; then problem "the SSH key $identity cannot be read" 'see the path after --identity'; fi
}

check_number() { # check_number OPTION VALUE MIN MAX
  case $2 in
    '') return ;;
    *[!0-9]* | ??????*) ;;
    *) if [ "$2" -ge "$3" ] && [ "$2" -le "$4" ]; then return; fi ;;
  esac
  problem "$1 is '$2'" "pass a whole number from $3 to $4"
}

check_tools() {
  local tool
  for tool in ssh tar gzip sed grep mktemp; do
    if ! command -v "$tool" >/dev/null 2>&1; then
      problem "$tool is missing on this machine" "install it"
      if [ "$tool" = ssh ]; then can_connect=no; fi
    fi
  done
}

# The hotkey. Its file is looked at and sent; it is never copied on this machine, and the coldkey is never opened.

check_hotkey() {
  hotkey_address='' coldkeypub=''
  [ -n "$hotkey_path" ] || return 0
  # A quoted ~ was not expanded by the shell.
  # shellcheck disable=SC2088
  case $hotkey_path in '~/'*) hotkey_path=$HOME/${hotkey_path#??} ;; esac
  local file=$hotkey_path folder=${hotkey_path%/*} example
  # shellcheck disable=SC2088
  example='~/.bittensor/wallets/WALLET/hotkeys/HOTKEY'
  if [ "$folder" = "$file" ]; then folder=.; fi
  if [ -d "$file" ]; then
    problem "$file is a folder" "pass the file of the hotkey: $example"
  elif [ ! -e "$file" ]; then
    problem "there is no file $file" "pass the file of the hotkey: $example; list them: btcli wallet list"
  elif [ "${file##*/}" = coldkey ]; then
    problem "$file is a coldkey, which stays on your machine" "pass the file of the hotkey: $example"
  elif [ ! -r "$file" ]; then
    problem "$file cannot be read by $(id -un)" 'see its owner and mode: ls -l'
  elif head -c 16 "$file" | grep -aEq '^([$]NACL|[$]ANSIBLE|gAAAA)'; then
    problem "$file is encrypted, and the $ROLE has nobody to type its password" \
      'make a hotkey without a password: btcli wallet new-hotkey --no-use-password'
  else
    read_hotkey "$file" "$folder"
  fi
}

read_hotkey() { # read_hotkey FILE FOLDER
  local owner
  hotkey_address=$(address_of "$1")
  if [ -z "$hotkey_address" ]; then
    problem "$1 is not a hotkey's file: it names no address" 'pass a file that btcli wallet new-hotkey or regen-hotkey made'
    return
  fi
  if ! grep -Eq '"(secretSeed|secretPhrase|privateKey)" *: *"' "$1"; then
    problem "$1 holds the public part of a key only" 'pass the file of the hotkey, in the folder hotkeys of the wallet'
    return
  fi
  # A wallet's folder has coldkeypub.txt beside the folder hotkeys.
  if [ -r "$2/../coldkeypub.txt" ]; then
    coldkeypub=$2/../coldkeypub.txt
    owner=$(address_of "$coldkeypub")
    if [ "$owner" = "$hotkey_address" ]; then
      problem "$1 is the wallet's coldkey under another name, which stays on your machine" 'pass the file of a hotkey'
    fi
    if grep -Eq '"(secretSeed|secretPhrase)" *: *"' "$coldkeypub"; then
      problem "$coldkeypub holds a secret: it is not the public part of the coldkey" 'make it anew: btcli wallet regen-coldkeypub'
    fi
  fi
}

address_of() { sed -n 's/.*"ss58Address" *: *"\([1-9A-HJ-NP-Za-km-z]\{40,60\}\)".*/\1/p' "$1" 2>/dev/null | head -n 1; }

# What is built on the server, where images are not pulled.

check_source() {
  source_folder='' source_archive='' source_sha256=''
  [ -z "$image_prefix" ] || return 0
  if [ -z "$from" ]; then from=$(own_checkout); fi
  if [ -z "$from" ]; then from=$RELEASE_ADDRESS; fi
  case $from in
    '') problem 'there is nothing to build: this script stands in no checkout, and there is no release yet' \
      'pass --from with a checkout or an archive, or --image-prefix with a registry that has the images' ;;
    http://* | https://*) fetch_source ;;
    *.tar.gz | *.tgz | *.tar.gz#* | *.tgz#*) check_source_archive "${from%%#*}" ;;
    *)
      if [ -f "$from/docker/Dockerfile" ] && [ -f "$from/package.json" ]; then source_folder=$from; else
        problem "$from is neither a checkout nor a .tar.gz" 'pass the folder that holds docker/ and packages/'
      fi
      ;;
  esac
}

# The folder that this script stands in; nothing when it came through a pipe.
own_checkout() {
  local file=${BASH_SOURCE[0]:-} folder
  [ -n "$file" ] && [ -f "$file" ] || return 0
  case $file in */*) folder=${file%/*} ;; *) folder=. ;; esac
  if [ -f "$folder/docker/Dockerfile" ]; then (cd "$folder" && pwd); fi
}

fetch_source() {
  local address=${from%%#*} said
  if ! command -v curl >/dev/null 2>&1; then
    problem 'curl is missing on this machine' 'install it, or pass --from with a file'
    return
  fi
  source_archive=$scratch/source.tar.gz
  said=$(curl -sSfL -o "$source_archive" "$address" 2>&1) || problem "$address could not be fetched: $said" 'see the address after --from'
  case $from in *'#'*) ;; *) curl -sSfL -o "$source_archive.sha256" "$address.sha256" 2>/dev/null || rm -f "$source_archive.sha256" ;; esac
  if [ -s "$source_archive" ]; then check_source_archive "$source_archive"; fi
}

check_source_archive() { # check_source_archive FILE
  local actual wanted=''
  source_archive=$1
  if [ ! -r "$1" ]; then
    problem "there is no file $1" 'see the path after --from'
    return
  fi
  case $from in *'#sha256='*) wanted=${from##*#sha256=} ;; esac
  if [ -z "$wanted" ] && [ -r "$1.sha256" ]; then wanted=$(head -c 64 "$1.sha256"); fi
  if [ -z "$wanted" ]; then
    problem "there is no checksum for ${from%%#*}" "pass ${from%%#*}#sha256=… with the SHA-256 that its publisher names"
    return
  fi
  actual=$(sha256_of "$1")
  if [ "$actual" != "$wanted" ]; then
    problem "${from%%#*} is not what it should be: its SHA-256 is $actual, not $wanted" 'fetch it again, from its publisher'
  fi
  source_sha256=$actual
}

sha256_of() { # sha256_of FILE
  if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 <"$1"
  else openssl dgst -sha256 <"$1" | sed 's/.*= *//'; fi | cut -c1-64
}

# Sends the archive, or packs what a build needs of a checkout: nothing else of it, since owners keep secrets there.
send_source() {
  [ -z "$image_prefix" ] || return 0
  if [ -z "$source_archive" ]; then
    source_archive=$scratch/source.tar.gz
    (
      cd "$source_folder" || exit
      # Without the files that macOS would add.
      COPYFILE_DISABLE=1 tar -czf "$source_archive" --exclude node_modules --exclude '*.env' --exclude docker/wallet --exclude '*.log' \
        --exclude test --exclude e2e --exclude matrix \
        package.json pnpm-lock.yaml pnpm-workspace.yaml .dockerignore LICENSE bin docker packages patches
    ) || return
  fi
  send_file source.tar.gz "$source_archive"
  printf 'end\n'
}

# One SSH connection for everything, and the steps that run through it.

open_scratch() {
  # Short, for a control path may have 104 bytes; and nothing secret is ever put there.
  scratch=$(mktemp -d /tmp/ch.XXXXXX) || stop "$EXIT_FAILED" 'No folder could be made in /tmp' 'see its free space and mode'
  : >"$scratch/answers"
  trap clean_up EXIT
  trap 'stop "$EXIT_FAILED" "Interrupted. The step that had begun ends by itself on the server." "run this again: it goes on from there"' INT TERM HUP
  password=''
  ssh_words=''
  ssh_options=(-T -o "ControlPath=$scratch/c" -o ControlMaster=auto -o ControlPersist=120 -o ConnectTimeout=15
    -o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o RemoteCommand=none -o RequestTTY=no -o ClearAllForwardings=yes
    -o ForwardAgent=no -o LogLevel=ERROR)
  if [ -n "$ssh_port" ]; then
    ssh_options=("${ssh_options[@]}" -p "$ssh_port")
    ssh_words="-p $ssh_port "
  fi
  if [ -n "$identity" ]; then
    ssh_options=("${ssh_options[@]}" -i "$identity")
    ssh_words="$ssh_words-i $(shown "$identity") "
  fi
  has_terminal || ssh_options=("${ssh_options[@]}" -o BatchMode=yes)
}

clean_up() {
  trap - EXIT
  ssh "${ssh_options[@]}" -O exit -- "$destination" >/dev/null 2>&1 </dev/null
  rm -rf "$scratch"
}

# Words that every login shell reads alike. --norc: bash would read the profile a second time.
on_server() { ssh "${ssh_options[@]}" -- "$destination" "$1"; }

# Opens the connection, and finds out how to become root. False, with the problem named, where that cannot be.
connect() {
  local said uid
  # shellcheck disable=SC2016
  said=$(printf 'echo "@compute-horde@ uid $(id -u)"; if command -v sudo >/dev/null; then sudo -k -n true 2>/dev/null && echo "@compute-horde@ sudo free" || echo "@compute-horde@ sudo asks"; fi\n' |
    on_server 'bash --norc -s' 2>"$scratch/ssh-said")
  uid=$(printf '%s\n' "$said" | sed -n 's/^@compute-horde@ uid //p')
  if [ -z "$uid" ]; then
    name_connection_problem "$(tail -n 5 "$scratch/ssh-said")"
    return 1
  fi
  root_shell='bash --norc -s'
  [ "$uid" != 0 ] || return 0
  root_shell="sudo -k -S -p '' -- bash --norc -s"
  case $said in
    *'@compute-horde@ sudo free'*) ;;
    *'@compute-horde@ sudo asks'*) take_password ;;
    *)
      problem "$destination is not root, and the server has no sudo" 'connect as root, or install sudo there'
      return 1
      ;;
  esac
}

name_connection_problem() { # name_connection_problem WHAT-SSH-SAID
  local todo="try it by hand: ssh ${ssh_words}$destination"
  case $1 in
    *'REMOTE HOST IDENTIFICATION HAS CHANGED'* | *'Host key for'*'has changed'*)
      todo="if you know why (a new server at this address), remove the old key: ssh-keygen -R HOST; if not, do not go on" ;;
    *'Host key verification failed'*) todo="connect once by hand and compare the key: ssh ${ssh_words}$destination" ;;
    *'Permission denied'*) todo="see the user's name, and the key: --identity FILE, or ssh-copy-id $destination" ;;
    *'Could not resolve hostname'*) todo='see the name of the server' ;;
    *'Connection refused'* | *'timed out'* | *'No route to host'*) todo="see the server's address and SSH port (--ssh-port), and its firewall" ;;
    '') set -- 'the server has no bash, or its login shell ended at once' ;;
  esac
  problem "no connection to $destination: $(printf '%s' "$1" | grep -v '^@*$' | tail -n 1)" "$todo"
}

# The password for sudo: asked once, checked at once, kept in a variable of this shell for this run.
take_password() {
  local try
  if ! has_terminal; then
    problem "sudo on $destination asks for a password, and there is no terminal to ask you on" \
      'run this in a terminal, connect as root, or allow sudo without a password for this user'
    return 1
  fi
  for try in 1 2 3; do
    ask_password "Password for sudo on $destination: "
    if printf '%s\n' "$password" | on_server "sudo -k -S -p '' -- true" >/dev/null 2>&1; then return 0; fi
    say "sudo does not take that password ($try of 3)."
  done
  problem "sudo on $destination takes no password of yours" 'see whether this user may use sudo there'
  return 1
}

# What the server's shell reads: the password where sudo wants one, the script, and the step on one line, so that it never
# takes what follows, which is data, for commands.
send_step() { # send_step STEP
  if [ -n "$password" ]; then printf '%s\n' "$password"; fi
  printf 'opt_version=%s opt_prefix=%s opt_base_image=%s opt_source_sha256=%s ' "$(quoted "${version:-$VERSION}")" \
    "$(quoted "$image_prefix")" "$(quoted "$base_image")" "$(quoted "$source_sha256")"
  printf 'opt_network=%s opt_network_given=%s opt_netuid=%s opt_netuid_given=%s ' "$(quoted "$network")" "$(quoted "$network_given")" \
    "$(quoted "$netuid")" "$(quoted "$netuid_given")"
  printf 'opt_port=%s opt_port_given=%s opt_admin_port=%s opt_admin_port_given=%s ' "$(quoted "$public_port")" "$(quoted "$port_given")" \
    "$(quoted "$admin_port")" "$(quoted "$admin_port_given")"
  printf 'opt_class=%s opt_class_given=%s ' "$(quoted "$executor_class")" "$(quoted "$class_given")"
  printf 'opt_gpu=%s opt_auto_update=%s opt_now=%s opt_nvidia_url=%s opt_disk_gib=%s opt_apt_lock_seconds=%s\n' "$gpu" "$auto_update" \
    "$(date +%s)" "$(quoted "${COMPUTE_HORDE_NVIDIA_URL:-}")" "$(quoted "${COMPUTE_HORDE_DISK_GIB:-}")" "$(quoted "${COMPUTE_HORDE_APT_LOCK_SECONDS:-}")"
  print_server_command | sed '$d'
  print_server_steps
  printf 'run_step %s %s; exit\n' "$ROLE" "$1"
}

send_file() { # send_file NAME PATH
  printf '%s %s\n' "$1" "$(wc -c <"$2" | tr -d ' ')"
  cat "$2"
}

send_text() { # send_text NAME COMMAND: what a command prints, as a file
  printf '%s %s\n' "$1" "$("$2" | wc -c | tr -d ' ')"
  "$2"
}

send_files() {
  send_text compute-horde print_server_command
  send_text compose.yml print_compose_file
  send_text env.example print_env_example
  send_file hotkey "$hotkey_path"
  if [ -n "$coldkeypub" ]; then send_file coldkeypub.txt "$coldkeypub"; fi
  printf 'end\n'
}

check_server() {
  exchange checks nothing
  case $(answer_of end) in
    0) ;;
    '') problem "the server's checks ended early: $(tail -n 3 "$scratch/output" | tr '\n' ' ')" "try it by hand: ssh ${ssh_words}$destination" ;;
    *) problem "the server's checks failed: $(answer_of failed) $(tail -n 3 "$scratch/output" | tr '\n' ' ')" 'report this' ;;
  esac
  take_server_problems
  cat "$scratch/answers" >"$scratch/checked"
}

take_server_problems() {
  local line what=''
  while IFS= read -r line; do
    case $line in
      'problem '*) what=${line#problem } ;;
      'todo '*) if [ -n "$what" ]; then problem "$what" "${line#todo }"; fi && what='' ;;
    esac
  done <"$scratch/answers"
}

# One step on the server. Its answers are in $scratch/answers, the rest of its output in $scratch/output.
exchange() { # exchange STEP SENDER
  : >"$scratch/answers"
  : >"$scratch/output"
  { send_step "$1" && "$2"; } 2>/dev/null | on_server "$root_shell" 2>&1 | take_answers "$1"
}

take_answers() { # take_answers STEP
  local line
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    case $line in
      '@compute-horde@ say '*) say "   ${line#@compute-horde@ say }" ;;
      '@compute-horde@ '*) printf '%s\n' "${line#@compute-horde@ }" >>"$scratch/answers" ;;
      *)
        printf '%s\n' "$line" >>"$scratch/output"
        if [ "$1" = check ]; then say "   $line"; fi
        ;;
    esac
  done
}

answer_of() { cat "$scratch/checked" "$scratch/answers" 2>/dev/null | sed -n "s/^$1 //p" | tail -n 1; } # answer_of KIND
print_answers() { sed -n "s/^$1 /$2/p" "$scratch/checked"; }                                           # print_answers KIND BEFORE

run_step() { # run_step STEP TITLE SENDER
  local started=$SECONDS ended code=$EXIT_FAILED
  say ''
  say "== $2"
  exchange "$1" "$3"
  ended=$(sed -n 's/^end //p' "$scratch/answers")
  if [ "$ended" = 0 ]; then
    say "   done in $((SECONDS - started)) s"
    return 0
  fi
  if grep -q '^reboot' "$scratch/answers"; then code=$EXIT_REBOOT; fi
  tail -n 15 "$scratch/output" | sed 's/^/   | /' >&2
  if [ -z "$ended" ]; then
    stop "$code" "The connection was lost in the step '$2', which ends by itself on the server." 'run this again: it goes on from there'
  fi
  stop "$code" "The step '$2' failed: $(sed -n 's/^failed //p' "$scratch/answers" | tail -n 1)" \
    "$(sed -n 's/^todo //p' "$scratch/answers" | tail -n 1). Run this again when that is done: it goes on from there."
}

# The installation, as seen from the owner's machine.

main() {
  read_arguments "$@"
  open_scratch
  check_tools
  check_hotkey
  check_source
  if [ "$can_connect" = yes ] && connect; then check_server; fi
  report_problems
  show_plan
  if [ "$dry_run" = yes ]; then
    show_files
    say 'Dry run: nothing was changed.'
    return
  fi
  confirm
  install_everything
  show_next_steps
}

install_everything() {
  local step
  for step in docker nvidia files images start check; do
    case $step in
      nvidia) if [ "$ROLE" = miner ] && [ "$gpu" = yes ]; then run_step nvidia 'NVIDIA driver and toolkit' nothing; fi ;;
      docker) run_step docker 'Docker' nothing ;;
      files) run_step files 'Files and settings' send_files ;;
      images) run_step images 'Images' send_source ;;
      start) run_step start 'Start' nothing ;;
      check) run_step check 'Check' nothing ;;
    esac
  done
}

nothing() { :; }

show_plan() {
  say ''
  say "$ROLE on $destination ($(answer_of fact-system))"
  say "  hotkey   $hotkey_address"
  say "  network  $network, subnet $netuid"
  print_answers warn '  Note: '
  say 'What will be done:'
  print_answers plan '  - '
}

show_files() {
  local folder=/opt/compute-horde/$ROLE
  say ''
  say "The file $folder/compose.yml:"
  print_compose_file | sed 's/^/  | /'
  say "The file $folder/.env, where there is none yet, is this:"
  print_env_example | sed 's/^/  | /'
  say 'in which these are set:'
  say '  | POSTGRES_PASSWORD=(made on the server)'
  say "  | BITTENSOR_NETWORK=$network"
  say "  | BITTENSOR_NETUID=$netuid"
  say "  | WALLET_FOLDER=$folder/wallet"
  say "  | ADMIN_PORT=$admin_port"
  if [ "$ROLE" = miner ]; then say "  | PUBLIC_PORT=$public_port"; fi
  if [ -n "$class_given" ]; then say "  | EXECUTOR_CLASS=$class_given"; fi
  say "  | IMAGE_PREFIX=${image_prefix:-compute-horde}"
  if [ -n "$base_image" ]; then say "  | BASE_IMAGE=$base_image"; fi
  say "The file /usr/local/bin/compute-horde has $(print_server_command | wc -l | tr -d ' ') lines: docker/install/server/compute-horde."
  say "Copied from this machine, and nothing else: $hotkey_path${coldkeypub:+ and $coldkeypub}"
}

show_next_steps() {
  local command="ssh -t ${ssh_words}$destination"
  say ''
  say "The $ROLE runs on $destination. It starts again by itself after a reboot."
  if [ -n "$(answer_of lacks)" ]; then
    say "It is not ready yet, and lacks: $(answer_of lacks). The check above says what to do; see again: $command sudo compute-horde $ROLE check"
  elif [ "$(answer_of check)" != 0 ]; then
    say "Its check found something bad (above): $command sudo compute-horde $ROLE check"
  fi
  say ''
  say 'What to do next:'
  if [ "$ROLE" = miner ]; then
    say "  open to the internet    TCP port $public_port of the server, in the provider's firewall; nothing else"
  else
    say '  open to the internet    nothing: the validator dials out'
  fi
  say "  status page             ssh ${ssh_words}-N -L $admin_port:127.0.0.1:$admin_port $destination   then http://127.0.0.1:$admin_port/status"
  say "  health, and why         $command sudo compute-horde $ROLE status   … check"
  say "  log                     $command sudo compute-horde $ROLE logs --follow"
  say "  settings                /opt/compute-horde/$ROLE/.env on the server; after a change run this script again"
  say "  update, roll back       $command sudo compute-horde $ROLE update [VERSION]   … rollback"
  say "  backup                  $command sudo compute-horde $ROLE backup"
  say "  uninstall               $command sudo compute-horde $ROLE uninstall"
  say ''
  say "Installed in $SECONDS s."
}

print_server_command() {
  cat <<'END_OF_PRINT_SERVER_COMMAND'
#!/usr/bin/env bash
# Looks after the roles of Compute Horde that run on this server. The install scripts leave it as
# /usr/local/bin/compute-horde. Everything of a role lies in /opt/compute-horde/<role>.
set -euo pipefail
export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"

ROOT=${COMPUTE_HORDE_ROOT:-/opt/compute-horde}
COMMAND_PATH=/usr/local/bin/compute-horde
# How long a service may take to be well after a start, in seconds: an update that fails is back within two minutes.
HEALTHY_SECONDS=${COMPUTE_HORDE_HEALTHY_SECONDS:-75}
# How long a service that answers may take to be ready, in seconds. After that, what it lacks is said and not waited for.
READY_SECONDS=20
# How long a warning that the version before had not is watched, in seconds: what a watch finds to be bad is a warning at its
# first look, and the second comes ten seconds later.
WARNED_SECONDS=30
# How often in a row a service must be found well after its start, and how far apart, in seconds: one that dies again at once
# is not.
STEADY_LOOKS=3
LOOK_AGAIN_SECONDS=0.5
# A service whose process ended this often since its start will not become well.
MAX_RESTARTS=4
# How long to wait for another command that works on the same role, in seconds.
LOCK_SECONDS=900
# How many backups are kept; the oldest go first.
KEPT_BACKUPS=10
# Free disk that an update needs, in MiB.
UPDATE_MIB=${COMPUTE_HORDE_UPDATE_MIB:-3000}
LOG_LINES=15

usage() {
  cat <<'END'
Usage: compute-horde ROLE COMMAND

ROLE is validator or miner.

  status                  what runs, its version, what it lacks, its last backup
  check                   says whether the role can work: a line for everything, with what to do
  logs [OPTIONS]          the last lines of its log; the options are those of `docker compose logs`, such as --follow
  update [VERSION]        backs up, starts VERSION, and goes back to the version before when VERSION is less well
     --from FILE|URL      builds from this archive of the sources, which is checked: FILE#sha256=…, or a file FILE.sha256
  rollback                back to the last version that was healthy before this one; where that cannot read the database
                          any more, with the backup of before the update, after asking
  backup                  writes the database and the settings into one file; the service goes on running
  restore FILE            puts the database of a backup in place of the one there is
  uninstall [--purge]     stops and removes the role; with --purge also its database, wallet copy, settings and backups

  --yes                   asks nothing
END
}

# --- words -------------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }

fail() { # fail WHAT [WHAT-TO-DO]
  printf 'compute-horde: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  What to do: %s\n' "$2" >&2
  exit 1
}

# Asks on the terminal, so that a pipe into this script answers nothing.
confirm() { # confirm QUESTION
  [ "$assume_yes" = no ] || return 0
  local answer=''
  { true </dev/tty; } 2>/dev/null || fail "$1 There is no terminal to ask on." 'run it again with --yes'
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || true
  case $answer in y | Y | yes | Yes) return 0 ;; *) fail 'stopped: nothing was changed' ;; esac
}

# --- settings ----------------------------------------------------------------------------------------------------------

# Prints a setting of the role's .env. Read and written by the shell itself: an argument of another program could be seen
# in the list of processes.
setting() { # setting NAME [DEFAULT]
  local line value="${2:-}"
  if [ -r "$folder/.env" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in "$1="*) value=${line#*=} ;; esac
    done <"$folder/.env"
  fi
  printf '%s\n' "$value"
}

# Sets a setting: in its line, else in the line that is commented out, else at the end.
set_setting() { # set_setting NAME VALUE
  local line done=no part="$folder/.env.part"
  local pattern="$1="
  (
    umask 077
    : >"$part"
  )
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in "$pattern"*) done=active ;; esac
  done <"$folder/.env"
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      "$pattern"*)
        [ "$done" = written ] || printf '%s=%s\n' "$1" "$2"
        done=written
        ;;
      "#$pattern"*)
        if [ "$done" = no ]; then
          printf '%s=%s\n' "$1" "$2"
          done=written
        else
          printf '%s\n' "$line"
        fi
        ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <"$folder/.env" >>"$part"
  [ "$done" = written ] || printf '%s=%s\n' "$1" "$2" >>"$part"
  mv -f "$part" "$folder/.env"
}

# --- Docker ------------------------------------------------------------------------------------------------------------

# An empty environment: variables of the caller's shell would win over .env.
docker() { env -i PATH="$PATH" HOME="${HOME:-/root}" docker "$@"; }

compose() {
  local program=docker-compose
  if docker compose version >/dev/null 2>&1; then program='docker compose'; fi
  # shellcheck disable=SC2086 # $program may be two words
  (cd "$folder" && env -i PATH="$PATH" HOME="${HOME:-/root}" $program --project-name "$project" --file compose.yml "$@")
}

container_of() { # container_of SERVICE: prints its container's id; nothing where there is none
  docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$project" \
    --filter "label=com.docker.compose.service=$1" --filter 'label=com.docker.compose.oneoff=False' | head -n 1
}

inspect() { docker inspect --format "$2" "$1" 2>/dev/null || true; } # inspect CONTAINER FORMAT

health_of() { # health_of CONTAINER: starting, healthy, unhealthy, or none
  inspect "$1" '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}'
}

# --- how well the role is ----------------------------------------------------------------------------------------------

# Asks the role itself at /health, by the health check of its image. Sets `is`: away (its process or its admin port does not
# answer), looking (it has not looked at everything since its start), unready, or ready. Sets `lacks` and `warned`: the names
# of what is bad, and of what may become so; `unnamed` for a version that gives no names.
look() {
  local container said
  is=away lacks='' warned=''
  container=$(container_of "$role")
  [ -n "$container" ] || return 0
  said=$(docker exec "$container" node docker/image/health-check.js 2>/dev/null </dev/null || true)
  case $said in *'"live":true'*) ;; *) return 0 ;; esac
  lacks=$(names_in "$said" bad)
  warned=$(names_in "$said" warned)
  case $said in
    *'"complete":false'*) is=looking ;;
    *'"ready":true'*) is=ready ;;
    *)
      is=unready
      lacks=${lacks:-unnamed}
      ;;
  esac
}

# Prints the names of a list in the answer of /health, each as one word.
names_in() { # names_in ANSWER LIST
  printf '%s\n' "$1" | sed -n 's/.*"'"$2"'":\[\([^]]*\)\].*/\1/p' | tr ' ,' '\055 ' | tr -d '"'
}

# The words of $1 that are not among those of $2. `*` stands for all words.
words_beyond() { # words_beyond WORDS KNOWN
  local word beyond='' all=" $1 "
  case " $2 " in *' * '*) return 0 ;; esac
  for word in $all; do
    case " $2 " in *" $word "*) ;; *) beyond="$beyond $word" ;; esac
  done
  printf '%s\n' "${beyond# }"
}

# What a version may lack and still be as well as the one that runs now: what that lacks itself, or warns of. Everything
# where that one does not answer, or gives no names.
tolerated_now() {
  look
  if [ "$is" = away ]; then echo '*'; else
    case " $lacks " in *' unnamed '*) echo '*' ;; *) printf '%s\n' "$lacks $warned" ;; esac
  fi
}

# Waits until the role is well. Without TOLERATED: it answers, has its database, and is ready or has had READY_SECONDS for
# that. With: it also lacks nothing else than that, and warns of nothing else or has had WARNED_SECONDS. Afterwards `is` and `lacks` are as seen last, and `beyond` is what it
# lacks too much. False when it is not well in time, or ends again and again.
wait_until_well() { # wait_until_well [TOLERATED]
  local container restarts seen=0 at_restarts='' end=$((SECONDS + HEALTHY_SECONDS)) told=$SECONDS
  while [ "$SECONDS" -lt "$end" ]; do
    look
    container=$(container_of "$role")
    restarts=$(inspect "$container" '{{.RestartCount}}')
    if [ "${restarts:-0}" -ge "$MAX_RESTARTS" ]; then
      say "The $role ended $restarts times since its start."
      is=away
      return 1
    fi
    if [ "$restarts" != "$at_restarts" ]; then seen=0 at_restarts=$restarts; fi
    if is_well "$@"; then seen=$((seen + 1)); else seen=0; fi
    if [ "$seen" -ge "$STEADY_LOOKS" ] || { [ "$seen" -ge 1 ] && [ "$(seconds_up "$container")" -ge "$READY_SECONDS" ]; }; then
      return 0
    fi
    if [ $((SECONDS - told)) -ge 10 ]; then
      told=$SECONDS
      say "Waiting for the $role to be well ($((end - SECONDS)) s left): $(how_it_is)"
    fi
    sleep "$LOOK_AGAIN_SECONDS"
  done
  say "The $role is not well after $HEALTHY_SECONDS s: $(how_it_is)"
  return 1
}

is_well() { # is_well [TOLERATED]
  beyond=''
  case $is in away | looking) return 1 ;; esac
  if [ $# = 0 ]; then
    case " $lacks " in *' database '*) beyond=database ;; esac
    [ -z "$beyond" ] && { [ "$is" = ready ] || [ "$(seconds_up "$(container_of "$role")")" -ge "$READY_SECONDS" ]; }
  else
    beyond=$(words_beyond "$lacks" "$1")
    [ -z "$beyond" ] || return 1
    [ -z "$(words_beyond "$warned" "$1")" ] || [ "$(seconds_up "$(container_of "$role")")" -ge "$WARNED_SECONDS" ]
  fi
}

seconds_up() { # seconds_up CONTAINER: since its last start
  local started
  started=$(inspect "$1" '{{.State.StartedAt}}')
  [ -n "$started" ] || { echo 0 && return; }
  echo $(($(date +%s) - $(date -d "$started" +%s)))
}

how_it_is() {
  case $is in
    away) echo 'it does not answer' ;;
    looking) echo 'it has not looked at everything yet' ;;
    unready) echo "it lacks: $lacks" ;;
    ready) echo 'it is ready' ;;
  esac
}

# Said of a version that runs.
say_how_well() {
  if [ "$is" = ready ]; then say "$role $(setting COMPUTE_HORDE_VERSION) is healthy."; else
    say "$role $(setting COMPUTE_HORDE_VERSION) runs, and is not ready yet: $(how_it_is). What to do about it: compute-horde $role check"
  fi
}

last_log_lines() {
  local container
  container=$(container_of "$role")
  [ -z "$container" ] || docker logs --tail "$LOG_LINES" "$container" 2>&1 | cut -c1-400
}

# --- images ------------------------------------------------------------------------------------------------------------

images_of_role() { case $role in miner) echo miner executor ;; *) echo "$role" ;; esac; }
prefix() { if [ -n "$new_prefix" ]; then printf '%s\n' "$new_prefix"; else setting IMAGE_PREFIX compute-horde; fi; }
image_of() { printf '%s/%s:%s\n' "$(prefix)" "$1" "$2"; } # image_of NAME VERSION
has_image() { docker image inspect "$1" >/dev/null 2>&1; }
is_pulling() { [ "$(state_of origin)" = registry ]; }

# Copies a folder of an image, without running anything of it, as far as the image has it.
folder_of_image() { # folder_of_image IMAGE PATH TO
  local container
  container=$(docker create "$1" none) || return 1
  docker cp "$container:$2/." - 2>/dev/null | tar -xf - -C "$3" --no-same-owner 2>/dev/null || true
  docker rm "$container" >/dev/null
}

# What its registry knows an image by; nothing for one that comes from none.
digest_of() { # digest_of IMAGE
  docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | sed -n "s|^${1%:*}@||p" | head -n 1
}

# Pulls one image and remembers its digest. A tag that means another image than it did before is refused.
pull_image() { # pull_image NAME VERSION [DIGEST]
  local image digest known wanted=${3:-}
  image=$(image_of "$1" "$2")
  say "Pulling $image"
  docker pull --quiet "$image${wanted:+@$wanted}" >/dev/null || fail "$image could not be pulled (above)" \
    "see whether the version exists and whether this server reaches its registry"
  if [ -n "$wanted" ]; then docker tag "$image@$wanted" "$image"; fi
  digest=$(digest_of "$image")
  known=$(state_of "digest-$1-$2")
  if [ -n "$known" ] && [ "$known" != "$digest" ]; then
    local id
    id=$(docker image inspect --format '{{.Id}}' "${image%:*}@$known" 2>/dev/null || true)
    [ -z "$id" ] || docker tag "$id" "$image"
    fail "$image is not what it was: its digest was $known and is $digest" \
      "ask whoever publishes it; name another version, or VERSION@$digest to take this one"
  fi
  keep_state "digest-$1-$2" "$digest"
}

# The version that the registry's tag latest stands for.
latest_version() {
  local image version
  image=$(image_of "$role" latest)
  docker pull --quiet "$image" >/dev/null ||
    fail "$image could not be pulled (above)" 'name a version: compute-horde '"$role"' update VERSION'
  version=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.version"}}' "$image")
  [ -n "$version" ] || fail "$image does not say its version" "name one: compute-horde $role update VERSION"
  printf '%s\n' "$version"
}

# Builds what the sources in a folder describe. The version has the sources' hash in it, so that one that was built before
# is not built again, and stays for a rollback.
build_images() { # build_images FOLDER VERSION
  local name image log started
  log=$(mktemp "$folder/state/build.XXXXXX")
  for name in $(images_of_role); do
    image=$(image_of "$name" "$2")
    if has_image "$image"; then continue; fi
    started=$SECONDS
    say "Building $image (some minutes)"
    if ! build_image "$1" "$name" "$image" "${2%%-*}" >"$log" 2>&1; then
      tail -n 25 "$log" >&2
      rm -f "$log"
      fail "$image could not be built (above: the end of what docker build said)" \
        "see whether this server reaches the registries that it needs"
    fi
    say "Built $image in $((SECONDS - started)) s"
  done
  rm -f "$log"
}

build_image() { # build_image FOLDER NAME IMAGE VERSION
  local arguments=() name value
  for name in BASE_IMAGE NPM_REGISTRY; do
    value=$(setting "$name")
    if [ -n "$value" ]; then arguments+=(--build-arg "$name=$value"); fi
  done
  # Behind a proxy with a certificate of its own the build needs the server's certificates.
  value=$(cat /usr/local/share/ca-certificates/*.crt 2>/dev/null || true)
  if [ -n "$value" ]; then arguments+=(--build-arg "CA_CERTIFICATE=$value"); fi
  docker build --force-rm --file "$1/docker/Dockerfile" --target "$2" --tag "$3" --build-arg "VERSION=$4" --build-arg "REVISION=${3##*-}" \
    ${arguments[@]+"${arguments[@]}"} "$1"
}

# One hash for all files of a folder.
hash_of_folder() { (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12); }

version_of_sources() { sed -n 's/^  "version": "\(.*\)",$/\1/p' "$1/package.json" | head -n 1; }

# Unpacks an archive of sources to where it is built, and prints the version that it becomes.
unpack_sources() { # unpack_sources ARCHIVE
  local part="$folder/source/.part" version
  rm -rf "$part"
  mkdir -p "$part"
  tar -xzf "$1" -C "$part" --no-same-owner || fail 'the archive of the sources cannot be unpacked' 'pass a .tar.gz archive'
  # Archives of releases have one folder at their top.
  if [ ! -e "$part/package.json" ] && [ "$(find "$part" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ]; then
    mv "$part"/* "$folder/source/.inner"
    rm -rf "$part"
    mv "$folder/source/.inner" "$part"
  fi
  [ -e "$part/docker/Dockerfile" ] || fail 'the archive holds no docker/Dockerfile' 'pass an archive of the sources of Compute Horde'
  version=$(version_of_sources "$part")-$(hash_of_folder "$part")
  rm -rf "${folder:?}/source/$version"
  mv "$part" "$folder/source/$version"
  printf '%s\n' "$version"
}

# Fetches an archive and checks it: URL#sha256=HEX, or a file URL.sha256 beside it.
fetch_archive() { # fetch_archive URL FILE
  local url=${1%%#*} wanted=''
  command -v curl >/dev/null || fail 'curl is missing' 'apt-get install curl'
  case $1 in *'#sha256='*) wanted=${1##*#sha256=} ;; esac
  [ -n "$wanted" ] || wanted=$(curl --silent --show-error --fail --location "$url.sha256" | cut -c1-64) ||
    fail "there is no checksum for $url" "name it: $url#sha256=…"
  curl --silent --show-error --fail --location --output "$2" "$url" || fail "$url could not be fetched (above)" 'see the address'
  check_archive "$2" "$wanted"
}

check_archive() { # check_archive FILE SHA256
  local actual
  actual=$(sha256sum "$1" | cut -c1-64)
  [ "$actual" = "$2" ] || fail "the archive is not what it should be: its SHA-256 is $actual, not $2" 'fetch it again'
}

# --- state -------------------------------------------------------------------------------------------------------------

state_of() { [ ! -e "$folder/state/$1" ] || cat "$folder/state/$1"; }
keep_state() { # keep_state NAME VALUE
  mkdir -p "$folder/state"
  printf '%s\n' "$2" >"$folder/state/.part"
  mv -f "$folder/state/.part" "$folder/state/$1"
}

lock() {
  mkdir -p "$ROOT"
  exec 9>"$ROOT/.lock-$role"
  if ! flock --nonblock 9; then
    say "Another command works on the $role of this server. Waiting for it (at most $LOCK_SECONDS s)"
    flock --wait "$LOCK_SECONDS" 9 || fail "another command has worked on the $role for more than $LOCK_SECONDS s" \
      'see what it is: ps -ef | grep compute-horde'
  fi
}

# --- database ----------------------------------------------------------------------------------------------------------

# Runs a program of Postgres in its container, as the database's user. The password is needed by nobody: its socket trusts.
in_postgres() {
  local container
  container=$(container_of postgres)
  [ -n "$container" ] || fail "the database of the $role does not run" "compute-horde $role status"
  # shellcheck disable=SC2016
  docker exec -i "$container" sh -c 'export PGUSER="${POSTGRES_USER:-postgres}" PGDATABASE="${POSTGRES_DB:-${POSTGRES_USER:-postgres}}"; exec "$@"' sh "$@"
}

# The youngest migration that a database has, and that an image knows, as numbers that grow.
schema_of_database() {
  if [ -z "$(ask_database "select to_regclass('drizzle.__drizzle_migrations')")" ]; then echo 0; else
    ask_database 'select coalesce(max(created_at), 0) from drizzle.__drizzle_migrations'
  fi
}

ask_database() { in_postgres psql --no-align --tuples-only --command "$1" </dev/null; } # ask_database QUERY

# The youngest migration that a version must know to work with the database: the release that migrated it has written down
# the oldest release that can (packages/kit/src/database/schema-state.ts). Where it has not, all of them must be known.
needed_schema() {
  local schema reader=''
  schema=$(schema_of_database)
  if [ -n "$(ask_database "select to_regclass('drizzle.oldest_reader')")" ]; then
    reader=$(ask_database "select known_until from drizzle.oldest_reader where migrated_until >= $schema")
  fi
  printf '%s\n' "${reader:-$schema}"
}

can_read() { # can_read IMAGE NEEDED-SCHEMA
  local knows
  knows=$(schema_of_image "$1")
  [ "$2" -le "${knows:-0}" ]
}

schema_of_image() { # schema_of_image IMAGE
  local files="$folder/state/migrations"
  rm -rf "$files"
  mkdir -p "$files"
  folder_of_image "$1" "/app/packages/$role/drizzle/meta" "$files"
  sed -n 's/.*"when": *\([0-9]*\).*/\1/p' "$files/_journal.json" | sort -n | tail -n 1
  rm -rf "$files"
}

start_database() {
  local container end=$((SECONDS + HEALTHY_SECONDS))
  container=$(container_of postgres)
  if [ -n "$container" ] && [ "$(health_of "$container")" = healthy ]; then return 0; fi
  compose up --detach --no-deps postgres >/dev/null 2>&1 || fail 'the database does not start' "compute-horde $role logs postgres"
  until container=$(container_of postgres) && [ "$(health_of "$container")" = healthy ]; do
    [ "$SECONDS" -lt "$end" ] || fail 'the database does not become healthy' "docker logs $container"
    sleep "$LOOK_AGAIN_SECONDS"
  done
}

# Writes a backup and sets `backup`. pg_dump reads one snapshot, so the service may go on writing meanwhile.
take_backup() { write_backup || fail 'the backup could not be written (above)' "see the free disk: df -h $folder"; }

write_backup() {
  local part taken
  taken=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  umask 077
  mkdir -p "$folder/backups"
  rm -rf "$folder"/backups/.part.*
  part=$(mktemp -d "$folder/backups/.part.XXXXXX") || return
  backup=$folder/backups/$role-$(date -u +%Y%m%dT%H%M%SZ)-$(setting COMPUTE_HORDE_VERSION unknown).tar
  start_database
  in_postgres pg_dump --format=custom --compress=6 >"$part/database.dump" </dev/null || return
  {
    echo "role=$role"
    echo "version=$(setting COMPUTE_HORDE_VERSION)"
    echo "schema=$(schema_of_database)"
    echo "needs=$(needed_schema)"
    echo "taken=$taken"
  } >"$part/about" || return
  cp "$folder/.env" "$part/settings.env" || return
  cp "$folder/compose.yml" "$part/compose.yml" || return
  tar -C "$part" -cf "$backup.part" about database.dump settings.env compose.yml || return
  mv "$backup.part" "$backup" || return
  rm -rf "$part"
  remove_old_backups
  say "Backup: $backup"
}

# All but the newest, and those that a rollback, now or later, needs.
remove_old_backups() {
  local old needed
  needed=" $(state_of previous-backup) $(cat "$folder/state/before/load" "$folder/state/before/backup" 2>/dev/null | tr '\n' ' ') "
  # shellcheck disable=SC2012
  ls -1t "$folder"/backups/*.tar | tail -n +$((KEPT_BACKUPS + 1)) | while IFS= read -r old; do
    case $needed in *" $old "*) ;; *) rm -f "$old" ;; esac
  done
}

# Prints the newest backup whose database an image can read; nothing where there is none.
backup_for() { # backup_for IMAGE
  local file needs knows
  knows=$(schema_of_image "$1")
  # shellcheck disable=SC2012
  { ls -1t "$folder"/backups/*.tar 2>/dev/null || true; } | while IFS= read -r file; do
    needs=$(schema_needed_by "$file")
    if [ -z "${found:-}" ] && [ "$needs" -le "${knows:-0}" ]; then
      found=yes
      printf '%s\n' "$file"
    fi
  done
}

schema_needed_by() { # schema_needed_by BACKUP
  local needs
  needs=$(about_backup "$1" needs)
  [ -n "$needs" ] || needs=$(about_backup "$1" schema)
  # Without either it is no backup, and nothing can read it.
  printf '%s\n' "${needs:-999999999999999}"
}

about_backup() { # about_backup FILE NAME
  tar -xOf "$1" about 2>/dev/null | sed -n "s/^$2=//p"
}

# Replaces the database by that of a backup, while the service is stopped. False when that failed; then it is as it was.
load_backup() { # load_backup FILE
  compose stop "$role" >/dev/null 2>&1 || true
  start_database
  in_postgres psql --quiet --set ON_ERROR_STOP=1 --dbname template1 >/dev/null 2>&1 <<'END' || true
select pg_terminate_backend(pid) from pg_stat_activity where datname not in ('template0', 'template1') and pid <> pg_backend_pid();
END
  # In one transaction: a restore that fails leaves the database as it was.
  {
    echo 'set client_min_messages = warning; begin; drop schema if exists public cascade; drop schema if exists drizzle cascade; create schema public;'
    if tar -xOf "$1" database.dump | in_postgres pg_restore --no-owner --file=-; then echo 'commit;'; else echo 'select 1/0;'; fi
  } | in_postgres psql --quiet --set ON_ERROR_STOP=1 >/dev/null
}

# --- versions ----------------------------------------------------------------------------------------------------------

# Starts a version whose images are there, with the database of a backup where one is named. Goes back to the version before
# when it is less well than that was. What a command needs that finds this half done is in state/switching and state/before.
switch_to() { # switch_to VERSION [BACKUP]
  local before image load=${2:-} tolerated
  before=$(setting COMPUTE_HORDE_VERSION)
  image=$(image_of "$role" "$1")
  tolerated=$(tolerated_now)
  rm -rf "$folder/state/before.part"
  mkdir -p "$folder/state/before.part"
  cp -p "$folder/.env" "$folder/compose.yml" "$folder/state/before.part/"
  printf '%s\n' "${backup:-}" >"$folder/state/before.part/backup"
  printf '%s\n' "$load" >"$folder/state/before.part/load"
  printf '%s\n' "$tolerated" >"$folder/state/before.part/tolerated"
  rm -rf "$folder/state/before"
  mv "$folder/state/before.part" "$folder/state/before"
  keep_state switching "$1"
  if [ -n "$load" ]; then replace_database "$load" "$before"; fi
  adopt_files "$image"
  set_setting COMPUTE_HORDE_VERSION "$1"
  [ -z "$new_prefix" ] || set_setting IMAGE_PREFIX "$new_prefix"
  say "Starting $role $1 in place of $before"
  if comes_up "$tolerated"; then
    settle "$1" "$before"
    return
  fi
  say "$role $1 does not get as well as $before was. The last lines of its log:"
  last_log_lines | sed 's/^/  | /'
  go_back "$before"
  fail "$role $1 did not get healthy; $before runs again" 'see the lines of the log above; report them with the version'
}

# For a version that cannot read what is there. The service stands still first, so that the backup of now has everything.
replace_database() { # replace_database BACKUP VERSION-BEFORE
  say "Stopping $role $2 and taking a backup of its database as it is now"
  compose stop "$role" >/dev/null 2>&1 || true
  if ! write_backup; then
    go_back "$2"
    fail "the backup could not be written (above); $2 runs again" "see the free disk: df -h $folder"
  fi
  printf '%s\n' "$backup" >"$folder/state/before/backup"
  say "Restoring $1"
  keep_state before/replaced yes
  if ! load_backup "$1"; then
    rm -f "$folder/state/before/replaced"
    say "The database of $1 could not be restored (above), and is as it was."
    go_back "$2"
    fail "the rollback failed; $2 runs again" "see the lines above; free disk: df -h $folder"
  fi
}

settle() { # settle VERSION BEFORE
  if [ "$1" != "$2" ]; then
    keep_state previous "$2"
    keep_state previous-backup "$(cat "$folder/state/before/backup" 2>/dev/null)"
  fi
  keep_state healthy "$1"
  rm -rf "$folder/state/switching" "$folder/state/before"
  say_how_well
  remove_old_images "$1" "$(state_of previous)"
}

start_role() {
  local log="$folder/state/start.log"
  leave_jobs
  compose up --detach --remove-orphans >"$log" 2>&1 && return
  tail -n "$LOG_LINES" "$log" | sed 's/^/  | /'
  return 1
}

# A miner that is told to stop ends its jobs. One that is killed leaves them to the next one, which takes them up again
# (docs/decisions/0007-a-killed-miner.md). So a miner that Compose is going to replace is killed first.
leave_jobs() {
  local container
  [ "$role" = miner ] || return 0
  container=$(container_of miner)
  if [ -n "$container" ] && is_outdated "$container"; then docker kill "$container" >/dev/null 2>&1 || true; fi
}

is_outdated() { # is_outdated CONTAINER: whether it was made from other settings than those of now, or another image
  local wanted
  wanted=$(compose config --hash "$role" 2>/dev/null | sed 's/.* //')
  [ -n "$wanted" ] && [ "$wanted" != "$(inspect "$1" '{{index .Config.Labels "com.docker.compose.config-hash"}}')" ] && return 0
  ! runs_image "$(setting COMPUTE_HORDE_VERSION)"
}

# Starts the role and waits until it is well: see wait_until_well.
comes_up() { # comes_up [TOLERATED]
  is=away lacks='' beyond=''
  start_role && wait_until_well "$@"
}

# Puts files and version of before back; and the database of the backup when the old version cannot read the new one's.
go_back() { # go_back VERSION
  local saved database='the database as it is' tolerated lacked=$beyond
  say "Going back to $role $1."
  cp -p "$folder/state/before/.env" "$folder/state/before/compose.yml" "$folder/"
  new_prefix=''
  saved=$(cat "$folder/state/before/backup")
  tolerated=$(cat "$folder/state/before/tolerated" 2>/dev/null || echo '*')
  start_database
  if [ -e "$folder/state/before/replaced" ]; then
    say "The database of before takes its place again: $saved"
    put_back "$saved" "$1"
    database='the database of before'
  elif ! can_read "$(image_of "$role" "$1")" "$(needed_schema)"; then
    say "$role $1 cannot work with the database as it is now. The backup of before the update takes its place;"
    say "what was written since is lost: $saved"
    put_back "$saved" "$1"
    database='the database of the backup'
  fi
  if ! comes_up "$tolerated"; then
    [ "$is" != away ] || fail "$role $1 does not get healthy either" \
      "compute-horde $role logs; a backup of before the update: compute-horde $role restore $saved"
    say "$role $1 lacks now what it did not lack before: $beyond."
    if [ -n "$lacked" ]; then say "So the other version may not be the cause. See compute-horde $role check, then try it again."; fi
  fi
  rm -rf "$folder/state/switching" "$folder/state/before"
  if [ "$is" = ready ]; then say "$role $1 is healthy again, with $database."; else say "$role $1 runs again, with $database: $(how_it_is)."; fi
}

put_back() { # put_back BACKUP VERSION
  [ -e "$1" ] || fail "$role $2 cannot work with the database, and there is no backup" "compute-horde $role logs"
  load_backup "$1" || fail "the database of $1 could not be restored (above)" "df -h $folder; then compute-horde $role status: it goes on"
}

# A command that was killed while it switched versions, or restored a backup, is finished first.
finish_switch() {
  local wanted before
  if [ -n "$(state_of restoring)" ]; then
    say 'A restore was interrupted: the database is that of the backup, or as it was. Starting the service'
    comes_up || fail "the $role does not get healthy" "compute-horde $role logs"
    rm -f "$folder/state/restoring"
  fi
  wanted=$(state_of switching)
  [ -n "$wanted" ] && [ -d "$folder/state/before" ] || return 0
  before=$(sed -n 's/^COMPUTE_HORDE_VERSION=//p' "$folder/state/before/.env")
  say "An update to $wanted was interrupted. Finishing it"
  beyond=''
  if [ "$(setting COMPUTE_HORDE_VERSION)" = "$wanted" ] && comes_up "$(cat "$folder/state/before/tolerated")"; then
    settle "$wanted" "$before"
  else
    go_back "$before"
  fi
}

# An image brings the compose file, the list of settings, the dashboards and this command in its own version. A rollback keeps
# the newer command and settings.
adopt_files() { # adopt_files IMAGE
  local files="$folder/state/files"
  rm -rf "$files"
  mkdir -p "$files"
  folder_of_image "$1" /app/docker "$files"
  if [ -s "$files/compose.$role.yml" ]; then
    chmod 644 "$files/compose.$role.yml"
    cmp -s "$files/compose.$role.yml" "$folder/compose.yml" || mv -f "$files/compose.$role.yml" "$folder/compose.yml"
  fi
  if [ "$goes_back" = no ] && [ -s "$files/$role.env.example" ]; then merge_settings "$files/$role.env.example"; fi
  if [ -d "$files/monitoring" ]; then adopt_monitoring "$files/monitoring"; fi
  if [ "$goes_back" = no ] && [ -s "$files/install/server/compute-horde" ]; then install_command "$files/install/server/compute-horde"; fi
  rm -rf "$files"
}

# The files change within their folder, which running containers have mounted; these start again, to read them.
adopt_monitoring() { # adopt_monitoring FOLDER
  local service container
  if diff -rq "$1" "$folder/monitoring" >/dev/null 2>&1; then return 0; fi
  mkdir -p "$folder/monitoring"
  find "$folder/monitoring" -mindepth 1 -delete
  cp -R "$1/." "$folder/monitoring/"
  chmod -R u=rwX,go=rX "$folder/monitoring"
  for service in prometheus grafana; do
    container=$(container_of "$service")
    [ -z "$container" ] || docker restart "$container" >/dev/null 2>&1 || true
  done
}

install_command() { # install_command FILE: by a rename, since a shell may be reading the old one
  if ! cmp -s "$1" "$COMMAND_PATH"; then
    install -m 755 "$1" "$COMMAND_PATH.part"
    mv -f "$COMMAND_PATH.part" "$COMMAND_PATH"
  fi
}

names_of() { sed -n 's/^#\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$1"; } # names_of FILE: of all its settings

# Adds the settings that an example has and .env lacks, with their comment; names those that no longer exist.
merge_settings() { # merge_settings EXAMPLE
  local known line name comment='' added=''
  known=" $(names_of "$folder/.env" | tr '\n' ' ') "
  while IFS= read -r line || [ -n "$line" ]; do
    name=$(printf '%s\n' "$line" | sed -n 's/^#\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\1/p')
    if [ -n "$name" ]; then
      case $known in *" $name "*) ;; *)
        printf '\n%s%s\n' "$comment" "$line" >>"$folder/.env"
        added="$added $name"
        ;;
      esac
      comment=''
    elif [ -z "$line" ]; then comment=''; else comment="$comment$line"$'\n'; fi
  done <"$1"
  [ -z "$added" ] || say "New settings in $folder/.env:$added"
  known=" $(names_of "$1" | tr '\n' ' ') "
  sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$folder/.env" | while IFS= read -r name; do
    case $known in *" $name "*) ;; *) say "$folder/.env sets $name, which is no setting any more: remove the line" ;; esac
  done
}

remove_old_images() { # remove_old_images VERSION...: all of the role's images but these versions
  local name image
  for name in $(images_of_role); do
    docker images --format '{{.Repository}}:{{.Tag}}' "$(prefix)/$name" | while IFS= read -r image; do
      case " $* v0 latest <none> " in *" ${image##*:} "*) ;; *) docker rmi "$image" >/dev/null 2>&1 || true ;; esac
    done
  done
  for image in "$folder"/source/*/; do
    name=${image%/}
    case " $* " in *" ${name##*/} "*) ;; *) rm -rf "$image" ;; esac
  done
}

# --- commands ----------------------------------------------------------------------------------------------------------

run_status() {
  local service container last
  say "$role $(setting COMPUTE_HORDE_VERSION), images $(setting IMAGE_PREFIX compute-horde)"
  for service in $(compose config --services 2>/dev/null); do
    container=$(container_of "$service")
    case $service in executor-image) continue ;; esac
    if [ -z "$container" ]; then
      # The monitoring is there on request only.
      case $service in "$role" | postgres) say "  $service: not started" ;; esac
    else
      say "  $service: $(inspect "$container" '{{.State.Status}}'), $(health_of "$container"), since $(inspect "$container" '{{.State.StartedAt}}' | cut -c1-19)Z, $(inspect "$container" '{{.RestartCount}}') restarts"
    fi
  done
  # shellcheck disable=SC2012
  last=$(ls -1t "$folder"/backups/*.tar 2>/dev/null | head -n 1 || true)
  say "  last backup: ${last:-none}"
  say "  version before: $(state_of previous || true)"
  say "  free disk: $(df -Ph "$folder" | awk 'NR == 2 { print $4 }')"
  if systemctl is-enabled --quiet "compute-horde-$role-update.timer" 2>/dev/null; then say '  updates by itself: once a day'; else say '  updates by itself: no'; fi
  if [ -n "$(state_of switching)$(state_of restoring)" ]; then
    say "  a command that changes versions is under way, or was interrupted: compute-horde $role backup waits for it, or finishes it"
  fi
  look
  say "  now: $(how_it_is)$(if [ "$is" = unready ]; then echo " (what to do about it: compute-horde $role check)"; fi)"
  [ "$is" = ready ]
}

# Asks the role itself; in its running container where there is one.
run_check() {
  local container status=0
  container=$(container_of "$role")
  # shellcheck disable=SC2016
  if [ -n "$container" ] && [ "$(inspect "$container" '{{.State.Running}}')" = true ]; then
    docker exec "$container" node "packages/$role/src/main.ts" check || status=$?
  else
    compose run --rm --no-deps "$role" check || status=$?
  fi
  check_driver || status=1
  return $status
}

# The driver's module that runs and its library are of different versions after an update without a reboot.
check_driver() {
  command -v nvidia-smi >/dev/null || return 0
  local said
  said=$(nvidia-smi -L 2>&1) && return
  case $said in
    *'version mismatch'*) say 'bad   NVIDIA driver: it was updated and the old one still runs. What to do: reboot this server' ;;
    *) say "bad   NVIDIA driver: $(printf '%s\n' "$said" | head -n 1). What to do: reboot this server, then run the install script again" ;;
  esac
  return 1
}

run_logs() {
  [ $# -gt 0 ] || set -- --tail 200 "$role"
  compose logs "$@"
}

run_update() { # run_update [VERSION] [--from ARCHIVE]
  local wanted='' from='' free current digest='' name archive
  while [ $# -gt 0 ]; do
    case $1 in
      --from)
        from=${2:-}
        [ -n "$from" ] || fail '--from needs a file or an address'
        shift
        ;;
      -*) fail "update knows no option $1" "compute-horde --help" ;;
      *) wanted=$1 ;;
    esac
    shift
  done
  printf '%s\n' "$wanted" | grep -Eqx '([0-9A-Za-z][0-9A-Za-z._-]*(@sha256:[0-9a-f]{64})?)?' ||
    fail "'$wanted' is not a version" "such as 0.2.0: compute-horde $role update 0.2.0"
  lock
  finish_switch
  current=$(setting COMPUTE_HORDE_VERSION)
  free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$UPDATE_MIB" ] || fail "only $free MiB of disk are free; an update needs $UPDATE_MIB" \
    'free some: docker image prune, docker system df'
  if [ -n "$from" ]; then
    archive=$from
    case $from in
      http://* | https://*)
        archive=$folder/source/.archive
        mkdir -p "$folder/source"
        fetch_archive "$from" "$archive"
        ;;
      *)
        archive=${from%%#*}
        [ -r "$archive" ] || fail "there is no file $archive" 'name the archive of the sources'
        case $from in *'#sha256='*) digest=${from##*#sha256=} ;; *) digest=$(head -c 64 "$archive.sha256" 2>/dev/null || true) ;; esac
        [ -n "$digest" ] || fail "there is no checksum for $archive" "name it: $archive#sha256=…"
        check_archive "$archive" "$digest"
        ;;
    esac
    wanted=$(unpack_sources "$archive")
    keep_state origin sources
    build_images "$folder/source/$wanted" "$wanted"
  elif is_pulling; then
    case $wanted in *@*) digest=${wanted#*@} wanted=${wanted%@*} ;; esac
    [ -n "$wanted" ] || wanted=$(latest_version)
    if [ -n "$digest" ]; then rm -f "$folder/state/digest-$role-$wanted"; fi
    for name in $(images_of_role); do
      if [ "$name" = "$role" ]; then pull_image "$name" "$wanted" "$digest"; else pull_image "$name" "$wanted"; fi
    done
  else
    has_image "$(image_of "$role" "${wanted:-none}")" ||
      fail "this $role is built from sources, and there is no release to fetch yet" \
        "compute-horde $role update --from ARCHIVE, or run the install script again from a newer checkout"
  fi
  change_version "$wanted" "$current"
}

change_version() { # change_version WANTED CURRENT
  look
  if [ "$1" = "$2" ] && [ "$is" != away ] && runs_image "$1"; then
    say "$role $1 runs already: $(how_it_is)."
    return
  fi
  take_backup
  switch_to "$1"
}

runs_image() { # runs_image VERSION: whether the container was made from what that tag means now
  [ "$(inspect "$(container_of "$role")" '{{.Image}}')" = "$(docker image inspect --format '{{.Id}}' "$(image_of "$role" "$1")" 2>/dev/null)" ]
}

run_rollback() {
  local target image current saved=''
  lock
  finish_switch
  target=$(state_of previous)
  current=$(setting COMPUTE_HORDE_VERSION)
  [ -n "$target" ] || fail 'no other version was healthy here before this one' "compute-horde $role update VERSION"
  image=$(image_of "$role" "$target")
  has_image "$image" || { is_pulling && pull_image "$role" "$target"; } || fail "the image of $target is gone" "compute-horde $role update VERSION"
  say "$role goes back from $current to $target, the last version that was healthy before."
  start_database
  goes_back=yes
  if can_read "$image" "$(needed_schema)"; then
    take_backup
    switch_to "$target"
    return
  fi
  saved=$(backup_for "$image")
  [ -n "$saved" ] || fail "$target cannot read the database, which a newer version has changed, and no backup in $folder/backups is one that it can read" \
    "stay with $current, or put a backup of before its update there; nothing was changed"
  say "$target cannot read the database, which a newer version has changed. It gets back the database of $(about_backup "$saved" taken),"
  say "from the backup $saved."
  say 'What was written since then is lost to it. A backup of the database as it is now is taken first, and kept.'
  confirm "Go back to $target with the database of $(about_backup "$saved" taken)?"
  switch_to "$target" "$saved"
  say "What $current wrote since is in $backup. To have it again: compute-horde $role update $current, then restore that file"
}

run_backup() {
  lock
  finish_switch
  take_backup
}

run_restore() { # run_restore FILE
  local file=${1:-}
  [ -n "$file" ] || fail 'restore needs the file of a backup' "ls $folder/backups"
  [ -n "$(about_backup "$file" role)" ] || fail "$file is not a backup" "ls $folder/backups"
  [ "$(about_backup "$file" role)" = "$role" ] || fail "$file is a backup of a $(about_backup "$file" role)" "ls $folder/backups"
  lock
  finish_switch
  can_read "$(image_of "$role" "$(setting COMPUTE_HORDE_VERSION)")" "$(schema_needed_by "$file")" || fail \
    "$file was made by $role $(about_backup "$file" version), whose database is newer than $role $(setting COMPUTE_HORDE_VERSION) can read" \
    "compute-horde $role update $(about_backup "$file" version), then restore it"
  confirm "The database of the $role is replaced by that of $(about_backup "$file" taken). Go on?"
  take_backup
  keep_state restoring "$file"
  if ! load_backup "$file"; then
    comes_up || true
    rm -f "$folder/state/restoring"
    fail "the database of $file could not be restored (above); it is as it was" "df -h $folder; compute-horde $role status"
  fi
  comes_up || fail "the $role does not get healthy with the backup" "compute-horde $role logs; back: compute-horde $role restore $backup"
  rm -f "$folder/state/restoring"
  say_how_well
  say "Restored $file. The database of before is in $backup"
}

run_uninstall() { # run_uninstall [--purge]
  local purge=no
  case ${1:-} in
    --purge) purge=yes ;;
    '') ;;
    *) fail "uninstall knows no option $1" ;;
  esac
  lock
  if [ "$purge" = yes ]; then
    confirm "This removes the $role with its database, wallet copy, settings and backups. Go on?"
  else
    confirm "This stops and removes the $role; its database, settings, wallet copy and backups stay. Go on?"
  fi
  remove_timer
  # Executors that the miner started are no services of its compose file.
  local volumes=()
  if [ "$purge" = yes ]; then volumes=(--volumes); fi
  compose --profile monitoring down --remove-orphans ${volumes[@]+"${volumes[@]}"} >/dev/null 2>&1 ||
    compose down --remove-orphans ${volumes[@]+"${volumes[@]}"} || fail 'the containers could not be removed (above)' 'docker ps -a'
  if [ "$purge" = yes ]; then
    remove_old_images ''
    # The hotkey is overwritten before it goes.
    find "$folder/wallet" -type f -exec shred --force {} + 2>/dev/null || true
    rm -rf "${folder:?}"
    say "The $role and all that it kept on this server are removed."
  else
    say "The $role is removed. $folder and the volumes of $project stay; the install script takes them up again."
  fi
  if [ "$purge" = yes ]; then
    rm -f "$ROOT/.lock-$role"
    if rmdir "$ROOT" 2>/dev/null; then rm -f "$COMMAND_PATH"; fi
  fi
}

# --- the timer of --auto-update ----------------------------------------------------------------------------------------

install_timer() {
  local unit="/etc/systemd/system/compute-horde-$role-update"
  cat >"$unit.service" <<END
[Unit]
Description=Updates the $role of Compute Horde, and goes back when it does not get healthy
After=docker.service network-online.target

[Service]
Type=oneshot
ExecStart=$COMMAND_PATH $role update --yes
END
  cat >"$unit.timer" <<END
[Unit]
Description=Updates the $role of Compute Horde once a day

[Timer]
OnCalendar=daily
RandomizedDelaySec=6h
Persistent=true

[Install]
WantedBy=timers.target
END
  systemctl daemon-reload
  systemctl enable --now --quiet "compute-horde-$role-update.timer"
}

remove_timer() {
  local unit="compute-horde-$role-update"
  [ -e "/etc/systemd/system/$unit.timer" ] || return 0
  systemctl disable --now --quiet "$unit.timer" || true
  rm -f "/etc/systemd/system/$unit.timer" "/etc/systemd/system/$unit.service"
  systemctl daemon-reload
}

# --- the command line --------------------------------------------------------------------------------------------------

set_role() { # set_role ROLE
  role=$1
  folder=$ROOT/$role
  project=compute-horde-$role
  assume_yes=no
  backup=''
  goes_back=no
  # What stands before the images' names from the next version on; empty: as .env says.
  new_prefix=''
}

main() {
  case ${1:-} in '' | -h | --help | help)
    usage
    return
    ;;
  esac
  printf '%s' "$1" | grep -Eqx '[a-z]+' || fail "'$1' is not a role" 'compute-horde --help'
  [ "$(id -u)" = 0 ] || exec sudo -- "$0" "$@"
  set_role "$1"
  local command=${2:-} arguments=() argument
  [ -d "$folder" ] || fail "there is no $role on this server" 'run its install script'
  [ -n "$command" ] || fail 'which command?' 'compute-horde --help'
  shift 2
  for argument in "$@"; do
    if [ "$argument" = --yes ]; then assume_yes=yes; else arguments+=("$argument"); fi
  done
  case $command in
    status | check | logs | update | rollback | backup | restore | uninstall)
      "run_$command" ${arguments[@]+"${arguments[@]}"}
      ;;
    *) fail "'$command' is not a command" 'compute-horde --help' ;;
  esac
}

main "$@"
END_OF_PRINT_SERVER_COMMAND
}

print_server_steps() {
  cat <<'END_OF_PRINT_SERVER_STEPS'
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

# Which Docker the server has, and the step that installs what is missing. There is never a second engine beside the first.

# none, engine, stopped, client, snap, podman, or rootless.
docker_kind() {
  local path
  path=$(type -P docker || true)
  case $(readlink -f "${path:-/none}") in
    /snap/* | */usr/bin/snap) echo snap && return ;;
    */podman*) echo podman && return ;;
  esac
  if [ -n "$path" ] && "$path" --version 2>/dev/null </dev/null | grep -qi podman; then
    echo podman
  elif [ -n "$path" ] && docker info --format '{{json .SecurityOptions}}' 2>/dev/null </dev/null | grep -q rootless; then
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

has_rootless_engine() {
  local socket
  for socket in /run/user/*/docker.sock; do if [ -S "$socket" ]; then return 0; fi; done
  pgrep -x rootlesskit >/dev/null
}

has_compose() {
  local version
  if docker compose version >/dev/null 2>&1 </dev/null; then return 0; fi
  version=$(docker-compose version --short 2>/dev/null </dev/null || true)
  case $version in '' | 1.[0-9].* | 1.1[0-9].* | 1.2[0-6].*) return 1 ;; esac
}

# The package of Compose that fits the engine that is there.
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
  # Before the first `apt-get update` apt knows of no package: the name by the system's release.
  compose_package_by_name
}

compose_package_by_name() {
  case $(os_release ID) in ubuntu) echo docker-compose-v2 ;; *) echo docker-compose ;; esac
}

os_release() { # os_release NAME
  # shellcheck source=/dev/null
  (. "${OS_RELEASE_FILE:-/etc/os-release}" && eval "printf '%s\n' \"\${$1:-}\"")
}

check_docker() {
  case $(docker_kind) in
    none) plan "install Docker and Compose from the packages of $(os_release NAME)" ;;
    stopped) plan 'start Docker, which is installed and does not answer' ;;
    snap)
      problem 'Docker is installed as a snap, which cannot read /opt and loses containers when it refreshes' \
        'move its containers elsewhere, remove it (snap remove docker), and run this again: it installs the distribution'"'"'s package'
      ;;
    podman)
      problem "the command docker is podman, which lacks what executors need of Docker's API" \
        'remove the package podman-docker (apt-get remove podman-docker), or use another server'
      ;;
    rootless)
      problem 'Docker runs rootless: limits of jobs may silently not hold, and a second engine beside it would confuse both' \
        'uninstall it (dockerd-rootless-setuptool.sh uninstall) as its user, or use another server'
      ;;
    client)
      problem 'there is a Docker client without an engine on this server' \
        'install the engine of the same source (docker-ce or docker.io), or remove the client'
      ;;
    engine) if ! has_compose; then plan "add Compose to the Docker that is there (package $(compose_package))"; fi ;;
  esac
}

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
    *) fail 'the Docker of this server cannot be used' 'run this again: its checks say why' ;;
  esac
  docker info >/dev/null 2>&1 || start_docker
  has_compose || fail 'Docker has no Compose after installing it' 'install docker-compose-v2 or docker-compose by hand'
  systemctl enable --quiet docker 2>/dev/null || true
  say "Docker $(docker version --format '{{.Server.Version}}') with Compose is there"
}

start_docker() {
  local end=$((SECONDS + 30))
  say 'Starting Docker'
  systemctl reset-failed docker.service docker.socket 2>/dev/null || true
  systemctl start docker >/dev/null 2>&1 </dev/null || true
  until docker info >/dev/null 2>&1; do
    if [ "$SECONDS" -ge "$end" ] || systemctl is-failed --quiet docker; then
      journalctl --no-pager --lines 10 --unit docker 2>/dev/null || true
      fail 'Docker does not start (above: the end of its log)' 'mend it (journalctl -u docker)'
    fi
    sleep 1
  done
}

# The NVIDIA driver and container toolkit of a miner's server.

NVIDIA_URL=${opt_nvidia_url:-https://nvidia.github.io/libnvidia-container}
NVIDIA_LIST=/etc/apt/sources.list.d/compute-horde-nvidia-container-toolkit.list
NVIDIA_KEY=/etc/apt/keyrings/compute-horde-nvidia-container-toolkit.asc
APT_LISTS=/etc/apt/sources.list
# The boot in which the driver was installed.
DRIVER_BOOT_FILE=/var/lib/compute-horde-driver-boot

# NVIDIA's vendor number, and the classes of display controllers.
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

# works, missing, reboot (installed in this boot, or updated under the one that runs), or broken.
driver_state() {
  local said
  if ! type -P nvidia-smi >/dev/null; then
    echo missing
  elif said=$(nvidia-smi -L 2>&1 </dev/null); then
    echo works
  elif [ "$(cat "$DRIVER_BOOT_FILE" 2>/dev/null)" = "$(boot_id)" ]; then
    echo reboot
  else
    case $said in *'version mismatch'*) echo reboot ;; *) echo broken ;; esac
  fi
}

boot_id() { cat "${BOOT_ID_FILE:-/proc/sys/kernel/random/boot_id}"; }

has_toolkit() { type -P nvidia-ctk >/dev/null; }
knows_nvidia_runtime() { docker info --format '{{json .Runtimes}}' 2>/dev/null | grep -q '"nvidia"'; }

# The packages of the driver: Ubuntu's newest for servers, Debian's only one.
driver_packages() {
  local newest
  case $(os_release ID) in
    ubuntu)
      newest=$(apt-cache pkgnames nvidia-driver- 2>/dev/null | grep -E '^nvidia-driver-[0-9]+-server$' | LC_ALL=C sort -V | tail -n 1)
      printf '%s\n' "${newest:-nvidia-driver-570-server}"
      ;;
    *) printf 'linux-headers-%s nvidia-driver nvidia-smi\n' "$(dpkg --print-architecture)" ;;
  esac
}

toolkit_list() { # prints the apt list that names the toolkit's packages already
  grep -rlE "^[^#]*(nvidia\.github\.io/libnvidia-container|${NVIDIA_URL#*://})" "$APT_LISTS" "$APT_LISTS.d" 2>/dev/null | head -n 1
}

check_nvidia() {
  if ! has_nvidia_card; then
    warn_of_class
    return 0
  fi
  case $(driver_state) in
    missing) plan "install the NVIDIA driver ($(driver_packages)); a reboot follows, which you do" ;;
    reboot) plan 'ask for a reboot: the NVIDIA driver was installed or updated since this server started' ;;
    broken)
      problem "the NVIDIA driver is installed and does not work: $(nvidia-smi -L 2>&1 </dev/null | head -n 1)" \
        'see dmesg | grep -i nvidia (Secure Boot? a module for another kernel?), or pass --no-gpu'
      ;;
  esac
  if ! has_toolkit; then
    if [ -n "$(toolkit_list)" ]; then plan "install nvidia-container-toolkit from the list that is there, $(toolkit_list)"; else
      plan "add NVIDIA's apt list $NVIDIA_LIST and install nvidia-container-toolkit"
    fi
  fi
  if ! knows_nvidia_runtime; then plan 'tell Docker of the NVIDIA runtime, and restart Docker once'; fi
}

# A miner without a card takes no jobs of a class that has some.
warn_of_class() {
  local class
  class=$(wanted_setting EXECUTOR_CLASS "$opt_class")
  case $class in
    *gpu* | *llm*) warn "there is no NVIDIA card, and executors of the class $class need one: the miner will take no jobs. For a server without: --class always_on.cpu.8c.16gb" ;;
  esac
}

step_nvidia() {
  if ! has_nvidia_card; then
    say 'No NVIDIA card: nothing to install'
    return
  fi
  if [ "$(driver_state)" = missing ]; then install_driver; fi
  has_toolkit || install_toolkit
  if ! knows_nvidia_runtime; then
    nvidia-ctk runtime configure --runtime=docker >>"$INSTALL_LOG" 2>&1 </dev/null || fail "Docker's settings could not be changed" \
      'nvidia-ctk runtime configure --runtime=docker'
    say 'Restarting Docker, so that it knows the NVIDIA runtime'
    systemctl restart docker >>"$INSTALL_LOG" 2>&1 </dev/null || start_docker
  fi
  if [ "$(driver_state)" = reboot ]; then
    answer reboot ''
    fail 'the NVIDIA driver works after a reboot only' 'reboot the server (sudo reboot)'
  fi
  say 'The NVIDIA driver and the container toolkit are there'
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

# Debian keeps the driver in non-free, which its installer may have left out.
add_non_free() {
  local list=/etc/apt/sources.list.d/compute-horde-non-free.list
  say "Adding Debian's non-free packages: $list"
  printf 'deb http://deb.debian.org/debian %s contrib non-free non-free-firmware\n' "$(os_release VERSION_CODENAME)" >"$list"
}

# A list that is there already is used: a second one with another key makes apt refuse everything ("Conflicting values
# set for option Signed-By").
install_toolkit() {
  local key
  if [ -z "$(toolkit_list)" ]; then
    if ! type -P curl >/dev/null; then
      update_lists
      install_packages curl ca-certificates
    fi
    mkdir -p "${NVIDIA_KEY%/*}"
    key=$(curl --silent --show-error --fail --location "$NVIDIA_URL/gpgkey" 2>&1 </dev/null) ||
      fail "NVIDIA's key could not be fetched: $key" "see whether this server reaches $NVIDIA_URL"
    printf '%s\n' "$key" >"$NVIDIA_KEY"
    chmod 644 "$NVIDIA_KEY"
    printf 'deb [signed-by=%s] %s/stable/deb/%s /\n' "$NVIDIA_KEY" "$NVIDIA_URL" "$(dpkg --print-architecture)" >"$NVIDIA_LIST"
  fi
  update_lists
  install_packages nvidia-container-toolkit
}

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

# The steps that write files, fetch images and start the role.

# Reads files from stdin, each as a line `NAME SIZE` and SIZE bytes, until a line `end`. Then each is in $incoming.
receive_files() {
  local name size
  incoming=$(mktemp -d "$ROOT/.incoming-$role.XXXXXX")
  # Also when the step fails: the hotkey is among the files.
  trap 'rm -rf "$incoming"' EXIT
  while IFS=' ' read -r name size && [ "$name" != end ]; do
    head -c "$size" >"$incoming/$name"
  done
  [ "${name:-}" = end ] || fail 'the connection ended while files were sent' 'see the connection'
}

step_files() {
  local name
  umask 077
  mkdir -p "$folder"
  chmod 755 "$ROOT" "$folder"
  rm -rf "$ROOT/.incoming-$role".*
  receive_files
  install_command "$incoming/compute-horde"
  # What runs keeps its own compose file: an update brings the next one.
  if [ ! -e "$folder/state/healthy" ]; then put_file "$incoming/compose.yml" "$folder/compose.yml" 644; fi
  put_wallet
  if [ -e "$folder/.env" ]; then
    chmod 600 "$folder/.env"
    merge_settings "$incoming/env.example"
  else
    write_settings "$incoming/env.example"
  fi
  keep_state origin "$(if [ -n "$opt_prefix" ]; then echo registry; else echo sources; fi)"
  if [ -n "$opt_base_image" ]; then set_setting BASE_IMAGE "$opt_base_image"; fi
  rm -rf "$incoming"
  if [ "$opt_auto_update" = yes ]; then install_timer; fi
}

put_file() { # put_file FROM TO MODE: leaves a file that is the same alone
  if ! cmp -s "$1" "$2"; then
    cp "$1" "$2.part"
    chmod "$3" "$2.part"
    mv -f "$2.part" "$2"
  fi
}

put_wallet() {
  local wallet=$folder/wallet/default owner
  owner=$(stat -c %u:%g "$wallet/hotkeys/default" 2>/dev/null || echo 0:0)
  mkdir -p "$wallet/hotkeys"
  if [ -e "$wallet/hotkeys/default" ] && ! cmp -s "$incoming/hotkey" "$wallet/hotkeys/default"; then
    say "Another hotkey than before: the $role restarts with it"
    keep_state restart yes
  fi
  put_file "$incoming/hotkey" "$wallet/hotkeys/default" 600
  if [ -e "$incoming/coldkeypub.txt" ]; then put_file "$incoming/coldkeypub.txt" "$wallet/coldkeypub.txt" 600; fi
  chown -R "$owner" "$folder/wallet"
}

# A new .env, with a fresh password. The shell writes it: no secret is an argument of a program.
write_settings() { # write_settings EXAMPLE
  cp "$1" "$folder/.env.new"
  mv "$folder/.env.new" "$folder/.env"
  chmod 600 "$folder/.env"
  set_setting POSTGRES_PASSWORD "$(od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n')"
  set_setting BITTENSOR_NETWORK "$opt_network"
  set_setting BITTENSOR_NETUID "$opt_netuid"
  set_setting WALLET_FOLDER "$folder/wallet"
  set_setting ADMIN_PORT "$opt_admin_port"
  if [ "$role" = miner ]; then
    set_setting PUBLIC_PORT "$opt_port"
    [ -z "$opt_class_given" ] || set_setting EXECUTOR_CLASS "$opt_class_given"
    # Where its disk watch looks.
    set_setting DOCKER_DATA_FOLDER "$(docker_data)"
  fi
  if [ -n "$opt_prefix" ]; then set_setting IMAGE_PREFIX "$opt_prefix"; fi
  set_setting COMPUTE_HORDE_VERSION none
}

# Pulls or builds. Keeps the version as the state `wanted`.
step_images() {
  local version name archive
  new_prefix=$opt_prefix
  if [ -z "$opt_prefix" ]; then
    new_prefix=compute-horde
    mkdir -p "$folder/source"
    receive_files
    archive=$incoming/source.tar.gz
    if [ -n "$opt_source_sha256" ]; then check_archive "$archive" "$opt_source_sha256"; fi
    version=$(unpack_sources "$archive")
    rm -rf "$incoming"
    build_images "$folder/source/$version" "$version"
  else
    version=${opt_version%%@*}
    for name in $(images_of_role); do
      case $name-$opt_version in
        "$role"-*@*) pull_image "$name" "$version" "${opt_version#*@}" ;;
        # A tag that was pulled and whose digest is known needs no registry.
        *) if [ -z "$(state_of "digest-$name-$version")" ] || ! has_image "$(image_of "$name" "$version")"; then pull_image "$name" "$version"; fi ;;
      esac
    done
  fi
  if [ -z "$(state_of healthy)" ]; then pin_database; fi
  keep_state wanted "$version"
  own_wallet "$(image_of "$role" "$version")"
  say "The images of $role $version are there"
}

# Names the database's image by its digest, before its first start: a later pull then brings no other one. An image that was
# loaded, and not pulled, has no digest, and stays as it is.
pin_database() {
  local image digest
  [ -z "$(setting POSTGRES_IMAGE)" ] || return 0
  # shellcheck disable=SC2016
  image=$(sed -n 's/^ *image: ${POSTGRES_IMAGE:-\(.*\)}$/\1/p' "$folder/compose.yml")
  has_image "$image" || docker pull --quiet "$image" >/dev/null || fail "$image could not be pulled (above)" \
    'see whether this server reaches its registry, or name another image as POSTGRES_IMAGE in '"$folder/.env"
  digest=$(digest_of "$image")
  if [ -n "$digest" ]; then set_setting POSTGRES_IMAGE "$image@$digest"; fi
}

# The wallet belongs to the user that the role runs as.
own_wallet() { # own_wallet IMAGE
  local ids
  ids=$(docker run --rm --network none --entrypoint sh "$1" -c 'echo "$(id -u):$(id -g)"' </dev/null)
  chown -R "$ids" "$folder/wallet"
}

step_start() {
  local wanted current
  wanted=$(state_of wanted)
  new_prefix=''
  finish_switch
  new_prefix=${opt_prefix:-compute-horde}
  current=$(setting COMPUTE_HORDE_VERSION)
  if [ -z "$(state_of healthy)" ]; then
    first_start "$wanted"
  elif [ "$current" = "$wanted" ] && [ "$(setting IMAGE_PREFIX compute-horde)" = "$new_prefix" ]; then
    start_again
  else
    take_backup
    switch_to "$wanted"
  fi
}

first_start() { # first_start VERSION
  set_setting COMPUTE_HORDE_VERSION "$1"
  set_setting IMAGE_PREFIX "$new_prefix"
  adopt_files "$(image_of "$role" "$1")"
  if comes_up; then
    settle "$1" "$1"
    return
  fi
  say 'The last lines of its log:'
  last_log_lines
  fail "the $role does not get healthy (above: the end of its log)" \
    "mend what its log names; settings are in $folder/.env"
}

# Compose leaves alone what has not changed.
start_again() {
  if [ -n "$(state_of restart)" ]; then
    compose stop "$role" >/dev/null 2>&1 || true
    rm -f "$folder/state/restart"
  fi
  if comes_up; then
    say_how_well
    return
  fi
  last_log_lines
  fail "the $role does not get healthy (above: the end of its log)" "mend what its log names; settings are in $folder/.env"
}

step_check() {
  local status=0
  run_check || status=$?
  answer check "$status"
  look
  if [ "$is" = unready ]; then answer lacks "$lacks"; fi
}

# The side of the install scripts that runs on the server: one step for each connection, its answers as marked lines, so
# that what a login profile prints is told apart. Whatever is not marked is output of a program.

INSTALL_LOG=/var/log/compute-horde-install.log

answer() { printf '@compute-horde@ %s %s\n' "$1" "$2" || true; } # answer KIND TEXT
say() { answer say "$*"; }
plan() { answer plan "$1"; }
warn() { answer warn "$1"; }
fact() { answer "fact-$1" "$2"; }
problem() { # problem WHAT WHAT-TO-DO
  answer problem "$1"
  answer todo "$2"
}
fail() { # fail WHAT WHAT-TO-DO
  answer failed "$1"
  answer todo "${2:-see the lines above}"
  exit 1
}

run_step() { # run_step ROLE STEP
  local status=0
  # A step that has begun is finished, though the connection is lost: dpkg must not be stopped half way.
  trap '' HUP PIPE
  set_role "$1"
  assume_yes=yes
  case $2 in
    checks) ;;
    *)
      (umask 077 && : >>"$INSTALL_LOG")
      lock
      ;;
  esac
  # Not behind `||`, where the shell would go on after an error.
  set +e
  (
    set -e
    "step_$2"
  )
  status=$?
  set -e
  answer end "$status"
  exit "$status"
}
END_OF_PRINT_SERVER_STEPS
}

print_compose_file() {
  cat <<'END_OF_PRINT_COMPOSE_FILE'
# Runs a validator and its database, with Docker Compose v2 or docker-compose 1.29.
#
#   cp docker/validator.env.example docker/.env      # and fill in what is empty
#   docker compose -f docker/compose.validator.yml up -d
#
# Compose builds missing images from the checkout. docker/README.md says more, also about the profile `monitoring`.

x-logging: &logging
  driver: json-file
  options: { max-size: 10m, max-file: "5" }

services:
  validator:
    image: ${IMAGE_PREFIX:-compute-horde}/validator:${COMPUTE_HORDE_VERSION:-dev}
    build:
      context: ${SOURCE_FOLDER:-..}
      dockerfile: docker/Dockerfile
      target: validator
      args:
        BASE_IMAGE: ${BASE_IMAGE:-debian:bookworm-slim}
        NPM_REGISTRY: ${NPM_REGISTRY:-https://registry.npmjs.org/}
        CA_CERTIFICATE: ${CA_CERTIFICATE:-}
        VERSION: ${COMPUTE_HORDE_VERSION:-dev}
        REVISION: ${REVISION:-unknown}
    restart: unless-stopped
    # A validator ends by itself well within this time.
    stop_grace_period: 1m
    depends_on:
      postgres: { condition: service_healthy }
    env_file: ["${ENV_FILE:-.env}"]
    environment:
      DATABASE_URL: postgres://horde:${POSTGRES_PASSWORD:?set it in .env}@postgres/horde
      BITTENSOR_WALLET_DIRECTORY: /wallets
      DISK_FOLDERS: /disks/database
      # The address inside the container. Outside, only the loopback address leads there (see `ports`).
      ADMIN_HOST: 0.0.0.0
      ADMIN_PORT: "8001"
    ports: ["127.0.0.1:${ADMIN_PORT:-8001}:8001"]
    # The owner of the wallet's files: no other user may read them.
    user: ${WALLET_USER:-1000:1000}
    read_only: true
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: ${MEMORY_LIMIT:-1g}
    pids_limit: 256
    volumes:
      - ${WALLET_FOLDER:-./wallet}:/wallets:ro
      # Shows only how full the database's disk is: this user may not read the files in it.
      - postgres:/disks/database:ro
    tmpfs: [/tmp]
    networks: [validator]
    logging: *logging

  postgres:
    image: ${POSTGRES_IMAGE:-postgres:15}
    restart: unless-stopped
    stop_grace_period: 1m
    environment:
      POSTGRES_USER: horde
      POSTGRES_DB: horde
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?set it in .env}
    healthcheck:
      test: [CMD, pg_isready, --quiet, --username=horde, --dbname=horde, --host=127.0.0.1]
      interval: 5s
      timeout: 5s
      retries: 12
      start_period: 30s
    security_opt: ["no-new-privileges:true"]
    mem_limit: ${POSTGRES_MEMORY_LIMIT:-1g}
    shm_size: 128m
    volumes:
      - postgres:/var/lib/postgresql/data
    networks: [validator]
    logging: *logging

  prometheus:
    profiles: [monitoring]
    image: ${PROMETHEUS_IMAGE:-prom/prometheus:v2.53.5}
    restart: unless-stopped
    command:
      - --config.file=/etc/compute-horde/prometheus.validator.yml
      - --storage.tsdb.path=/prometheus
      - --storage.tsdb.retention.time=30d
      - --storage.tsdb.retention.size=2GB
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 512m
    volumes:
      - ./monitoring:/etc/compute-horde:ro
      - prometheus:/prometheus
    networks: [validator]
    logging: *logging

  grafana:
    profiles: [monitoring]
    image: ${GRAFANA_IMAGE:-grafana/grafana:11.6.0}
    restart: unless-stopped
    environment:
      # Grafana has no log-in: everyone who reaches the port may look, and no one may change anything.
      GF_AUTH_ANONYMOUS_ENABLED: "true"
      GF_AUTH_ANONYMOUS_ORG_ROLE: Viewer
      GF_AUTH_DISABLE_LOGIN_FORM: "true"
      GF_AUTH_BASIC_ENABLED: "false"
      GF_ANALYTICS_REPORTING_ENABLED: "false"
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false"
      GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: /etc/compute-horde/dashboards/validator.json
      GF_PATHS_PROVISIONING: /etc/compute-horde/grafana
    ports: ["127.0.0.1:${GRAFANA_PORT:-3001}:3000"]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 512m
    volumes:
      - ./monitoring:/etc/compute-horde:ro
      - grafana:/var/lib/grafana
    networks: [validator]
    logging: *logging

networks:
  validator: {}

volumes:
  postgres: {}
  prometheus: {}
  grafana: {}
END_OF_PRINT_COMPOSE_FILE
}

print_env_example() {
  cat <<'END_OF_PRINT_ENV_EXAMPLE'
# Settings of a validator: copy this file to .env beside compose.validator.yml and fill in what is empty.
# Write values without quotes, and a dollar sign as $$.

# The name of the Compose project: containers and volumes are named after it.
COMPOSE_PROJECT_NAME=compute-horde-validator

# What runs beside the role. The profile `monitoring` is Prometheus and Grafana. Example: monitoring
#COMPOSE_PROFILES=

# What the compose file itself needs.

# The database's password, letters and digits. Stays as it is after the first start: the database remembers it. Required. Example: what `openssl rand -hex 24` prints
POSTGRES_PASSWORD=

# The folder on the server that holds the wallets, as <wallet>/hotkeys/<hotkey>; mounted read-only. Example: /home/me/.bittensor/wallets
#WALLET_FOLDER=./wallet

# The ids of the user and the group that own the wallet's files: the validator runs as this user. Example: 1000:1000
#WALLET_USER=1000:1000

# The port of the status page, /health and /metrics, on the server's loopback address only. Example: 8001
#ADMIN_PORT=8001

# The port of Grafana in the profile `monitoring`, on the server's loopback address only. Example: 3001
#GRAFANA_PORT=3001

# The most memory that the validator may take. Example: 2g
#MEMORY_LIMIT=1g

# The most memory that the database may take. Example: 2g
#POSTGRES_MEMORY_LIMIT=1g

# What stands before the names of the images: a registry and a folder there, or a local name. Example: registry.example/compute-horde
#IMAGE_PREFIX=compute-horde

# The version of the images: their tag. Example: 0.1.0
#COMPUTE_HORDE_VERSION=dev

# The image of the database. With its digest, as postgres:15@sha256:..., it is the same one at every pull. Example: postgres:15
#POSTGRES_IMAGE=postgres:15

# The image of Prometheus, for the profile `monitoring`. Example: prom/prometheus:v2.53.5
#PROMETHEUS_IMAGE=prom/prometheus:v2.53.5

# The image of Grafana, for the profile `monitoring`. Example: grafana/grafana:11.6.0
#GRAFANA_IMAGE=grafana/grafana:11.6.0

# The checkout that missing images are built from. Example: ./source
#SOURCE_FOLDER=..

# The image that builds begin with: any Debian or Ubuntu. Example: debian:bookworm-slim
#BASE_IMAGE=debian:bookworm-slim

# The npm registry that builds take dependencies from. Example: https://registry.npmjs.org/
#NPM_REGISTRY=https://registry.npmjs.org/

# The validator's own settings. A line that is commented out shows the default.

# The subnet on which this service is registered. Required. Example: 12
BITTENSOR_NETUID=

# The chain: finney, test, local, host:port or a URL; several separated by commas. Required. Example: finney
BITTENSOR_NETWORK=

# The wallet: a folder in the wallet directory. Example: default
#BITTENSOR_WALLET_NAME=default

# The hotkey: a file in the wallet's hotkeys folder. Example: default
#BITTENSOR_WALLET_HOTKEY_NAME=default

# How many hotkeys with the most stake count as validators. Used only if the chain has no MaxAllowedValidators. Example: 24
#MAX_VALIDATORS=24

# The least stake of a validator, in TAO. Used only if the chain has no StakeThreshold. Example: 1000
#MIN_VALIDATOR_STAKE_TAO=1000

# The facilitator whose jobs this validator takes. Unset: only synthetic jobs. Example: wss://facilitator.example/ws/v0/
#FACILITATOR_URI=

# The window in which each validator runs one batch of synthetic jobs, in its own turn by its rank, in seconds. Windows are counted from the Unix epoch, so that all validators have the same ones. Example: 7200
#BATCH_INTERVAL_SECONDS=7200

# Whether a batch runs as soon as the validator starts. Otherwise it runs at the validator's next turn. Example: true
#BATCH_AT_START=false

# Whether batches run although this hotkey is no validator of the subnet; its turn comes after theirs. Example: true
#BATCHES_OUTSIDE_VALIDATORS=false

# When a batch closes at the latest, even with jobs still running, in seconds from its start. Example: 600
#BATCH_DEADLINE_SECONDS=600

# How long the first job of a batch waits for all miners to connect and send their manifests, in seconds. Example: 15
#BATCH_GATHER_SECONDS=15

# How many synthetic jobs run at once at most. Example: 1024
#BATCH_JOBS_AT_ONCE=1024

# How many synthetic jobs are offered in a second at most. Set a lower number on a slow machine: it measures correctly only while it keeps up. Example: 250
#BATCH_JOB_STARTS_PER_SECOND=250

# How many synthetic jobs a miner gets in a batch at most, whatever its manifest lists. Example: 64
#MAX_JOBS_PER_MINER=64

# What synthetic jobs are: hashcat (64 passwords a job; with SCORING=2024 one), echo, or the path of a module of your own (packages/validator/README.md). Example: hashcat
#BENCHMARK=hashcat

# The image of echo jobs: it prints /volume/payload.txt. Example: compute-horde/echo:v0
#ECHO_JOB_IMAGE=compute-horde/echo:v0

# How long an echo job may take, in seconds. Example: 30
#ECHO_TIMEOUT_SECONDS=30

# How long a barely adequate executor takes for an echo job, in seconds. Example: 2
#ECHO_REFERENCE_SECONDS=2

# The image of hashcat jobs: its entry point is hashcat. Example: compute-horde/hashcat:v0
#SYNTHETIC_JOB_IMAGE=backenddevelopersltd/compute-horde-job:v0-latest

# How many characters the password of a sha256 hashcat job has; fewer for slow executors. Example: 3
#HASHCAT_PASSWORD_LENGTH_SHA256=6

# How many characters the password of a sha384 hashcat job has; fewer for slow executors. Example: 3
#HASHCAT_PASSWORD_LENGTH_SHA384=5

# How many characters the password of a sha512 hashcat job has; fewer for slow executors. Example: 3
#HASHCAT_PASSWORD_LENGTH_SHA512=5

# How long a sha256 hashcat job may take, in seconds. Example: 90
#HASHCAT_TIMEOUT_SECONDS_SHA256=90

# How long a sha384 hashcat job may take, in seconds. Example: 45
#HASHCAT_TIMEOUT_SECONDS_SHA384=45

# How long a sha512 hashcat job may take, in seconds. Example: 45
#HASHCAT_TIMEOUT_SECONDS_SHA512=45

# How long a barely adequate executor takes for a sha256 hashcat job, in seconds. Example: 30
#HASHCAT_REFERENCE_SECONDS_SHA256=30

# How long a barely adequate executor takes for a sha384 hashcat job, in seconds. Example: 15
#HASHCAT_REFERENCE_SECONDS_SHA384=15

# How long a barely adequate executor takes for a sha512 hashcat job, in seconds. Example: 15
#HASHCAT_REFERENCE_SECONDS_SHA512=15

# How long connecting to a miner may take, all attempts together, in seconds. Example: 70
#CONNECT_SECONDS=70

# How long a connected miner may take to send its manifest, in milliseconds. After that it counts as a v0 miner, with one executor of the default class. Example: 1000
#MANIFEST_WAIT_MS=1000

# How long a miner that sent a manifest may take to accept or decline an offer, in seconds. Example: 30
#ACCEPT_SECONDS=30

# How long a v0 miner, which sends no manifest, may take to accept or decline an offer, in seconds: it holds an offer until its executor is free. No other job waits for it. Example: 300
#SLOW_ACCEPT_SECONDS=300

# How long an executor may take to be ready, beyond its class's spin-up time, in seconds. Example: 120
#READY_SLACK_SECONDS=120

# How long to wait for a result beyond the job's timeout, in seconds. A result that late scores nothing. Example: 11
#RESULT_GRACE_SECONDS=11

# How long a user's job may take from its offer to a ready executor, in seconds. Example: 300
#ORGANIC_READY_SECONDS=300

# How long a user's job may take as a whole, in seconds. Example: 300
#ORGANIC_JOB_SECONDS=300

# Whether to connect to miners on loopback, private and link-local addresses. For local networks. Example: false
#ALLOW_PRIVATE_MINERS=false

# How a synthetic job's time becomes a score: efficiency, or 2024 on a subnet with v0 validators. Example: efficiency
#SCORING=efficiency

# The exponent of speed in the efficiency score. Above 1, one executor behind two hotkeys earns less. Example: 1.2
#EFFICIENCY_EXPONENT=1.2

# The highest efficiency score of one job. An executor of reference speed scores 1. Example: 16
#EFFICIENCY_CAP=16

# How long after its start a batch can still be scored, in seconds. Example: 86400
#SCORE_WINDOW_SECONDS=86400

# The weight of each class before demand: class=weight, separated by commas. Other classes get 0. Unset: 1 each, and a millionth for always_on.test. Example: always_on.gpu-24gb=1,always_on.llm.a6000=2
#CLASS_WEIGHTS=

# The least capacity demanded of a class, in executors of reference speed; with less, its share is smaller. Example: 4
#CLASS_CAPACITY_FLOOR_EXECUTORS=4

# How far back users' jobs count as demand for their class, in seconds. Example: 604800
#DEMAND_WINDOW_SECONDS=604800

# Executor-seconds added to the demand of every class. Higher values make demand matter less. Example: 86400
#DEMAND_SMOOTHING_SECONDS=86400

# The smallest factor that demand applies to a class's weight. Example: 0.5
#DEMAND_FLOOR=0.5

# The largest factor that demand applies to a class's weight. Example: 2
#DEMAND_CEILING=2

# The version key sent with the weights. The chain refuses one below the WeightsVersionKey of the subnet. Example: 2
#WEIGHTS_VERSION_KEY=2

# How weights are committed on a subnet with commit-reveal, if the chain has both ways. timelock: sealed for a round of drand, and opened by the chain itself. hash: revealed by this validator an epoch or more later, so it must run then. auto: timelock while the chain receives drand rounds, else hash. Example: hash
#WEIGHTS_COMMIT_BY=auto

# How many blocks setting weights waits for the chain's rate limit before it is postponed. Example: 100
#WEIGHTS_WAIT_BLOCKS=100

# How often to check whether weights are due, in seconds. Example: 60
#WEIGHTS_CHECK_SECONDS=60

# How long ended batches and jobs are kept, in days. What is not scored yet, and what scoring still reads, is kept for longer. Example: 30
#RETENTION_DAYS=30

# How long settings of weights are kept, in days. The last one and a pending one are always kept. Example: 365
#WEIGHTS_RETENTION_DAYS=365

# Free space of a disk, in bytes, below which /health shows a warning. Example: 10000000000
#DISK_LOW_BYTES=10000000000

# Free space of a disk, in bytes, below which the service is not ready. Example: 1000000000
#DISK_FULL_BYTES=1000000000

# The lowest level of log lines to write. Example: info
#LOG_LEVEL=info
END_OF_PRINT_ENV_EXAMPLE
}

# The last line: a script that was cut short does nothing. Nothing in it reads stdin, which may be the script.
main "$@" </dev/null
