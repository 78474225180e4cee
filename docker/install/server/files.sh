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
