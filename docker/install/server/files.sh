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
