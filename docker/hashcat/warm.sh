#!/bin/sh
# Fills the kernel caches of this type of CPU by cracking a one-character hash with every kernel that a job may use.
# A kernel that is missing from the cache fails to build on a read-only root.
set -eu
caches=/var/cache/hashcat-job
export XDG_CACHE_HOME="$caches" POCL_CACHE_DIR="$caches/pocl" XDG_DATA_HOME=/tmp/warm
mkdir -p "$caches/pocl" "$XDG_DATA_HOME"

crack() { # crack MODE SHA-BITS [HASHCAT OPTION…]
  mode=$1 bits=$2
  shift 2
  hash=$(printf 'a\001\002' | "sha${bits}sum" | cut -d' ' -f1)
  answer=$(hashcat "$@" --potfile-disable --restore-disable --attack-mode 3 --workload-profile 3 --hash-type "$mode" \
    --hex-salt -1 '?l?d?u' --outfile-format 2 --quiet "$hash:0102" '?1')
  [ "$answer" = a ] || { echo "hashcat mode $mode answered '$answer' instead of 'a'" >&2; exit 1; }
}

for kernel in '1410 256' '10810 384' '1710 512'; do
  for pass in build check; do
    echo "$pass the kernels of mode ${kernel% *}"
    # shellcheck disable=SC2086 # two words: mode and bits
    crack $kernel --optimized-kernel-enable
    # shellcheck disable=SC2086
    crack $kernel
  done
done

grep -m1 '^model name' /proc/cpuinfo > "$caches/cpu" || : > "$caches/cpu"
find "$caches" -name 'tempfile*' -delete
rm -rf "$XDG_DATA_HOME"
chmod -R a+rX "$caches"
