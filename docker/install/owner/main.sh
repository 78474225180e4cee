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
