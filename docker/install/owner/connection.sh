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
