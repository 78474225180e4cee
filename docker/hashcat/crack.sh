#!/bin/sh
# Chooses the kernel caches, then becomes hashcat with the arguments of the job.
#
# Kernels for this CPU were built into the image (warm.sh), because a job's root is read-only and its /tmp usually
# noexec, where pocl cannot load what it compiles. A GPU's kernels, and those of another type of CPU, are built in /tmp
# at run time.
baked=/var/cache/hashcat-job
if [ -e /dev/nvidiactl ] || ! grep -m1 '^model name' /proc/cpuinfo | cmp -s - "$baked/cpu"; then
  caches=/tmp/hashcat-cache
  mkdir -p "$caches/pocl"
else
  caches=$baked
fi
export XDG_CACHE_HOME="$caches" POCL_CACHE_DIR="$caches/pocl"
exec hashcat "$@"
