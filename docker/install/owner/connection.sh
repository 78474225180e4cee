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
