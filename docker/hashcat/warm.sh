#!/bin/sh
# Fills the kernel caches of this type of CPU by cracking one-character hashes with every kernel that a job may use.
# A kernel that is missing from the cache fails to build on a read-only root.
#
#   warm.sh                           all of them, as many at once as there are cores
#   warm.sh MODE SHA KERNEL HASHES    one of them; KERNEL is "pure" or "optimized", HASHES "one" or "many": hashcat has
#                                     another kernel for a list of hashes. Validators send lists for optimized ones only
set -eu
caches=/var/cache/hashcat-job
export XDG_CACHE_HOME="$caches" POCL_CACHE_DIR="$caches/pocl" XDG_DATA_HOME=/tmp/warm

hash_of() { printf '%s\001\002' "$1" | "sha${2}sum" | cut -d' ' -f1; } # hash_of PASSWORD SHA

crack() { # crack MODE SHA KERNEL HASHES
  optimized=
  [ "$3" = pure ] || optimized=--optimized-kernel-enable
  if [ "$4" = one ]; then
    wanted=a hashes=$(hash_of a "$2"):0102
  else
    wanted='a b' hashes=$XDG_DATA_HOME/hashes-$1-$3
    printf '%s:0102\n' "$(hash_of a "$2")" "$(hash_of b "$2")" >"$hashes"
  fi
  # shellcheck disable=SC2086 # one option or none
  answer=$(hashcat --session "warm-$1-$3-$4" $optimized --potfile-disable --restore-disable --attack-mode 3 \
    --workload-profile 3 --hash-type "$1" --hex-salt -1 '?l?d?u' --outfile-format 2 --quiet "$hashes" '?1' |
    sort | paste -sd ' ')
  [ "$answer" = "$wanted" ] || { echo "hashcat mode $1 ($3, $4) answered '$answer' instead of '$wanted'" >&2; exit 1; }
  echo "the $3 kernel of mode $1 for $4 is built"
}

if [ $# = 4 ]; then
  # pocl's compiler crashes now and then when two builds of kernels meet in its cache.
  for try in 1 2 3; do
    if (crack "$@"); then exit; fi
    echo "try $try failed" >&2
  done
  exit 1
fi

mkdir -p "$caches/pocl" "$XDG_DATA_HOME"
# The first one alone: it also builds what all of them share.
crack 1410 256 optimized one
printf '%s\n' '1410 256 optimized many' '1410 256 pure one' \
  '10810 384 optimized one' '10810 384 optimized many' '10810 384 pure one' \
  '1710 512 optimized one' '1710 512 optimized many' '1710 512 pure one' |
  xargs -P "$(nproc)" -L 1 sh "$0"

grep -m1 '^model name' /proc/cpuinfo > "$caches/cpu" || : > "$caches/cpu"
find "$caches" -name 'tempfile*' -delete
rm -rf "$XDG_DATA_HOME"
chmod -R a+rX "$caches"
