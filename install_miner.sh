#!/usr/bin/env bash
# Installs a Compute Horde miner on a server: install_miner.sh --help
#
# Made from the parts in docker/install by `node packages/deploy/src/print-install-scripts.ts`: change the parts.
# Needs bash 3.2. The code for the server is at the end, in print_server_command and print_server_steps.

ROLE=miner
SCRIPT=install_miner.sh
VERSION=0.1.0
set -uo pipefail

DEFAULT_NETWORK=finney
DEFAULT_NETUID=12
# The address of a release's sources, ending in .tar.gz#sha256=…. Empty until there is a release.
RELEASE_ADDRESS=''

EXIT_FAILED=1
EXIT_MISTAKE=2
EXIT_REBOOT=3

# Messages for the owner, and questions to the owner.

# Prints its arguments as one line, with a space between two.
say() { printf '%s\n' "$*"; }

# Prints an error on stderr, and exits.
stop() { # stop EXIT-CODE WHAT [WHAT-TO-DO]
  printf '\n%s\n' "$2" >&2
  [ -z "${3:-}" ] || printf '  What to do: %s\n' "$3" >&2
  exit "$1"
}

# Adds a problem to the list that report_problems prints, so that one run names all of them.
problems=''
problem() { # problem WHAT WHAT-TO-DO
  problems="$problems- $1
  What to do: $2
"
}

# Prints all problems and exits, if there are any.
report_problems() {
  [ -n "$problems" ] || return 0
  printf '\nNothing was changed. Fix these problems first:\n%s' "$problems" >&2
  exit "$EXIT_MISTAKE"
}

# Whether there is a terminal to ask on. stdin does not count, because this script may come through it.
has_terminal() { { true </dev/tty; } 2>/dev/null; }

# Asks whether to begin, and exits unless the answer is yes.
confirm() {
  local answer=''
  [ "$assume_yes" = no ] || return 0
  has_terminal || stop "$EXIT_MISTAKE" 'There is no terminal to ask on. Nothing was changed.' 'pass --yes'
  printf '\nIs this your hotkey, and do you want to continue? [y/N] ' >/dev/tty
  IFS= read -r answer </dev/tty || true
  case $answer in y | Y | yes | Yes) ;; *) stop "$EXIT_MISTAKE" 'Stopped. Nothing was changed.' ;; esac
}

# Asks for a password without showing it. Sets `password`.
ask_password() { # ask_password QUESTION
  printf '%s' "$1" >/dev/tty
  IFS= read -r -s password </dev/tty || password=''
  printf '\n' >/dev/tty
}

# Prints a word in single quotes, for a shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; } # quoted WORD

# Prints a word for a command line that the owner may copy: in quotes only if it needs them.
quoted_if_needed() { # quoted_if_needed WORD
  case $1 in *[!A-Za-z0-9_./@:=-]*) quoted "$1" ;; *) printf '%s' "$1" ;; esac
}

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

# Checks the hotkey's file. The scripts read and send it without making a copy, and never open the coldkey.

# Checks the hotkey's file and the wallet around it. Sets hotkey_address, and coldkeypub to the path of coldkeypub.txt
# if the wallet has it.
check_hotkey() {
  hotkey_address='' coldkeypub=''
  [ -n "$hotkey_path" ] || return 0
  # In quotes, the shell that called this script did not expand the ~.
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
    problem "$file cannot be read by $(id -un)" 'check its owner and mode: ls -l'
  elif head -c 16 "$file" | grep -aEq '^([$]NACL|[$]ANSIBLE|gAAAA)'; then
    problem "$file is encrypted, and a $ROLE cannot ask for its password" \
      'make a hotkey without a password: btcli wallet new-hotkey --no-use-password'
  else
    read_hotkey "$file" "$folder"
  fi
}

# Checks the content of the hotkey's file, and compares it with coldkeypub.txt.
read_hotkey() { # read_hotkey FILE FOLDER
  local owner
  hotkey_address=$(address_in "$1")
  if [ -z "$hotkey_address" ]; then
    problem "$1 is not a hotkey's file: it contains no address" \
      'pass a file that btcli wallet new-hotkey or regen-hotkey made'
    return
  fi
  if ! grep -Eq '"(secretSeed|secretPhrase|privateKey)" *: *"' "$1"; then
    problem "$1 contains the public part of a key only" \
      'pass the file of the hotkey, in the folder hotkeys of the wallet'
    return
  fi
  # A wallet has coldkeypub.txt beside its folder hotkeys.
  if [ -r "$2/../coldkeypub.txt" ]; then
    coldkeypub=$2/../coldkeypub.txt
    owner=$(address_in "$coldkeypub")
    if [ "$owner" = "$hotkey_address" ]; then
      problem "$1 is the wallet's coldkey under another name, which stays on your machine" 'pass the file of a hotkey'
    fi
    if grep -Eq '"(secretSeed|secretPhrase)" *: *"' "$coldkeypub"; then
      problem "$coldkeypub contains a secret: it is not the public part of the coldkey" \
        'make it again: btcli wallet regen-coldkeypub'
    fi
  fi
}

# Prints the address in a key's file, or nothing.
address_in() { # address_in FILE
  sed -n 's/.*"ss58Address" *: *"\([1-9A-HJ-NP-Za-km-z]\{40,60\}\)".*/\1/p' "$1" 2>/dev/null | head -n 1
}

# The sources from which the server builds images, unless it pulls them.

# Finds the sources, and checks them. Sets source_folder for a checkout; source_archive and source_sha256 for an
# archive.
check_source() {
  source_folder='' source_archive='' source_sha256=''
  [ -z "$image_prefix" ] || return 0
  if [ -z "$from" ]; then from=$(own_checkout); fi
  if [ -z "$from" ]; then from=$RELEASE_ADDRESS; fi
  case $from in
    '') problem 'there is nothing to build: this script is not in a checkout, and there is no release yet' \
      'pass --from with a checkout or an archive, or --image-prefix with a registry that has the images' ;;
    http://* | https://*) fetch_source ;;
    *.tar.gz | *.tgz | *.tar.gz#* | *.tgz#*) check_source_archive "${from%%#*}" ;;
    *)
      if [ -f "$from/docker/Dockerfile" ] && [ -f "$from/package.json" ]; then source_folder=$from; else
        problem "$from is neither a checkout nor a .tar.gz" 'pass the folder that contains docker/ and packages/'
      fi
      ;;
  esac
}

# Prints the checkout that contains this script. Prints nothing if the script came through a pipe.
own_checkout() {
  local file=${BASH_SOURCE[0]:-} folder
  [ -n "$file" ] && [ -f "$file" ] || return 0
  case $file in */*) folder=${file%/*} ;; *) folder=. ;; esac
  if [ -f "$folder/docker/Dockerfile" ]; then (cd "$folder" && pwd); fi
}

# Downloads the archive at the address $from, and its checksum, and checks both.
fetch_source() {
  local address=${from%%#*} output
  if ! command -v curl >/dev/null 2>&1; then
    problem 'curl is missing on this machine' 'install it, or pass --from with a file'
    return
  fi
  source_archive=$scratch/source.tar.gz
  output=$(curl -sSfL -o "$source_archive" "$address" 2>&1) ||
    problem "$address could not be fetched: $output" 'check the address after --from'
  case $from in *'#'*) ;; *) fetch_checksum "$address" ;; esac
  if [ -s "$source_archive" ]; then check_source_archive "$source_archive"; fi
}

# Downloads the file with the checksum of an archive, if there is one.
fetch_checksum() { # fetch_checksum ADDRESS-OF-ARCHIVE
  curl -sSfL -o "$source_archive.sha256" "$1.sha256" 2>/dev/null || rm -f "$source_archive.sha256"
}

# Compares an archive with its checksum. Sets source_archive and source_sha256.
check_source_archive() { # check_source_archive FILE
  local actual wanted='' name=${from%%#*}
  source_archive=$1
  if [ ! -r "$1" ]; then
    problem "there is no file $1" 'check the path after --from'
    return
  fi
  case $from in *'#sha256='*) wanted=${from##*#sha256=} ;; esac
  if [ -z "$wanted" ] && [ -r "$1.sha256" ]; then wanted=$(head -c 64 "$1.sha256"); fi
  if [ -z "$wanted" ]; then
    problem "there is no checksum for $name" "pass $name#sha256=… with the SHA-256 that its publisher names"
    return
  fi
  actual=$(sha256_of "$1")
  if [ "$actual" != "$wanted" ]; then
    problem "$name has the wrong checksum: its SHA-256 is $actual, not $wanted" 'fetch it again, from its publisher'
  fi
  source_sha256=$actual
}

# Prints the SHA-256 of a file. Uses the program that the machine has: macOS has no sha256sum.
sha256_of() { # sha256_of FILE
  if command -v sha256sum >/dev/null 2>&1; then sha256sum <"$1"
  elif command -v shasum >/dev/null 2>&1; then shasum -a 256 <"$1"
  else openssl dgst -sha256 <"$1" | sed 's/.*= *//'; fi | cut -c1-64
}

# Sends the archive of the sources. Packs a checkout first, without the settings, wallets and logs that owners keep in
# it.
send_source() {
  [ -z "$image_prefix" ] || return 0
  if [ -z "$source_archive" ]; then
    source_archive=$scratch/source.tar.gz
    (
      cd "$source_folder" || exit
      # COPYFILE_DISABLE: without it, tar on macOS adds files with the metadata of files.
      COPYFILE_DISABLE=1 tar -czf "$source_archive" \
        --exclude node_modules --exclude '*.env' --exclude docker/wallet --exclude '*.log' \
        --exclude test --exclude e2e --exclude matrix \
        package.json pnpm-lock.yaml pnpm-workspace.yaml .dockerignore LICENSE bin docker packages patches
    ) || return
  fi
  send_file source.tar.gz "$source_archive"
  printf 'end\n'
}

# The SSH connection, and the steps that run on the server through it.

# Makes the folder `scratch` for this run, and sets the options of all SSH commands. They share one connection.
open_scratch() {
  # The path is short, because the path of SSH's control socket may have 104 bytes. The folder never contains a secret.
  scratch=$(mktemp -d /tmp/ch.XXXXXX) ||
    stop "$EXIT_FAILED" 'No folder could be made in /tmp' 'check its free space and mode'
  : >"$scratch/answers"
  trap clean_up EXIT
  trap interrupted INT TERM HUP
  password=''
  # The options that the owner passed, for command lines that the owner may copy.
  ssh_arguments=''
  ssh_options=(-T -o "ControlPath=$scratch/c" -o ControlMaster=auto -o ControlPersist=120 -o ConnectTimeout=15
    -o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o RemoteCommand=none -o RequestTTY=no -o ClearAllForwardings=yes
    -o ForwardAgent=no -o LogLevel=ERROR)
  if [ -n "$ssh_port" ]; then
    ssh_options=("${ssh_options[@]}" -p "$ssh_port")
    ssh_arguments="-p $ssh_port "
  fi
  if [ -n "$identity" ]; then
    ssh_options=("${ssh_options[@]}" -i "$identity")
    ssh_arguments="$ssh_arguments-i $(quoted_if_needed "$identity") "
  fi
  has_terminal || ssh_options=("${ssh_options[@]}" -o BatchMode=yes)
}

interrupted() {
  stop "$EXIT_FAILED" 'Interrupted. A step that had begun runs to its end on the server.' \
    'run this script again: it continues from there'
}

# Closes the connection and deletes the folder.
clean_up() {
  trap - EXIT
  ssh "${ssh_options[@]}" -O exit -- "$destination" >/dev/null 2>&1 </dev/null
  rm -rf "$scratch"
}

# Runs a command on the server, with this function's stdin. The command must be one that every login shell understands.
on_server() { ssh "${ssh_options[@]}" -- "$destination" "$1"; } # on_server COMMAND

# Opens the connection, and sets `root_shell` to the command for a root shell on the server. Returns 1, after reporting
# the problem, if that is not possible.
connect() {
  local answers uid
  # --norc: bash would read a profile again that the login shell has read.
  answers=$(print_connect_script | on_server 'bash --norc -s' 2>"$scratch/ssh-output")
  uid=$(printf '%s\n' "$answers" | sed -n 's/^@compute-horde@ uid //p')
  if [ -z "$uid" ]; then
    report_no_connection "$(tail -n 5 "$scratch/ssh-output")"
    return 1
  fi
  root_shell='bash --norc -s'
  [ "$uid" != 0 ] || return 0
  root_shell="sudo -k -S -p '' -- bash --norc -s"
  case $answers in
    *'@compute-horde@ sudo free'*) ;;
    *'@compute-horde@ sudo asks'*) get_sudo_password ;;
    *)
      problem "$destination is not root, and the server has no sudo" 'connect as root, or install sudo there'
      return 1
      ;;
  esac
}

# Prints what `connect` runs on the server: it answers with the user's id and whether sudo asks for a password.
print_connect_script() {
  cat <<'END'
echo "@compute-horde@ uid $(id -u)"
if command -v sudo >/dev/null; then
  sudo -k -n true 2>/dev/null && echo "@compute-horde@ sudo free" || echo "@compute-horde@ sudo asks"
fi
END
}

# Reports that there is no connection, with what to do about this error of ssh.
report_no_connection() { # report_no_connection SSH-OUTPUT
  local todo="try it by hand: ssh ${ssh_arguments}$destination"
  case $1 in
    *'REMOTE HOST IDENTIFICATION HAS CHANGED'* | *'Host key for'*'has changed'*)
      todo='if you know why (a new server at this address), remove the old key: ssh-keygen -R HOST; if not, stop here'
      ;;
    *'Host key verification failed'*)
      todo="connect once by hand and compare the key: ssh ${ssh_arguments}$destination"
      ;;
    *'Permission denied'*) todo="check the user's name, and the key: --identity FILE, or ssh-copy-id $destination" ;;
    *'Could not resolve hostname'*) todo='check the name of the server' ;;
    *'Connection refused'* | *'timed out'* | *'No route to host'*)
      todo="check the server's address and SSH port (--ssh-port), and its firewall"
      ;;
    '') set -- 'the server has no bash, or its login shell ended at once' ;;
  esac
  problem "no connection to $destination: $(printf '%s' "$1" | grep -v '^@*$' | tail -n 1)" "$todo"
}

# Asks for the password of sudo, and tries it at once. Keeps it in the variable `password` of this shell only.
get_sudo_password() {
  local try
  if ! has_terminal; then
    problem "sudo on $destination asks for a password, and there is no terminal to ask you on" \
      'run this in a terminal, connect as root, or allow sudo without a password for this user'
    return 1
  fi
  for try in 1 2 3; do
    ask_password "Password for sudo on $destination: "
    if printf '%s\n' "$password" | on_server "sudo -k -S -p '' -- true" >/dev/null 2>&1; then return 0; fi
    say "sudo does not accept that password (try $try of 3)."
  done
  problem "sudo on $destination accepted none of your passwords" 'check whether this user may use sudo there'
  return 1
}

# Prints what the server's shell reads: the password if sudo asks for one, the options, the functions, and a line that
# runs the step and exits. So the shell never reads the files that follow as commands.
send_step() { # send_step STEP
  if [ -n "$password" ]; then printf '%s\n' "$password"; fi
  send_options
  print_server_command | sed '$d'
  print_server_steps
  printf 'run_step %s %s; exit\n' "$ROLE" "$1"
}

# Prints the options as assignments to variables.
send_options() {
  send_option version "${version:-$VERSION}"
  send_option prefix "$image_prefix"
  send_option base_image "$base_image"
  send_option source_sha256 "$source_sha256"
  send_option network "$network"
  send_option network_given "$network_given"
  send_option netuid "$netuid"
  send_option netuid_given "$netuid_given"
  send_option port "$public_port"
  send_option port_given "$port_given"
  send_option admin_port "$admin_port"
  send_option admin_port_given "$admin_port_given"
  send_option class "$executor_class"
  send_option class_given "$class_given"
  send_option gpu "$gpu"
  send_option auto_update "$auto_update"
  send_option now "$(date +%s)"
  send_option nvidia_url "${COMPUTE_HORDE_NVIDIA_URL:-}"
  send_option disk_gib "${COMPUTE_HORDE_DISK_GIB:-}"
  send_option apt_lock_seconds "${COMPUTE_HORDE_APT_LOCK_SECONDS:-}"
}

send_option() { printf 'opt_%s=%s\n' "$1" "$(quoted "$2")"; } # send_option NAME VALUE

# Prints a file as receive_files on the server reads it.
send_file() { # send_file NAME PATH
  printf '%s %s\n' "$1" "$(wc -c <"$2" | tr -d ' ')"
  cat "$2"
}

# Prints the output of a function like a file.
send_text() { # send_text NAME FUNCTION
  printf '%s %s\n' "$1" "$("$2" | wc -c | tr -d ' ')"
  "$2"
}

# Prints the files of the step Files.
send_files() {
  send_text compute-horde print_server_command
  send_text compose.yml print_compose_file
  send_text env.example print_env_example
  send_file hotkey "$hotkey_path"
  if [ -n "$coldkeypub" ]; then send_file coldkeypub.txt "$coldkeypub"; fi
  printf 'end\n'
}

# Prints no file, for the steps that need none.
send_nothing() { :; }

# Runs the preflight checks on the server, adds their problems to ours, and keeps their answers for the plan.
check_server() {
  local output
  send_and_receive checks send_nothing
  output=$(tail -n 3 "$scratch/output" | tr '\n' ' ')
  case $(answer_of end) in
    0) ;;
    '') problem "the server's checks ended early: $output" "try it by hand: ssh ${ssh_arguments}$destination" ;;
    *) problem "the server's checks failed: $(answer_of failed) $output" 'report this' ;;
  esac
  add_server_problems
  cat "$scratch/answers" >"$scratch/checked"
}

# Adds the problems among the server's answers to ours.
add_server_problems() {
  local line what=''
  while IFS= read -r line; do
    case $line in
      'problem '*) what=${line#problem } ;;
      'todo '*) if [ -n "$what" ]; then problem "$what" "${line#todo }"; fi && what='' ;;
    esac
  done <"$scratch/answers"
}

# Runs a step on the server. Writes its answers to $scratch/answers, and other output to $scratch/output.
send_and_receive() { # send_and_receive STEP SENDER
  : >"$scratch/answers"
  : >"$scratch/output"
  { send_step "$1" && "$2"; } 2>/dev/null | on_server "$root_shell" 2>&1 | receive_answers "$1"
}

# Sorts the lines that a step prints. Shows the answer `say` at once, and all output of the step check.
receive_answers() { # receive_answers STEP
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

# Prints the last answer of a kind, from the checks or the last step.
answer_of() { # answer_of KIND
  cat "$scratch/checked" "$scratch/answers" 2>/dev/null | sed -n "s/^$1 //p" | tail -n 1
}

# Prints all answers of a kind that the checks gave, each after a prefix.
print_answers() { sed -n "s/^$1 /$2/p" "$scratch/checked"; } # print_answers KIND PREFIX

# Runs a step on the server and shows how it goes. Exits if it fails.
run_step() { # run_step STEP TITLE SENDER
  local started=$SECONDS ended code=$EXIT_FAILED
  say ''
  say "== $2"
  send_and_receive "$1" "$3"
  ended=$(sed -n 's/^end //p' "$scratch/answers")
  if [ "$ended" = 0 ]; then
    say "   done in $((SECONDS - started)) s"
    return 0
  fi
  if grep -q '^reboot' "$scratch/answers"; then code=$EXIT_REBOOT; fi
  tail -n 15 "$scratch/output" | sed 's/^/   | /' >&2
  if [ -z "$ended" ]; then
    stop "$code" "The connection was lost in the step '$2'. The step runs to its end on the server." \
      'run this script again: it continues from there'
  fi
  stop "$code" "The step '$2' failed: $(sed -n 's/^failed //p' "$scratch/answers" | tail -n 1)" \
    "$(sed -n 's/^todo //p' "$scratch/answers" | tail -n 1). Then run this script again: it continues from there."
}

# The installation from the owner's machine: checks, plan, confirmation, steps.

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
  install_role
  show_next_steps
}

# Runs the steps on the server, in order.
install_role() {
  run_step docker 'Docker' send_nothing
  if [ "$ROLE" = miner ] && [ "$gpu" = yes ]; then run_step nvidia 'NVIDIA driver and toolkit' send_nothing; fi
  run_step files 'Files and settings' send_files
  run_step images 'Images' send_source
  run_step start 'Start' send_nothing
  run_step check 'Check' send_nothing
}

# Prints what the installation will do, as the server's checks found out.
show_plan() {
  say ''
  say "$ROLE on $destination ($(answer_of fact-system))"
  say "  hotkey   $hotkey_address"
  say "  network  $network, subnet $netuid"
  print_answers warn '  Note: '
  say 'What will be done:'
  print_answers plan '  - '
}

# Prints the files that the installation will write.
show_files() {
  local folder=/opt/compute-horde/$ROLE
  say ''
  say "The file $folder/compose.yml:"
  print_compose_file | sed 's/^/  | /'
  say "The file $folder/.env, if it does not exist yet:"
  print_env_example | sed 's/^/  | /'
  say 'with these settings:'
  say '  | POSTGRES_PASSWORD=(made on the server)'
  say "  | BITTENSOR_NETWORK=$network"
  say "  | BITTENSOR_NETUID=$netuid"
  say "  | WALLET_FOLDER=$folder/wallet"
  say "  | ADMIN_PORT=$admin_port"
  if [ "$ROLE" = miner ]; then say "  | PUBLIC_PORT=$public_port"; fi
  if [ -n "$class_given" ]; then say "  | EXECUTOR_CLASS=$class_given"; fi
  say "  | IMAGE_PREFIX=${image_prefix:-compute-horde}"
  if [ -n "$base_image" ]; then say "  | BASE_IMAGE=$base_image"; fi
  say "The file /usr/local/bin/compute-horde: $(print_server_command | wc -l | tr -d ' ') lines," \
    'the same as docker/install/server/compute-horde.'
  say "Copied from this machine, and nothing else: $hotkey_path${coldkeypub:+ and $coldkeypub}"
}

# Prints how the owner uses the installed role.
show_next_steps() {
  local command="ssh -t ${ssh_arguments}$destination"
  local tunnel="ssh ${ssh_arguments}-N -L $admin_port:127.0.0.1:$admin_port $destination"
  say ''
  say "The $ROLE runs on $destination. It starts again by itself after a reboot."
  if [ -n "$(answer_of lacks)" ]; then
    say "It is not ready yet, and lacks: $(answer_of lacks). The check above says what to do." \
      "To check again: $command sudo compute-horde $ROLE check"
  elif [ "$(answer_of check)" != 0 ]; then
    say "Its check found something bad (above). To check again: $command sudo compute-horde $ROLE check"
  fi
  say ''
  say 'What to do next:'
  if [ "$ROLE" = miner ]; then
    say "  open to the internet    TCP port $public_port of the server, in the provider's firewall; nothing else"
  else
    say '  open to the internet    nothing: the validator dials out'
  fi
  say "  status page             $tunnel   then http://127.0.0.1:$admin_port/status"
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
# Manages the Compute Horde roles that run on this server. The install scripts put it at /usr/local/bin/compute-horde.
# All files of a role are in /opt/compute-horde/<role>.
set -euo pipefail
export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"

ROOT=${COMPUTE_HORDE_ROOT:-/opt/compute-horde}
COMMAND_PATH=/usr/local/bin/compute-horde
# How long a service may take to become healthy after a start, in seconds. A failed update is undone within two minutes.
HEALTHY_SECONDS=${COMPUTE_HORDE_HEALTHY_SECONDS:-75}
# How long a service that answers may take to become ready, in seconds. After that the script prints what the service
# lacks and stops waiting.
READY_SECONDS=20
# How long the script watches a warning that the previous version did not have, in seconds. A watch reports a fault as a
# warning first, and as bad at its second look ten seconds later.
WARNING_SECONDS=30
# How many times in a row a started service must be found healthy, and the seconds between two looks. So a service that
# crashes right after its start does not count as healthy.
HEALTHY_LOOKS=3
POLL_SECONDS=0.5
# After this many restarts since its start, a service counts as failed.
MAX_RESTARTS=4
# How long to wait for another command that works on the same role, in seconds.
LOCK_SECONDS=900
# How many backups are kept. The oldest are deleted first.
KEPT_BACKUPS=10
# Free disk space that an update needs, in MiB.
UPDATE_MIB=${COMPUTE_HORDE_UPDATE_MIB:-3000}
# How many lines of a log are printed after a failure.
LOG_LINES=15

usage() {
  cat <<'END'
Usage: compute-horde ROLE COMMAND

ROLE is validator or miner.

  status                  shows what runs, its version, what it lacks, and its last backup
  check                   tests whether the role can work: prints one line per test, with what to do
  logs [OPTIONS]          shows the end of the log; takes the options of `docker compose logs`, such as --follow
  update [VERSION]        takes a backup and starts VERSION; returns to the current version if VERSION is less healthy
     --from FILE|URL      builds from this archive of the sources. Its checksum is FILE#sha256=… or a file FILE.sha256
  rollback                returns to the last version that was healthy before this one. If that version cannot read the
                          database, restores the backup from before the update, after asking
  backup                  writes database and settings to one file, while the service runs
  restore FILE            replaces the database with that of a backup
  uninstall [--purge]     stops and removes the role; --purge also deletes its database, wallet copy, settings and
                          backups

  --yes                   does not ask for confirmation
END
}

# --- messages and questions -------------------------------------------------------------------------------------------

# Prints its arguments as one line, with a space between two.
say() { printf '%s\n' "$*"; }

# Prints an error on stderr, and exits with 1.
fail() { # fail WHAT [WHAT-TO-DO]
  printf 'compute-horde: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf '  What to do: %s\n' "$2" >&2
  exit 1
}

# Asks a question, and exits unless the answer is yes. Reads the terminal, since stdin may be a pipe.
confirm() { # confirm QUESTION
  [ "$assume_yes" = no ] || return 0
  local answer=''
  { true </dev/tty; } 2>/dev/null || fail "$1 There is no terminal to ask on." 'run it again with --yes'
  printf '%s [y/N] ' "$1" >/dev/tty
  IFS= read -r answer </dev/tty || true
  case $answer in y | Y | yes | Yes) return 0 ;; *) fail 'stopped: nothing was changed' ;; esac
}

# --- settings ---------------------------------------------------------------------------------------------------------

# Prints the value of a setting in the role's .env, or DEFAULT. Uses no other program, because `ps` would show a secret
# in its arguments.
setting() { # setting NAME [DEFAULT]
  local line value="${2:-}"
  if [ -r "$folder/.env" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in "$1="*) value=${line#*=} ;; esac
    done <"$folder/.env"
  fi
  printf '%s\n' "$value"
}

# Writes a setting to .env: replaces its line, else the line in which it is commented out, else appends a line.
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

# --- Docker -----------------------------------------------------------------------------------------------------------

# Runs docker with an empty environment, because variables of the caller's shell would override .env.
docker() { env -i PATH="$PATH" HOME="${HOME:-/root}" docker "$@"; }

# Runs Docker Compose on the role's compose file.
compose() {
  local program=docker-compose
  if docker compose version >/dev/null 2>&1; then program='docker compose'; fi
  # shellcheck disable=SC2086 # $program may be two words
  (cd "$folder" && env -i PATH="$PATH" HOME="${HOME:-/root}" $program --project-name "$project" --file compose.yml "$@")
}

# Prints the id of a service's container, or nothing if there is none.
container_of() { # container_of SERVICE
  docker ps --all --quiet --no-trunc --filter "label=com.docker.compose.project=$project" \
    --filter "label=com.docker.compose.service=$1" --filter 'label=com.docker.compose.oneoff=False' | head -n 1
}

# Prints a field of a container, or nothing if there is no such container.
inspect() { docker inspect --format "$2" "$1" 2>/dev/null || true; } # inspect CONTAINER FORMAT

# Prints the state of a container's health check: starting, healthy, unhealthy or none.
container_health() { # container_health CONTAINER
  inspect "$1" '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}'
}

# --- health of the role -----------------------------------------------------------------------------------------------

# Asks the role's /health, by running the health check of its image. Sets three variables:
#   health    unreachable (its process or admin port does not answer), starting (it has not finished its first checks),
#             unready or ready
#   lacks     the names of what is bad; `unnamed` for a version whose /health gives no names
#   warnings  the names of what may become bad
read_health() {
  local container answer
  health=unreachable lacks='' warnings=''
  container=$(container_of "$role")
  [ -n "$container" ] || return 0
  answer=$(docker exec "$container" node docker/image/health-check.js 2>/dev/null </dev/null || true)
  case $answer in *'"live":true'*) ;; *) return 0 ;; esac
  lacks=$(names_in "$answer" bad)
  warnings=$(names_in "$answer" warned)
  case $answer in
    *'"complete":false'*) health=starting ;;
    *'"ready":true'*) health=ready ;;
    *)
      health=unready
      lacks=${lacks:-unnamed}
      ;;
  esac
}

# Prints the names in a list of /health's answer. Spaces inside a name become hyphens, so each name is one word.
names_in() { # names_in ANSWER LIST
  printf '%s\n' "$1" | sed -n 's/.*"'"$2"'":\[\([^]]*\)\].*/\1/p' | tr ' ,' '\055 ' | tr -d '"'
}

# Prints the words of WORDS that are not in KNOWN. `*` in KNOWN stands for all words.
words_not_in() { # words_not_in WORDS KNOWN
  local word missing='' all=" $1 "
  case " $2 " in *' * '*) return 0 ;; esac
  for word in $all; do
    case " $2 " in *" $word "*) ;; *) missing="$missing $word" ;; esac
  done
  printf '%s\n' "${missing# }"
}

# Prints the names of what the next version may lack and still be as healthy as the running one: what the running
# version lacks or warns of. Prints `*` for everything if the running version does not answer or gives no names.
tolerated_now() {
  read_health
  if [ "$health" = unreachable ]; then echo '*'; else
    case " $lacks " in *' unnamed '*) echo '*' ;; *) printf '%s\n' "$lacks $warnings" ;; esac
  fi
}

# Waits until is_healthy succeeds HEALTHY_LOOKS times in a row, or once after READY_SECONDS. Returns 1 if that takes
# longer than HEALTHY_SECONDS, or if the service restarts MAX_RESTARTS times. Leaves health, lacks and not_tolerated as
# last seen.
wait_until_healthy() { # wait_until_healthy [TOLERATED]
  local container restarts seen=0 last_restarts='' end=$((SECONDS + HEALTHY_SECONDS)) last_message=$SECONDS
  while [ "$SECONDS" -lt "$end" ]; do
    read_health
    container=$(container_of "$role")
    restarts=$(inspect "$container" '{{.RestartCount}}')
    if [ "${restarts:-0}" -ge "$MAX_RESTARTS" ]; then
      say "The $role has exited $restarts times since its start."
      health=unreachable
      return 1
    fi
    if [ "$restarts" != "$last_restarts" ]; then seen=0 last_restarts=$restarts; fi
    if is_healthy "$@"; then seen=$((seen + 1)); else seen=0; fi
    if [ "$seen" -ge "$HEALTHY_LOOKS" ]; then return 0; fi
    if [ "$seen" -ge 1 ] && [ "$(seconds_up "$container")" -ge "$READY_SECONDS" ]; then return 0; fi
    if [ $((SECONDS - last_message)) -ge 10 ]; then
      last_message=$SECONDS
      say "Waiting for the $role to become healthy ($((end - SECONDS)) s left): $(describe_health)"
    fi
    sleep "$POLL_SECONDS"
  done
  say "The $role is not healthy after $HEALTHY_SECONDS s: $(describe_health)"
  return 1
}

# Whether the role is healthy, by what read_health found. Without TOLERATED: it has its database, and it is ready or has
# been up for READY_SECONDS. With TOLERATED: it lacks nothing else, and it warns of nothing else or has been up for
# WARNING_SECONDS. Sets not_tolerated to the names that it must not lack.
is_healthy() { # is_healthy [TOLERATED]
  not_tolerated=''
  case $health in unreachable | starting) return 1 ;; esac
  if [ $# = 0 ]; then
    case " $lacks " in *' database '*) not_tolerated=database ;; esac
    [ -z "$not_tolerated" ] || return 1
    [ "$health" = ready ] || [ "$(seconds_up "$(container_of "$role")")" -ge "$READY_SECONDS" ]
  else
    not_tolerated=$(words_not_in "$lacks" "$1")
    [ -z "$not_tolerated" ] || return 1
    [ -z "$(words_not_in "$warnings" "$1")" ] || [ "$(seconds_up "$(container_of "$role")")" -ge "$WARNING_SECONDS" ]
  fi
}

# Prints the seconds since a container's last start.
seconds_up() { # seconds_up CONTAINER
  local started
  started=$(inspect "$1" '{{.State.StartedAt}}')
  [ -n "$started" ] || { echo 0 && return; }
  echo $(($(date +%s) - $(date -d "$started" +%s)))
}

# Prints what read_health found, as words.
describe_health() {
  case $health in
    unreachable) echo 'it does not answer' ;;
    starting) echo 'it has not finished its first checks' ;;
    unready) echo "it lacks: $lacks" ;;
    ready) echo 'it is ready' ;;
  esac
}

# Prints how healthy the version is that was started.
say_health() {
  local version
  version=$(setting COMPUTE_HORDE_VERSION)
  if [ "$health" = ready ]; then
    say "$role $version is healthy."
  else
    say "$role $version runs, and is not ready yet: $(describe_health)." \
      "What to do about it: compute-horde $role check"
  fi
}

# Prints the end of the role's log.
print_log_end() {
  local container
  container=$(container_of "$role")
  [ -z "$container" ] || docker logs --tail "$LOG_LINES" "$container" 2>&1 | cut -c1-400
}

# --- images -----------------------------------------------------------------------------------------------------------

# Prints the names of the images that the role needs.
images_of_role() { case $role in miner) echo miner executor ;; *) echo "$role" ;; esac; }
# Prints the prefix of the images' names.
prefix() { if [ -n "$new_prefix" ]; then printf '%s\n' "$new_prefix"; else setting IMAGE_PREFIX compute-horde; fi; }
image_of() { printf '%s/%s:%s\n' "$(prefix)" "$1" "$2"; } # image_of NAME VERSION
has_image() { docker image inspect "$1" >/dev/null 2>&1; } # has_image IMAGE
# Whether the role's images come from a registry. Otherwise this server builds them.
is_pulling() { [ "$(read_state origin)" = registry ]; }

# Copies a folder out of an image without running it. Copies nothing if the image does not have the folder.
copy_from_image() { # copy_from_image IMAGE PATH TO
  local container
  container=$(docker create "$1" none) || return 1
  docker cp "$container:$2/." - 2>/dev/null | tar -xf - -C "$3" --no-same-owner 2>/dev/null || true
  docker rm "$container" >/dev/null
}

# Prints an image's digest in its registry, or nothing if it was not pulled.
digest_of() { # digest_of IMAGE
  docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | sed -n "s|^${1%:*}@||p" | head -n 1
}

# Pulls an image and stores its digest. Fails if the tag had another digest at the last pull, and puts the tag back.
pull_image() { # pull_image NAME VERSION [DIGEST]
  local image digest known wanted=${3:-}
  image=$(image_of "$1" "$2")
  say "Pulling $image"
  docker pull --quiet "$image${wanted:+@$wanted}" >/dev/null || fail "$image could not be pulled (above)" \
    "check whether the version exists and whether this server reaches its registry"
  if [ -n "$wanted" ]; then docker tag "$image@$wanted" "$image"; fi
  digest=$(digest_of "$image")
  known=$(read_state "digest-$1-$2")
  if [ -n "$known" ] && [ "$known" != "$digest" ]; then
    local id
    id=$(docker image inspect --format '{{.Id}}' "${image%:*}@$known" 2>/dev/null || true)
    [ -z "$id" ] || docker tag "$id" "$image"
    fail "the tag $image now names another image: its digest was $known and is $digest" \
      "ask its publisher; name another version, or VERSION@$digest to use this image"
  fi
  write_state "digest-$1-$2" "$digest"
}

# Pulls the image with the tag latest, and prints its version.
latest_version() {
  local image version
  image=$(image_of "$role" latest)
  docker pull --quiet "$image" >/dev/null ||
    fail "$image could not be pulled (above)" 'name a version: compute-horde '"$role"' update VERSION'
  version=$(docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.version"}}' "$image")
  [ -n "$version" ] || fail "$image has no label with its version" "name one: compute-horde $role update VERSION"
  printf '%s\n' "$version"
}

# Builds the role's images from the sources in FOLDER, except those that exist. VERSION contains a hash of the sources,
# so an image that exists is up to date, and older images stay for a rollback.
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
      fail "$image could not be built (above: the end of the output of docker build)" \
        "check whether this server reaches the registries that it needs"
    fi
    say "Built $image in $((SECONDS - started)) s"
  done
  rm -f "$log"
}

# Builds one target of docker/Dockerfile.
build_image() { # build_image FOLDER NAME IMAGE VERSION
  local arguments=() name value
  for name in BASE_IMAGE NPM_REGISTRY; do
    value=$(setting "$name")
    if [ -n "$value" ]; then arguments+=(--build-arg "$name=$value"); fi
  done
  # Behind a proxy that has its own certificate authority, the build must trust what the server trusts.
  value=$(cat /usr/local/share/ca-certificates/*.crt 2>/dev/null || true)
  if [ -n "$value" ]; then arguments+=(--build-arg "CA_CERTIFICATE=$value"); fi
  docker build --force-rm --file "$1/docker/Dockerfile" --target "$2" --tag "$3" \
    --build-arg "VERSION=$4" --build-arg "REVISION=${3##*-}" ${arguments[@]+"${arguments[@]}"} "$1"
}

# Prints a hash of all files in a folder.
hash_of_folder() { # hash_of_folder FOLDER
  (cd "$1" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12)
}

# Prints the version in the package.json of a folder.
version_of_sources() { # version_of_sources FOLDER
  sed -n 's/^  "version": "\(.*\)",$/\1/p' "$1/package.json" | head -n 1
}

# Unpacks an archive of sources to source/<version>, and prints that version.
unpack_sources() { # unpack_sources ARCHIVE
  local part="$folder/source/.part" version
  rm -rf "$part"
  mkdir -p "$part"
  tar -xzf "$1" -C "$part" --no-same-owner ||
    fail 'the archive of the sources cannot be unpacked' 'pass a .tar.gz archive'
  # The archive of a release has one folder that contains everything.
  if [ ! -e "$part/package.json" ] && [ "$(find "$part" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ]; then
    mv "$part"/* "$folder/source/.inner"
    rm -rf "$part"
    mv "$folder/source/.inner" "$part"
  fi
  [ -e "$part/docker/Dockerfile" ] ||
    fail 'the archive has no docker/Dockerfile' 'pass an archive of the sources of Compute Horde'
  version=$(version_of_sources "$part")-$(hash_of_folder "$part")
  rm -rf "${folder:?}/source/$version"
  mv "$part" "$folder/source/$version"
  printf '%s\n' "$version"
}

# Downloads an archive and verifies its checksum, which is in URL#sha256=HEX or in the file URL.sha256.
fetch_archive() { # fetch_archive URL FILE
  local url=${1%%#*} wanted=''
  command -v curl >/dev/null || fail 'curl is missing' 'apt-get install curl'
  case $1 in *'#sha256='*) wanted=${1##*#sha256=} ;; esac
  [ -n "$wanted" ] || wanted=$(curl --silent --show-error --fail --location "$url.sha256" | cut -c1-64) ||
    fail "there is no checksum for $url" "name it: $url#sha256=…"
  curl --silent --show-error --fail --location --output "$2" "$url" ||
    fail "$url could not be fetched (above)" 'check the address'
  check_archive "$2" "$wanted"
}

# Fails if a file has another checksum.
check_archive() { # check_archive FILE SHA256
  local actual
  actual=$(sha256sum "$1" | cut -c1-64)
  [ "$actual" = "$2" ] || fail "the archive has the wrong checksum: its SHA-256 is $actual, not $2" 'fetch it again'
}

# --- state ------------------------------------------------------------------------------------------------------------

# Prints a stored value, or nothing if there is none.
read_state() { [ ! -e "$folder/state/$1" ] || cat "$folder/state/$1"; } # read_state NAME
# Stores a value in the role's folder state/.
write_state() { # write_state NAME VALUE
  mkdir -p "$folder/state"
  printf '%s\n' "$2" >"$folder/state/.part"
  mv -f "$folder/state/.part" "$folder/state/$1"
}

# Takes the role's lock until this process ends, so that only one command changes the role at a time.
lock() {
  mkdir -p "$ROOT"
  exec 9>"$ROOT/.lock-$role"
  if ! flock --nonblock 9; then
    say "Another command works on the $role of this server. Waiting for it (at most $LOCK_SECONDS s)"
    flock --wait "$LOCK_SECONDS" 9 || fail "another command has worked on the $role for more than $LOCK_SECONDS s" \
      'find it: ps -ef | grep compute-horde'
  fi
}

# --- database and backups ---------------------------------------------------------------------------------------------

# Runs a program in the database's container, as the database's user. It needs no password: Postgres trusts its own
# socket.
in_postgres() { # in_postgres PROGRAM ARGUMENTS...
  local container script
  # shellcheck disable=SC2016 # the shell in the container expands it
  script='export PGUSER="${POSTGRES_USER:-postgres}"; export PGDATABASE="${POSTGRES_DB:-$PGUSER}"; exec "$@"'
  container=$(container_of postgres)
  [ -n "$container" ] || fail "the database of the $role does not run" "compute-horde $role status"
  docker exec -i "$container" sh -c "$script" sh "$@"
}

# Prints the newest migration in the database, as a number that grows from one to the next. 0: no migration ran.
schema_of_database() {
  if [ -z "$(ask_database "select to_regclass('drizzle.__drizzle_migrations')")" ]; then echo 0; else
    ask_database 'select coalesce(max(created_at), 0) from drizzle.__drizzle_migrations'
  fi
}

# Prints the result of a query.
ask_database() { in_postgres psql --no-align --tuples-only --command "$1" </dev/null; } # ask_database QUERY

# Prints the newest migration that a version must know to work with the database. The release that migrated the database
# has stored which older releases can read it (packages/kit/src/database/schema-state.ts). If it has stored nothing, a
# version must know all migrations.
needed_schema() {
  local schema reader=''
  schema=$(schema_of_database)
  if [ -n "$(ask_database "select to_regclass('drizzle.oldest_reader')")" ]; then
    reader=$(ask_database "select known_until from drizzle.oldest_reader where migrated_until >= $schema")
  fi
  printf '%s\n' "${reader:-$schema}"
}

# Whether an image can work with a database that needs this migration.
can_read() { # can_read IMAGE NEEDED-SCHEMA
  local knows
  knows=$(schema_of_image "$1")
  [ "$2" -le "${knows:-0}" ]
}

# Prints the newest migration that an image knows.
schema_of_image() { # schema_of_image IMAGE
  local files="$folder/state/migrations"
  rm -rf "$files"
  mkdir -p "$files"
  copy_from_image "$1" "/app/packages/$role/drizzle/meta" "$files"
  sed -n 's/.*"when": *\([0-9]*\).*/\1/p' "$files/_journal.json" | sort -n | tail -n 1
  rm -rf "$files"
}

# Starts the database, and waits until it is healthy.
start_database() {
  local container end=$((SECONDS + HEALTHY_SECONDS))
  container=$(container_of postgres)
  if [ -n "$container" ] && [ "$(container_health "$container")" = healthy ]; then return 0; fi
  compose up --detach --no-deps postgres >/dev/null 2>&1 ||
    fail 'the database does not start' "compute-horde $role logs postgres"
  until container=$(container_of postgres) && [ "$(container_health "$container")" = healthy ]; do
    [ "$SECONDS" -lt "$end" ] || fail 'the database does not become healthy' "docker logs $container"
    sleep "$POLL_SECONDS"
  done
}

# Writes a backup, and sets `backup` to its path. The service may run, because pg_dump reads one snapshot.
take_backup() {
  write_backup || fail 'the backup could not be written (above)' "check the free disk space: df -h $folder"
}

# Writes a backup, and sets `backup` to its path. Returns 1 if that fails.
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

# Deletes all backups except the newest ones and those that a rollback may need.
remove_old_backups() {
  local old needed
  needed=$(cat "$folder/state/before/load" "$folder/state/before/backup" 2>/dev/null | tr '\n' ' ')
  needed=" $(read_state previous-backup) $needed "
  # shellcheck disable=SC2012
  ls -1t "$folder"/backups/*.tar | tail -n +$((KEPT_BACKUPS + 1)) | while IFS= read -r old; do
    case $needed in *" $old "*) ;; *) rm -f "$old" ;; esac
  done
}

# Prints the newest backup whose database an image can read, or nothing if there is none.
newest_readable_backup() { # newest_readable_backup IMAGE
  local file needs knows
  knows=$(schema_of_image "$1")
  # shellcheck disable=SC2012
  { ls -1t "$folder"/backups/*.tar 2>/dev/null || true; } | while IFS= read -r file; do
    needs=$(needed_schema_of_backup "$file")
    if [ -z "${found:-}" ] && [ "$needs" -le "${knows:-0}" ]; then
      found=yes
      printf '%s\n' "$file"
    fi
  done
}

# Prints the newest migration that a version must know to work with the database of a backup.
needed_schema_of_backup() { # needed_schema_of_backup FILE
  local needs
  needs=$(backup_field "$1" needs)
  [ -n "$needs" ] || needs=$(backup_field "$1" schema)
  # A file without these fields is not a backup: no version can read it.
  printf '%s\n' "${needs:-999999999999999}"
}

# Prints a field of a backup's description: role, version, schema, needs or taken.
backup_field() { # backup_field FILE NAME
  tar -xOf "$1" about 2>/dev/null | sed -n "s/^$2=//p"
}

# Stops the service and replaces its database with that of a backup. Returns 1, with the database unchanged, if that
# fails.
load_backup() { # load_backup FILE
  compose stop "$role" >/dev/null 2>&1 || true
  start_database
  in_postgres psql --quiet --set ON_ERROR_STOP=1 --dbname template1 >/dev/null 2>&1 <<'END' || true
select pg_terminate_backend(pid) from pg_stat_activity
where datname not in ('template0', 'template1') and pid <> pg_backend_pid();
END
  # One transaction, so a restore that fails leaves the database unchanged.
  {
    echo 'set client_min_messages = warning; begin;'
    echo 'drop schema if exists public cascade; drop schema if exists drizzle cascade; create schema public;'
    if tar -xOf "$1" database.dump | in_postgres pg_restore --no-owner --file=-; then
      echo 'commit;'
    else
      echo 'select 1/0;'
    fi
  } | in_postgres psql --quiet --set ON_ERROR_STOP=1 >/dev/null
}

# --- changing versions ------------------------------------------------------------------------------------------------

# Starts a version whose images exist, after loading the database of BACKUP if one is named. If that version is less
# healthy than the running one, starts the running one again and fails. An interrupted switch leaves state/switching and
# state/before, from which the next command finishes it.
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
  write_state switching "$1"
  if [ -n "$load" ]; then replace_database "$load" "$before"; fi
  install_files_of "$image"
  set_setting COMPUTE_HORDE_VERSION "$1"
  [ -z "$new_prefix" ] || set_setting IMAGE_PREFIX "$new_prefix"
  say "Starting $role $1 in place of $before"
  if start_and_wait "$tolerated"; then
    complete_switch "$1" "$before"
    return
  fi
  say "$role $1 did not become as healthy as $before was. The end of its log:"
  print_log_end | sed 's/^/  | /'
  undo_switch "$before"
  fail "$role $1 did not become healthy; $before runs again" 'read the log above; report it together with the version'
}

# Replaces the database for a rollback to a version that cannot read it. Stops the service before it takes a backup, so
# that the backup contains everything.
replace_database() { # replace_database BACKUP CURRENT-VERSION
  say "Stopping $role $2 and taking a backup of its current database"
  compose stop "$role" >/dev/null 2>&1 || true
  if ! write_backup; then
    undo_switch "$2"
    fail "the backup could not be written (above); $2 runs again" "check the free disk space: df -h $folder"
  fi
  printf '%s\n' "$backup" >"$folder/state/before/backup"
  say "Restoring $1"
  write_state before/replaced yes
  if ! load_backup "$1"; then
    rm -f "$folder/state/before/replaced"
    say "The database of $1 could not be restored (above). The current database is unchanged."
    undo_switch "$2"
    fail "the rollback failed; $2 runs again" "read the lines above; check the free disk space: df -h $folder"
  fi
}

# Stores VERSION as the healthy one and BEFORE as the one for a rollback, and deletes images of all other versions.
complete_switch() { # complete_switch VERSION BEFORE
  if [ "$1" != "$2" ]; then
    write_state previous "$2"
    write_state previous-backup "$(cat "$folder/state/before/backup" 2>/dev/null)"
  fi
  write_state healthy "$1"
  rm -rf "$folder/state/switching" "$folder/state/before"
  say_health
  remove_old_images "$1" "$(read_state previous)"
}

# Starts the role's containers. Returns 1 after printing the end of Compose's output if that fails.
start_role() {
  local log="$folder/state/start.log"
  kill_outdated_miner
  compose up --detach --remove-orphans >"$log" 2>&1 && return
  tail -n "$LOG_LINES" "$log" | sed 's/^/  | /'
  return 1
}

# Kills a miner that Compose is going to replace, so that its jobs go on. A miner that is stopped ends its jobs; one
# that is killed leaves them to the next miner, which resumes them (docs/decisions/0007-a-killed-miner.md).
kill_outdated_miner() {
  local container
  [ "$role" = miner ] || return 0
  container=$(container_of miner)
  if [ -n "$container" ] && is_outdated "$container"; then docker kill "$container" >/dev/null 2>&1 || true; fi
}

# Whether the settings or the image have changed since the role's container was made.
is_outdated() { # is_outdated CONTAINER
  local wanted made_from
  wanted=$(compose config --hash "$role" 2>/dev/null | sed 's/.* //')
  made_from=$(inspect "$1" '{{index .Config.Labels "com.docker.compose.config-hash"}}')
  [ -n "$wanted" ] && [ "$wanted" != "$made_from" ] && return 0
  ! runs_image "$(setting COMPUTE_HORDE_VERSION)"
}

# Starts the role and waits until it is healthy (see is_healthy). Returns 1 if it does not become healthy.
start_and_wait() { # start_and_wait [TOLERATED]
  health=unreachable lacks='' not_tolerated=''
  start_role && wait_until_healthy "$@"
}

# Undoes switch_to: restores settings and compose file from before it, and starts that version. Restores the backup too
# if the version cannot read the database.
undo_switch() { # undo_switch VERSION
  local saved database='the database as it is' tolerated missing_in_new=$not_tolerated
  say "Going back to $role $1."
  cp -p "$folder/state/before/.env" "$folder/state/before/compose.yml" "$folder/"
  new_prefix=''
  saved=$(cat "$folder/state/before/backup")
  tolerated=$(cat "$folder/state/before/tolerated" 2>/dev/null || echo '*')
  start_database
  if [ -e "$folder/state/before/replaced" ]; then
    say "Restoring the database from before: $saved"
    restore_for "$1" "$saved"
    database='the database from before'
  elif ! can_read "$(image_of "$role" "$1")" "$(needed_schema)"; then
    say "$role $1 cannot read the current database. Restoring the backup from before the update: $saved"
    say 'Data written since then is lost.'
    restore_for "$1" "$saved"
    database='the database of the backup'
  fi
  if ! start_and_wait "$tolerated"; then
    [ "$health" != unreachable ] || fail "$role $1 does not become healthy either" \
      "compute-horde $role logs; a backup from before the update: compute-horde $role restore $saved"
    say "$role $1 now lacks what it did not lack before: $not_tolerated."
    if [ -n "$missing_in_new" ]; then
      say "So the other version may not be the cause. Run compute-horde $role check, then try it again."
    fi
  fi
  rm -rf "$folder/state/switching" "$folder/state/before"
  if [ "$health" = ready ]; then
    say "$role $1 is healthy again, with $database."
  else
    say "$role $1 runs again, with $database: $(describe_health)."
  fi
}

# Loads a backup that undo_switch needs. Fails if that is not possible.
restore_for() { # restore_for VERSION BACKUP
  [ -e "$2" ] || fail "$role $1 cannot read the database, and there is no backup" "compute-horde $role logs"
  load_backup "$2" || fail "the database of $2 could not be restored (above)" \
    "check the free disk space: df -h $folder; then run compute-horde $role backup, which continues"
}

# Finishes what an earlier command left when it was killed: a restore, or a change of versions.
finish_interrupted() {
  local wanted before
  if [ -n "$(read_state restoring)" ]; then
    say 'A restore was interrupted. The database is either that of the backup or unchanged. Starting the service'
    start_and_wait || fail "the $role does not become healthy" "compute-horde $role logs"
    rm -f "$folder/state/restoring"
  fi
  wanted=$(read_state switching)
  [ -n "$wanted" ] && [ -d "$folder/state/before" ] || return 0
  before=$(sed -n 's/^COMPUTE_HORDE_VERSION=//p' "$folder/state/before/.env")
  say "An update to $wanted was interrupted. Finishing it"
  not_tolerated=''
  if [ "$(setting COMPUTE_HORDE_VERSION)" = "$wanted" ] &&
    start_and_wait "$(cat "$folder/state/before/tolerated")"; then
    complete_switch "$wanted" "$before"
  else
    undo_switch "$before"
  fi
}

# Installs the compose file, new settings, the monitoring files and this command from an image. A rollback keeps the
# newer settings and command.
install_files_of() { # install_files_of IMAGE
  local files="$folder/state/files"
  rm -rf "$files"
  mkdir -p "$files"
  copy_from_image "$1" /app/docker "$files"
  if [ -s "$files/compose.$role.yml" ]; then
    chmod 644 "$files/compose.$role.yml"
    cmp -s "$files/compose.$role.yml" "$folder/compose.yml" || mv -f "$files/compose.$role.yml" "$folder/compose.yml"
  fi
  if [ -d "$files/monitoring" ]; then install_monitoring "$files/monitoring"; fi
  if [ "$is_rollback" = no ]; then
    if [ -s "$files/$role.env.example" ]; then merge_settings "$files/$role.env.example"; fi
    if [ -s "$files/install/server/compute-horde" ]; then install_command "$files/install/server/compute-horde"; fi
  fi
  rm -rf "$files"
}

# Replaces the files of Prometheus and Grafana, and restarts both. Keeps the folder itself, which their containers
# mount.
install_monitoring() { # install_monitoring FOLDER
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

# Replaces this command. Renames the new file, because a shell may still be reading the old one.
install_command() { # install_command FILE
  if ! cmp -s "$1" "$COMMAND_PATH"; then
    install -m 755 "$1" "$COMMAND_PATH.part"
    mv -f "$COMMAND_PATH.part" "$COMMAND_PATH"
  fi
}

# Prints the names of all settings in a file, also of those that are commented out.
names_of() { sed -n 's/^#\{0,1\}\([A-Z][A-Z0-9_]*\)=.*/\1/p' "$1"; } # names_of FILE

# Appends to .env the settings of an example file that it lacks, with their comments. Prints the settings in .env that
# no longer exist.
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
    case $known in *" $name "*) continue ;; esac
    say "$folder/.env sets $name, which is no longer a setting: remove the line"
  done
}

# Deletes the role's images and sources, except those of the named versions.
remove_old_images() { # remove_old_images VERSION...
  local name image source
  for name in $(images_of_role); do
    docker images --format '{{.Repository}}:{{.Tag}}' "$(prefix)/$name" | while IFS= read -r image; do
      case " $* v0 latest <none> " in *" ${image##*:} "*) ;; *) docker rmi "$image" >/dev/null 2>&1 || true ;; esac
    done
  done
  for source in "$folder"/source/*/; do
    name=${source%/}
    case " $* " in *" ${name##*/} "*) ;; *) rm -rf "$source" ;; esac
  done
}

# --- commands ---------------------------------------------------------------------------------------------------------

# Prints what runs and how healthy it is. Returns 1 if the role is not ready.
run_status() {
  local service last advice=''
  say "$role $(setting COMPUTE_HORDE_VERSION), images $(setting IMAGE_PREFIX compute-horde)"
  for service in $(compose config --services 2>/dev/null); do say_service "$service"; done
  # shellcheck disable=SC2012
  last=$(ls -1t "$folder"/backups/*.tar 2>/dev/null | head -n 1 || true)
  say "  last backup: ${last:-none}"
  say "  previous version: $(read_state previous || true)"
  say "  free disk: $(df -Ph "$folder" | awk 'NR == 2 { print $4 }')"
  if systemctl is-enabled --quiet "compute-horde-$role-update.timer" 2>/dev/null; then
    say '  automatic updates: once a day'
  else
    say '  automatic updates: off'
  fi
  if [ -n "$(read_state switching)$(read_state restoring)" ]; then
    say '  a command that changes versions is running, or was interrupted:' \
      "compute-horde $role backup waits for it, or finishes it"
  fi
  read_health
  if [ "$health" = unready ]; then advice=" (what to do about it: compute-horde $role check)"; fi
  say "  now: $(describe_health)$advice"
  [ "$health" = ready ]
}

# Prints the state of a service's container. Skips executor-image, which exits after it has brought its image, and
# monitoring that is not in use.
say_service() { # say_service SERVICE
  local container
  [ "$1" != executor-image ] || return 0
  container=$(container_of "$1")
  if [ -n "$container" ]; then
    say "  $1: $(inspect "$container" '{{.State.Status}}'), $(container_health "$container")," \
      "since $(inspect "$container" '{{.State.StartedAt}}' | cut -c1-19)Z," \
      "$(inspect "$container" '{{.RestartCount}}') restarts"
  else
    case $1 in "$role" | postgres) say "  $1: not started" ;; esac
  fi
}

# Runs the role's own check, in its running container if there is one. Returns 1 if something is bad.
run_check() {
  local container status=0
  container=$(container_of "$role")
  if [ -n "$container" ] && [ "$(inspect "$container" '{{.State.Running}}')" = true ]; then
    docker exec "$container" node "packages/$role/src/main.ts" check || status=$?
  else
    compose run --rm --no-deps "$role" check || status=$?
  fi
  check_driver || status=1
  return $status
}

# Asks the NVIDIA driver, if it is installed. Prints a line and returns 1 if it does not work. After an update without a
# reboot, the loaded kernel module and the library have different versions.
check_driver() {
  command -v nvidia-smi >/dev/null || return 0
  local output
  output=$(nvidia-smi -L 2>&1) && return
  case $output in
    *'version mismatch'*)
      say 'bad   NVIDIA driver: it was updated and the old one still runs. What to do: reboot this server'
      ;;
    *)
      say "bad   NVIDIA driver: $(printf '%s\n' "$output" | head -n 1)." \
        'What to do: reboot this server, then run the install script again'
      ;;
  esac
  return 1
}

# Prints the role's log.
run_logs() { # run_logs [OPTIONS-OF-COMPOSE-LOGS...]
  [ $# -gt 0 ] || set -- --tail 200 "$role"
  compose logs "$@"
}

# Updates the role.
run_update() { # run_update [VERSION] [--from ARCHIVE]
  local wanted='' from='' free current
  while [ $# -gt 0 ]; do
    case $1 in
      --from)
        from=${2:-}
        [ -n "$from" ] || fail '--from needs a file or an address'
        shift
        ;;
      -*) fail "update has no option $1" "compute-horde --help" ;;
      *) wanted=$1 ;;
    esac
    shift
  done
  printf '%s\n' "$wanted" | grep -Eqx '([0-9A-Za-z][0-9A-Za-z._-]*(@sha256:[0-9a-f]{64})?)?' ||
    fail "'$wanted' is not a version" "pass one such as 0.2.0: compute-horde $role update 0.2.0"
  lock
  finish_interrupted
  current=$(setting COMPUTE_HORDE_VERSION)
  free=$(df -Pm "$folder" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$UPDATE_MIB" ] || fail "only $free MiB of disk are free; an update needs $UPDATE_MIB" \
    'free some: docker image prune, docker system df'
  if [ -n "$from" ]; then
    build_update "$from"
  elif is_pulling; then
    pull_update "$wanted"
  else
    has_image "$(image_of "$role" "${wanted:-none}")" ||
      fail "the images of this $role are built from sources, and there is no release to fetch yet" \
        "compute-horde $role update --from ARCHIVE, or run the install script again from a newer checkout"
  fi
  change_version "$wanted" "$current"
}

# Builds the images from an archive. Sets `wanted` to their version.
build_update() { # build_update FILE|URL
  local archive=${1%%#*} digest=''
  case $1 in
    http://* | https://*)
      archive=$folder/source/.archive
      mkdir -p "$folder/source"
      fetch_archive "$1" "$archive"
      ;;
    *)
      [ -r "$archive" ] || fail "there is no file $archive" 'name the archive of the sources'
      case $1 in
        *'#sha256='*) digest=${1##*#sha256=} ;;
        *) digest=$(head -c 64 "$archive.sha256" 2>/dev/null || true) ;;
      esac
      [ -n "$digest" ] || fail "there is no checksum for $archive" "name it: $archive#sha256=…"
      check_archive "$archive" "$digest"
      ;;
  esac
  wanted=$(unpack_sources "$archive")
  write_state origin sources
  build_images "$folder/source/$wanted" "$wanted"
}

# Pulls the images of a version, or of the latest one. Sets `wanted` to the version.
pull_update() { # pull_update [VERSION[@DIGEST]]
  local digest='' name
  case $1 in *@*) digest=${1#*@} wanted=${1%@*} ;; esac
  [ -n "$wanted" ] || wanted=$(latest_version)
  if [ -n "$digest" ]; then rm -f "$folder/state/digest-$role-$wanted"; fi
  for name in $(images_of_role); do
    if [ "$name" = "$role" ]; then pull_image "$name" "$wanted" "$digest"; else pull_image "$name" "$wanted"; fi
  done
}

# Takes a backup and switches to a version, unless that version already runs.
change_version() { # change_version WANTED CURRENT
  read_health
  if [ "$1" = "$2" ] && [ "$health" != unreachable ] && runs_image "$1"; then
    say "$role $1 already runs: $(describe_health)."
    return
  fi
  take_backup
  switch_to "$1"
}

# Whether the role's container runs the image that the tag of a version names now.
runs_image() { # runs_image VERSION
  local tagged
  tagged=$(docker image inspect --format '{{.Id}}' "$(image_of "$role" "$1")" 2>/dev/null || true)
  [ "$(inspect "$(container_of "$role")" '{{.Image}}')" = "$tagged" ]
}

# Returns to the previous version.
run_rollback() {
  local target image current saved=''
  lock
  finish_interrupted
  target=$(read_state previous)
  current=$(setting COMPUTE_HORDE_VERSION)
  [ -n "$target" ] || fail 'no other version was healthy here before this one' "compute-horde $role update VERSION"
  image=$(image_of "$role" "$target")
  has_image "$image" || { is_pulling && pull_image "$role" "$target"; } ||
    fail "the image of $target is gone" "compute-horde $role update VERSION"
  say "$role goes back from $current to $target, the last version that was healthy before."
  start_database
  is_rollback=yes
  if can_read "$image" "$(needed_schema)"; then
    take_backup
    switch_to "$target"
    return
  fi
  saved=$(newest_readable_backup "$image")
  say "$target cannot read the database, which a newer version has changed."
  [ -n "$saved" ] || fail "nothing was changed: $target can read no backup in $folder/backups" \
    "stay with $current, or copy a backup from before its update to that folder"
  say "The rollback restores the database of $(backup_field "$saved" taken), from the backup $saved."
  say 'That backup does not contain data written since then.'
  say 'The rollback first takes a backup of the current database, and keeps it.'
  confirm "Go back to $target with the database of $(backup_field "$saved" taken)?"
  switch_to "$target" "$saved"
  say "Data that $current wrote since then is in $backup." \
    "To restore it: compute-horde $role update $current, then compute-horde $role restore with that file"
}

# Writes a backup.
run_backup() {
  lock
  finish_interrupted
  take_backup
}

# Replaces the database with that of a backup.
run_restore() { # run_restore FILE
  local file=${1:-} backup_role backup_version current
  [ -n "$file" ] || fail 'restore needs the file of a backup' "ls $folder/backups"
  backup_role=$(backup_field "$file" role || true)
  [ -n "$backup_role" ] || fail "$file is not a backup" "ls $folder/backups"
  [ "$backup_role" = "$role" ] || fail "$file is a backup of a $backup_role" "ls $folder/backups"
  lock
  finish_interrupted
  backup_version=$(backup_field "$file" version || true)
  current=$(setting COMPUTE_HORDE_VERSION)
  can_read "$(image_of "$role" "$current")" "$(needed_schema_of_backup "$file")" || fail \
    "$file was made by $role $backup_version, whose database is newer than $role $current can read" \
    "compute-horde $role update $backup_version, then restore it"
  confirm "This replaces the database of the $role with that of $(backup_field "$file" taken). Continue?"
  take_backup
  write_state restoring "$file"
  if ! load_backup "$file"; then
    start_and_wait || true
    rm -f "$folder/state/restoring"
    fail "the database of $file could not be restored (above); the current one is unchanged" \
      "df -h $folder; compute-horde $role status"
  fi
  start_and_wait || fail "the $role does not become healthy with the backup" \
    "compute-horde $role logs; to undo the restore: compute-horde $role restore $backup"
  rm -f "$folder/state/restoring"
  say_health
  say "Restored $file. The previous database is in $backup"
}

# Removes the role from this server.
run_uninstall() { # run_uninstall [--purge]
  local purge=no
  case ${1:-} in
    --purge) purge=yes ;;
    '') ;;
    *) fail "uninstall has no option $1" ;;
  esac
  lock
  if [ "$purge" = yes ]; then
    confirm "This removes the $role with its database, wallet copy, settings and backups. Continue?"
  else
    confirm "This stops and removes the $role; its database, settings, wallet copy and backups stay. Continue?"
  fi
  remove_timer
  # --remove-orphans: executors that the miner started are not services of its compose file.
  local volumes=()
  if [ "$purge" = yes ]; then volumes=(--volumes); fi
  compose --profile monitoring down --remove-orphans ${volumes[@]+"${volumes[@]}"} >/dev/null 2>&1 ||
    compose down --remove-orphans ${volumes[@]+"${volumes[@]}"} ||
    fail 'the containers could not be removed (above)' 'docker ps -a'
  if [ "$purge" = yes ]; then
    remove_old_images ''
    # Overwrites the hotkey before deleting it.
    find "$folder/wallet" -type f -exec shred --force {} + 2>/dev/null || true
    rm -rf "${folder:?}"
    say "The $role and all its data on this server are removed."
  else
    say "The $role is removed. $folder and the volumes of $project stay; the install script uses them again."
  fi
  if [ "$purge" = yes ]; then
    rm -f "$ROOT/.lock-$role"
    if rmdir "$ROOT" 2>/dev/null; then rm -f "$COMMAND_PATH"; fi
  fi
}

# --- automatic updates ------------------------------------------------------------------------------------------------

# Installs and starts the systemd timer that updates the role once a day.
install_timer() {
  local unit="/etc/systemd/system/compute-horde-$role-update"
  cat >"$unit.service" <<END
[Unit]
Description=Updates the $role of Compute Horde, and goes back when the new version does not become healthy
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

# Removes that timer.
remove_timer() {
  local unit="compute-horde-$role-update"
  [ -e "/etc/systemd/system/$unit.timer" ] || return 0
  systemctl disable --now --quiet "$unit.timer" || true
  rm -f "/etc/systemd/system/$unit.timer" "/etc/systemd/system/$unit.service"
  systemctl daemon-reload
}

# --- command line -----------------------------------------------------------------------------------------------------

# Sets the variables that the functions above share.
set_role() { # set_role ROLE
  role=$1
  folder=$ROOT/$role
  project=compute-horde-$role
  assume_yes=no
  # The path of the last backup that this command wrote.
  backup=''
  # What is_healthy found.
  not_tolerated=''
  is_rollback=no
  # The prefix of the images' names from the next version on. Empty: IMAGE_PREFIX of .env.
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
  [ -n "$command" ] || fail 'name a command' 'compute-horde --help'
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

# The steps that write files, fetch images and start the role.

# Reads files from stdin into a new folder, and sets `incoming` to it. Each file is a line `NAME SIZE` and SIZE bytes;
# the line `end` follows the last file.
receive_files() {
  local name size
  incoming=$(mktemp -d "$ROOT/.incoming-$role.XXXXXX")
  # Deletes the folder even if the step fails, because the hotkey is in it.
  trap 'rm -rf "$incoming"' EXIT
  while IFS=' ' read -r name size && [ "$name" != end ]; do
    head -c "$size" >"$incoming/$name"
  done
  [ "${name:-}" = end ] || fail 'the connection was lost while files were sent' 'check the connection'
}

# Writes the command, the compose file, the wallet and the settings.
step_files() {
  umask 077
  mkdir -p "$folder"
  chmod 755 "$ROOT" "$folder"
  rm -rf "$ROOT/.incoming-$role".*
  receive_files
  install_command "$incoming/compute-horde"
  # An installed role keeps its compose file. An update replaces it with that of the new version.
  if [ ! -e "$folder/state/healthy" ]; then put_file "$incoming/compose.yml" "$folder/compose.yml" 644; fi
  put_wallet
  if [ -e "$folder/.env" ]; then
    chmod 600 "$folder/.env"
    merge_settings "$incoming/env.example"
  else
    write_settings "$incoming/env.example"
  fi
  write_state origin "$(if [ -n "$opt_prefix" ]; then echo registry; else echo sources; fi)"
  if [ -n "$opt_base_image" ]; then set_setting BASE_IMAGE "$opt_base_image"; fi
  rm -rf "$incoming"
  if [ "$opt_auto_update" = yes ]; then install_timer; fi
}

# Copies a file, unless the target has the same content.
put_file() { # put_file FROM TO MODE
  if ! cmp -s "$1" "$2"; then
    cp "$1" "$2.part"
    chmod "$3" "$2.part"
    mv -f "$2.part" "$2"
  fi
}

# Writes the hotkey and coldkeypub.txt. If the hotkey is a new one, the step Start restarts the role.
put_wallet() {
  local wallet=$folder/wallet/default owner
  owner=$(stat -c %u:%g "$wallet/hotkeys/default" 2>/dev/null || echo 0:0)
  mkdir -p "$wallet/hotkeys"
  if [ -e "$wallet/hotkeys/default" ] && ! cmp -s "$incoming/hotkey" "$wallet/hotkeys/default"; then
    say "The hotkey has changed: the $role restarts with it"
    write_state restart yes
  fi
  put_file "$incoming/hotkey" "$wallet/hotkeys/default" 600
  if [ -e "$incoming/coldkeypub.txt" ]; then put_file "$incoming/coldkeypub.txt" "$wallet/coldkeypub.txt" 600; fi
  chown -R "$owner" "$folder/wallet"
}

# Writes a new .env with a random database password. The password is never an argument of a program, so `ps` cannot show
# it.
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
    # The miner watches the disk of this folder.
    set_setting DOCKER_DATA_FOLDER "$(docker_data_folder)"
  fi
  if [ -n "$opt_prefix" ]; then set_setting IMAGE_PREFIX "$opt_prefix"; fi
  set_setting COMPUTE_HORDE_VERSION none
}

# Pulls or builds the images, and stores their version as the state `wanted`.
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
        *) has_pulled "$name" "$version" || pull_image "$name" "$version" ;;
      esac
    done
  fi
  if [ -z "$(read_state healthy)" ]; then pin_database_image; fi
  write_state wanted "$version"
  give_wallet_to_user_of "$(image_of "$role" "$version")"
  say "The images of $role $version are ready"
}

# Whether an image was pulled before and is still there.
has_pulled() { # has_pulled NAME VERSION
  [ -n "$(read_state "digest-$1-$2")" ] && has_image "$(image_of "$1" "$2")"
}

# Writes the digest of the database's image to .env before its first start, so that a later pull does not change the
# image. An image that was loaded from a file has no digest, and keeps its tag.
pin_database_image() {
  local image digest
  [ -z "$(setting POSTGRES_IMAGE)" ] || return 0
  # shellcheck disable=SC2016
  image=$(sed -n 's/^ *image: ${POSTGRES_IMAGE:-\(.*\)}$/\1/p' "$folder/compose.yml")
  has_image "$image" || docker pull --quiet "$image" >/dev/null || fail "$image could not be pulled (above)" \
    "check whether this server reaches its registry, or set POSTGRES_IMAGE to another image in $folder/.env"
  digest=$(digest_of "$image")
  if [ -n "$digest" ]; then set_setting POSTGRES_IMAGE "$image@$digest"; fi
}

# Makes the user that an image runs as the owner of the wallet.
give_wallet_to_user_of() { # give_wallet_to_user_of IMAGE
  local ids
  ids=$(docker run --rm --network none --entrypoint sh "$1" -c 'echo "$(id -u):$(id -g)"' </dev/null)
  chown -R "$ids" "$folder/wallet"
}

# Starts the role, or updates it if another version runs.
step_start() {
  local wanted current
  wanted=$(read_state wanted)
  new_prefix=''
  finish_interrupted
  new_prefix=${opt_prefix:-compute-horde}
  current=$(setting COMPUTE_HORDE_VERSION)
  if [ -z "$(read_state healthy)" ]; then
    start_first "$wanted"
  elif [ "$current" = "$wanted" ] && [ "$(setting IMAGE_PREFIX compute-horde)" = "$new_prefix" ]; then
    start_again
  else
    take_backup
    switch_to "$wanted"
  fi
}

# Starts the role for the first time.
start_first() { # start_first VERSION
  set_setting COMPUTE_HORDE_VERSION "$1"
  set_setting IMAGE_PREFIX "$new_prefix"
  install_files_of "$(image_of "$role" "$1")"
  if start_and_wait; then
    complete_switch "$1" "$1"
    return
  fi
  say 'The end of its log:'
  fail_to_start
}

# Starts the installed version. Compose restarts only containers whose settings have changed.
start_again() {
  if [ -n "$(read_state restart)" ]; then
    compose stop "$role" >/dev/null 2>&1 || true
    rm -f "$folder/state/restart"
  fi
  if start_and_wait; then
    say_health
    return
  fi
  fail_to_start
}

# Prints the end of the role's log, and ends the step with an error.
fail_to_start() {
  print_log_end
  fail "the $role does not become healthy (above: the end of its log)" \
    "fix what its log names; settings are in $folder/.env"
}

# Runs the role's check, and reports its exit code and what the role lacks.
step_check() {
  local status=0
  run_check || status=$?
  answer check "$status"
  read_health
  if [ "$health" = unready ]; then answer lacks "$lacks"; fi
}

# The part of the install scripts that runs on the server. Each SSH command runs one step. Its answers are lines that
# begin with `@compute-horde@`, so the owner's machine can tell them from the output of a login profile or another
# program.

INSTALL_LOG=/var/log/compute-horde-install.log

# Prints an answer for the owner's machine. Each function below prints one kind of answer.
answer() { printf '@compute-horde@ %s %s\n' "$1" "$2" || true; } # answer KIND TEXT
# Shows a line to the owner at once.
say() { answer say "$*"; }
# Names something that the installation will do.
plan() { answer plan "$*"; }
# Names something that the owner should know before the installation begins.
warn() { answer warn "$*"; }
# Reports a fact about the server.
fact() { answer "fact-$1" "$2"; } # fact NAME TEXT
# Names something that the owner must fix before the installation can begin.
problem() { # problem WHAT WHAT-TO-DO
  answer problem "$1"
  answer todo "$2"
}
# Ends the step with an error.
fail() { # fail WHAT [WHAT-TO-DO]
  answer failed "$1"
  answer todo "${2:-read the lines above}"
  exit 1
}

# Runs the function step_STEP, answers with its exit code, and exits.
run_step() { # run_step ROLE STEP
  local status=0
  # A step runs to its end even if the connection is lost, because dpkg must not be interrupted.
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
  # Not `step || status=$?`: bash ignores `set -e` inside such a command, and the step would go on after an error.
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
# Runs a miner and its database, with Docker Compose v2 or docker-compose 1.29.
#
#   cp docker/miner.env.example docker/.env          # and fill in what is empty
#   docker compose -f docker/compose.miner.yml up -d
#
# Compose builds missing images from the checkout. docker/README.md says more, also about the profile `monitoring`.

x-logging: &logging
  driver: json-file
  options: { max-size: 10m, max-file: "5" }

x-build-arguments: &build-arguments
  BASE_IMAGE: ${BASE_IMAGE:-debian:bookworm-slim}
  NPM_REGISTRY: ${NPM_REGISTRY:-https://registry.npmjs.org/}
  CA_CERTIFICATE: ${CA_CERTIFICATE:-}
  VERSION: ${COMPUTE_HORDE_VERSION:-dev}
  REVISION: ${REVISION:-unknown}

services:
  miner:
    image: ${IMAGE_PREFIX:-compute-horde}/miner:${COMPUTE_HORDE_VERSION:-dev}
    build:
      context: ${SOURCE_FOLDER:-..}
      dockerfile: docker/Dockerfile
      target: miner
      args: *build-arguments
    restart: unless-stopped
    # A miner that is told to stop ends by itself within STOP_GRACE_SECONDS and half a minute.
    stop_grace_period: 1h
    depends_on:
      postgres: { condition: service_healthy }
      executor-image: { condition: service_started }
    env_file: ["${ENV_FILE:-.env}"]
    environment:
      DATABASE_URL: postgres://horde:${POSTGRES_PASSWORD:?set it in .env}@postgres/horde
      BITTENSOR_WALLET_DIRECTORY: /wallets
      BITTENSOR_MINER_PORT: ${PUBLIC_PORT:-8000}
      EXECUTOR_IMAGE: ${IMAGE_PREFIX:-compute-horde}/executor:${COMPUTE_HORDE_VERSION:-dev}
      DOCKER_SOCKET: ${DOCKER_SOCKET:-/var/run/docker.sock}
      # Executors dial the miner by its name, on a port that is not published.
      EXECUTOR_NETWORK: ${EXECUTOR_NETWORK:-compute-horde-executors}
      ADDRESS_FOR_EXECUTORS: miner
      PORT_FOR_EXECUTORS: "8003"
      LISTEN_HOST_FOR_EXECUTORS: 0.0.0.0
      DISK_FOLDERS: /disks/database
      # The address inside the container. Outside, only the loopback address leads there (see `ports`).
      ADMIN_HOST: 0.0.0.0
      ADMIN_PORT: "8002"
    ports:
      # The only port that is open to the internet. A firewall such as ufw does not block it: Docker publishes ports
      # past firewalls.
      - "${PUBLIC_ADDRESS:-0.0.0.0}:${PUBLIC_PORT:-8000}:${PUBLIC_PORT:-8000}"
      - "127.0.0.1:${ADMIN_PORT:-8002}:8002"
    # The miner runs as root because of the socket below. It keeps only root's right to read files of other users, such
    # as the wallet.
    cap_drop: [ALL]
    cap_add: [DAC_READ_SEARCH]
    read_only: true
    security_opt: ["no-new-privileges:true"]
    mem_limit: ${MEMORY_LIMIT:-1g}
    pids_limit: 256
    volumes:
      - ${WALLET_FOLDER:-./wallet}:/wallets:ro
      # The engine that starts executors and, through them, jobs. A process that may use this socket is as good as root
      # on the server, so keep nothing on a miner's server that the miner may not have. To limit this, give the miner a
      # container engine of its own (rootless Docker, or a pool on another host: POOLS_FILE). The path is the same in
      # the container, because the miner passes it on to executors.
      - ${DOCKER_SOCKET:-/var/run/docker.sock}:${DOCKER_SOCKET:-/var/run/docker.sock}
      # These two show only how full the disks are. The first is an empty volume on the engine's disk, mounted at the
      # path where the engine keeps its data, so it exposes none of that data. The second is the database's own volume.
      - engine-disk:${DOCKER_DATA_FOLDER:-/var/lib/docker}:ro
      - postgres:/disks/database:ro
      - temporary:/tmp
    networks: [miner, executors]
    logging: *logging

  # Builds or pulls the image of the executors, which the miner starts later. This service itself ends at once.
  executor-image:
    image: ${IMAGE_PREFIX:-compute-horde}/executor:${COMPUTE_HORDE_VERSION:-dev}
    build:
      context: ${SOURCE_FOLDER:-..}
      dockerfile: docker/Dockerfile
      target: executor
      args: *build-arguments
    entrypoint: ["true"]
    restart: "no"
    network_mode: none
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
    networks: [miner]
    logging: *logging

  prometheus:
    profiles: [monitoring]
    image: ${PROMETHEUS_IMAGE:-prom/prometheus:v2.53.5}
    restart: unless-stopped
    command:
      - --config.file=/etc/compute-horde/prometheus.miner.yml
      - --storage.tsdb.path=/prometheus
      - --storage.tsdb.retention.time=30d
      - --storage.tsdb.retention.size=2GB
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 512m
    volumes:
      - ./monitoring:/etc/compute-horde:ro
      - prometheus:/prometheus
    networks: [miner]
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
      GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: /etc/compute-horde/dashboards/miner.json
      GF_PATHS_PROVISIONING: /etc/compute-horde/grafana
    ports: ["127.0.0.1:${GRAFANA_PORT:-3002}:3000"]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: 512m
    volumes:
      - ./monitoring:/etc/compute-horde:ro
      - grafana:/var/lib/grafana
    networks: [miner]
    logging: *logging

networks:
  miner: {}
  executors:
    name: ${EXECUTOR_NETWORK:-compute-horde-executors}

volumes:
  postgres: {}
  engine-disk: {}
  temporary: {}
  prometheus: {}
  grafana: {}
END_OF_PRINT_COMPOSE_FILE
}

print_env_example() {
  cat <<'END_OF_PRINT_ENV_EXAMPLE'
# Settings of a miner: copy this file to .env beside compose.miner.yml and fill in the empty ones.
# Write values without quotes. Write a dollar sign as $$.

# The name of the Compose project. The names of its containers and volumes begin with it.
COMPOSE_PROJECT_NAME=compute-horde-miner

# What else Compose starts. The profile `monitoring` starts Prometheus and Grafana. Example: monitoring
#COMPOSE_PROFILES=

# Settings of the compose file.

# The database password, of letters and digits. Do not change it after the first start: the database keeps it. Required. Example: what `openssl rand -hex 24` prints
POSTGRES_PASSWORD=

# The folder on the server with the wallets, as <wallet>/hotkeys/<hotkey>. It is mounted read-only. Example: /home/me/.bittensor/wallets
#WALLET_FOLDER=./wallet

# The port that validators connect to. It is open to the internet, and the miner announces it on the chain. Example: 8000
#PUBLIC_PORT=8000

# The address of the server on which PUBLIC_PORT is open. 0.0.0.0: all its addresses. Example: 203.0.113.7
#PUBLIC_ADDRESS=0.0.0.0

# The socket of Docker on the server. The miner starts executors with it. Example: /run/user/1000/docker.sock
#DOCKER_SOCKET=/var/run/docker.sock

# Docker's data folder, which `docker info` prints as Docker Root Dir. The miner checks how full its disk is. Example: /data/docker
#DOCKER_DATA_FOLDER=/var/lib/docker

# The Docker network of the executors. Each miner on a server needs its own. Example: compute-horde-executors
#EXECUTOR_NETWORK=compute-horde-executors

# The port of the status page, /health and /metrics, on the server's loopback address only. Example: 8002
#ADMIN_PORT=8002

# The port of Grafana in the profile `monitoring`, on the server's loopback address only. Example: 3002
#GRAFANA_PORT=3002

# The most memory that the miner may use. Example: 2g
#MEMORY_LIMIT=1g

# The most memory that the database may use. Example: 2g
#POSTGRES_MEMORY_LIMIT=1g

# The prefix of the names of the images: a registry with a folder, or a local name. Example: registry.example/compute-horde
#IMAGE_PREFIX=compute-horde

# The version of the images, which is their tag. Example: 0.1.0
#COMPUTE_HORDE_VERSION=dev

# The image of the database. With its digest, as postgres:15@sha256:..., every pull gets the same image. Example: postgres:15
#POSTGRES_IMAGE=postgres:15

# The image of Prometheus, for the profile `monitoring`. Example: prom/prometheus:v2.53.5
#PROMETHEUS_IMAGE=prom/prometheus:v2.53.5

# The image of Grafana, for the profile `monitoring`. Example: grafana/grafana:11.6.0
#GRAFANA_IMAGE=grafana/grafana:11.6.0

# The checkout from which Compose builds missing images. Example: ./source
#SOURCE_FOLDER=..

# The base image of builds: any Debian or Ubuntu. Example: debian:bookworm-slim
#BASE_IMAGE=debian:bookworm-slim

# The npm registry from which builds download dependencies. Example: https://registry.npmjs.org/
#NPM_REGISTRY=https://registry.npmjs.org/

# Settings of the miner. A line that is commented out shows the default.

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

# The address announced on the chain: auto, or an IP address. Example: 203.0.113.7
#BITTENSOR_MINER_ADDRESS=auto

# The address that the port for validators is opened on. Example: 0.0.0.0
#LISTEN_HOST=0.0.0.0

# What starts executors: docker, process, or the path of a module of your own. Example: docker
#EXECUTOR_MANAGER=docker

# What the executor image is: compute-horde for this project's executor, python-2024 or python-2026 for one that ComputeHorde published in that year. It decides the executor's command and its dialect. Example: python-2026
#EXECUTOR_PROGRAM=compute-horde

# The folder with manage.py of a Python executor, for EXECUTOR_MANAGER=process. Example: /opt/compute-horde-executor/app/src
#EXECUTOR_FOLDER=

# The hardware class of the executors. Example: always_on.gpu-24gb
#EXECUTOR_CLASS=always_on.gpu-24gb

# How many executors may run at once. Example: 1
#EXECUTOR_COUNT=1

# What to do when a pool's GPUs are surely not those of its class: leave it out of the manifest and decline its offers, or only warn. Example: warn
#CLASS_MISMATCH=refuse

# Names of variables of the miner's environment that are passed on to executors, separated by commas. Example: MEMORY_LIMIT_BYTES,PULL_TIMEOUT_SECONDS
#EXECUTOR_ENV_NAMES=EXECUTOR_GPU_DEVICE_IDS,DEBUG_NO_GPU_MODE,PYTHON_IMAGE,PYTHON_NVIDIA_IMAGE,IMAGE_ALIASES,IMAGE_PULL_POLICY,PULL_TIMEOUT_SECONDS,REFRESH_TIMEOUT_SECONDS,DOCKER_AUTH_CONFIG,REQUIRE_IMAGE_DIGEST,PRELOAD_IMAGES,PINNED_IMAGES,IMAGE_DISK_THRESHOLD_PERCENT,OFFER_TIMEOUT_SECONDS,WORK_TIMEOUT_SECONDS,DEFAULT_TIMEOUT_SECONDS,INPUT_TIMEOUT_SECONDS,UPLOAD_TIMEOUT_SECONDS,VOLUME_MAX_SIZE_BYTES,VOLUME_MAX_FILES,INPUT_CACHE_FOLDER,INPUT_CACHE_MAX_BYTES,INPUT_CACHE_MAX_AGE_SECONDS,HF_ENDPOINT,HF_ACCESS_TOKEN,OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES,OUTPUT_MAX_SIZE_BYTES,OUTPUT_MAX_FILES,MAX_OUTPUT_BYTES,ALLOW_PRIVATE_TARGETS,MEMORY_LIMIT_BYTES,CPU_LIMIT,PIDS_LIMIT,OPEN_FILES_LIMIT,TMP_SIZE_BYTES,SHM_SIZE_BYTES,FOLDER_MAX_FILES,WRITABLE_ROOT,ROOT_MAX_SIZE_BYTES,ROOT_WATCH_SECONDS,WRITABLE_VOLUME,RUNTIME,KNOWN_ESCAPES,HOST_CHECK_MAX_AGE_SECONDS,ENGINE_CALL_SECONDS,STATE_FOLDER,HEALTH_ADDRESS,RECONNECT_ATTEMPTS,RECONNECT_DELAY_SECONDS,LOG_LEVEL

# How many executors are kept started and connected, so that jobs need not wait for a start. Example: 1
#EXECUTOR_WARM_COUNT=0

# A YAML file with pools of executors, of several classes or on several hosts; read again on SIGHUP. Unset: one pool from the EXECUTOR_ settings. Example: /etc/compute-horde/pools.yml
#POOLS_FILE=

# Whether the miner does not pull an executor image that the engine lacks. Example: true
#DEBUG_SKIP_PULLING_EXECUTOR_IMAGE=false

# Hotkeys that are always served as validators, whatever the chain says, separated by commas. Example: 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY
#EXTRA_VALIDATORS=

# Hotkeys that are never served, separated by commas. Example: 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty
#BANNED_VALIDATORS=

# From when on validators of the dialect v2026 must sign their offers and work. Unset: only those that have signed within 7 days. Example: 2026-12-24T00:00:00Z
#SIGNED_FRAMES_FROM=

# The hotkey that validators of v2026 are told as this miner's main one. Unset: its own. Example: 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty
#MAIN_HOTKEY=

# Whether validators may write 48 zeros in place of this miner's hotkey: it is their trusted miner. Example: true
#TRUSTED_MINER=false

# How often the list of validators is read from the chain, in seconds. Example: 60
#VALIDATORS_REFRESH_SECONDS=60

# Whether this miner is about to move or stop: it announces nothing and accepts no offers, but finishes its jobs and delivers their results. Example: true
#MIGRATING=false

# How often the announced address is compared with the chain, in seconds. Example: 60
#ANNOUNCE_SECONDS=60

# Whether the miner commits its manifest to the chain, behind what else its hotkey has committed there, for validators that read it there. It stays there when this is unset. Example: true
#COMMIT_MANIFEST=false

# URLs that answer with the caller's public address, for BITTENSOR_MINER_ADDRESS=auto. Example: https://checkip.amazonaws.com
#ADDRESS_SERVICES=https://checkip.amazonaws.com,https://api.ipify.org

# How often the services are asked again whether the address has changed, in seconds. Example: 600
#ADDRESS_CHECK_SECONDS=600

# How long a connection may take to ask for a WebSocket, and then to authenticate, in seconds. Example: 5
#AUTHENTICATE_SECONDS=5

# How many unauthenticated connections one port may have; one more closes the oldest one of the address that has most. Example: 256
#MAX_UNKNOWN_CONNECTIONS=256

# The same for one IPv4 address, or one /64 of IPv6. Set it to MAX_UNKNOWN_CONNECTIONS when all peers share one address, such as that of a proxy. Example: 64
#MAX_UNKNOWN_CONNECTIONS_PER_ADDRESS=64

# How many connections one validator may have at once; v2026 validators open one for each job. Example: 256
#MAX_CONNECTIONS_PER_VALIDATOR=256

# How many open jobs one validator may have; further offers are declined. Example: 1024
#MAX_OPEN_JOBS_PER_VALIDATOR=1024

# How many offers one validator may make within a minute, all at once or one by one; more are declined. Example: 6000
#MAX_OFFERS_PER_MINUTE=6000

# The longest time limit that a job may ask for, in seconds; an offer that asks for more is declined. Example: 86400
#MAX_TIMEOUT_SECONDS=86400

# How long an executor may take to connect, beyond its class's spin-up time, in seconds. Example: 60
#EXECUTOR_START_SECONDS=60

# How long an executor may take to prepare a job, image pulls included, in seconds. Example: 300
#PREPARE_SECONDS=300

# How long a job that is ready waits for its work, in seconds. Example: 300
#WORK_SECONDS=300

# How long a run may take beyond the job's own time limit, input and upload included, in seconds. Example: 660
#RUN_SLACK_SECONDS=660

# The time limit of a job whose offer names none, in seconds. Example: 300
#DEFAULT_TIMEOUT_SECONDS=300

# How long an executor whose connection was lost may take to come back, in seconds. Example: 70
#EXECUTOR_GRACE_SECONDS=70

# How long an executor may take to clean up before it is killed, in seconds. Example: 10
#EXECUTOR_STOP_SECONDS=10

# How long running jobs may go on when the miner is stopped, in seconds. Example: 300
#STOP_GRACE_SECONDS=0

# How long an undelivered result is kept for its validator, in days. Example: 7
#RESULTS_KEPT_DAYS=7

# Free space of a disk, in bytes, below which /health shows a warning. Example: 10000000000
#DISK_LOW_BYTES=10000000000

# Free space of a disk, in bytes, below which the service is not ready. Example: 1000000000
#DISK_FULL_BYTES=1000000000

# How long the output of a job is kept whole after its delivery, in hours; then only its beginning and end are kept. Example: 24
#DELIVERED_RESULTS_KEPT_HOURS=24

# How long ended jobs are kept, in days; undelivered ones are kept for RESULTS_KEPT_DAYS in any case. Example: 30
#JOBS_KEPT_DAYS=30

# How long the receipts of jobs of the dialect v2026 are kept, in days. Example: 7
#RECEIPTS_KEPT_DAYS=7

# The lowest level of log lines to write. Example: info
#LOG_LEVEL=info
END_OF_PRINT_ENV_EXAMPLE
}

# The last line, so that a script that was cut short does nothing. stdin may be the script: nothing may read it.
main "$@" </dev/null
