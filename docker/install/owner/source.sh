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
