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
