#!/bin/sh
# Fills the kernel caches of this type of CPU by cracking a one-character hash with every kernel that a job may use.
# A kernel that is missing from the cache fails to build on a read-only root.
#
#   warm.sh                    all of them, as many at once as there are cores
#   warm.sh MODE SHA KERNEL    one of them; KERNEL is "pure" or "optimized"
set -eu
caches=/var/cache/hashcat-job
export XDG_CACHE_HOME="$caches" POCL_CACHE_DIR="$caches/pocl" XDG_DATA_HOME=/tmp/warm

crack() { # crack MODE SHA KERNEL
  hash=$(printf 'a\001\002' | "sha${2}sum" | cut -d' ' -f1)
  optimized=
  [ "$3" = pure ] || optimized=--optimized-kernel-enable
  # shellcheck disable=SC2086 # one option or none
  answer=$(hashcat --session "warm-$1-$3" $optimized --potfile-disable --restore-disable --attack-mode 3 \
    --workload-profile 3 --hash-type "$1" --hex-salt -1 '?l?d?u' --outfile-format 2 --quiet "$hash:0102" '?1')
  [ "$answer" = a ] || { echo "hashcat mode $1 ($3) answered '$answer' instead of 'a'" >&2; exit 1; }
  echo "the $3 kernel of mode $1 is built"
}

if [ $# = 3 ]; then
  crack "$@"
  exit
fi

mkdir -p "$caches/pocl" "$XDG_DATA_HOME"
# The first one alone: it also builds what all of them share.
crack 1410 256 optimized
printf '%s\n' '1410 256 pure' '10810 384 optimized' '10810 384 pure' '1710 512 optimized' '1710 512 pure' |
  xargs -P "$(nproc)" -L 1 sh "$0"

grep -m1 '^model name' /proc/cpuinfo > "$caches/cpu" || : > "$caches/cpu"
find "$caches" -name 'tempfile*' -delete
rm -rf "$XDG_DATA_HOME"
chmod -R a+rX "$caches"
