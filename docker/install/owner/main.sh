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
