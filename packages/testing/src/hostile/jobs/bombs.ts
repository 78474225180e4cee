/** Jobs that exceed their limits of processes, memory or time. Each ends by itself if no limit stops it. */
import { finishes, runsOutOfMemory, type Trial, timesOut } from '../trial.ts'

/** The start of a script that allocates memory. `hog(take)` takes a MiB at a time, up to a few times the limit. */
const HOG = `
import os, sys
def hog(take):
  kept = []
  for _ in range(600): kept.append(take(b"x" * (1 << 20)))
`

export const bombs: readonly Trial[] = [
  {
    name: 'fork bomb',
    parts: {
      script: `
import os, signal
first = os.getpid()
for _ in range(10):
  try:
    if os.fork() == 0: signal.alarm(20)
  except OSError: pass
if os.getpid() != first: signal.pause()
for _ in range(500):
  try:
    if os.fork() == 0: signal.alarm(20); signal.pause()
  except OSError as error: refused = error.errno; break
print(refused, sum(name.isdigit() for name in os.listdir("/proc")) < 65)
`,
    },
    expected: finishes(/^11 True\n$/),
  },
  {
    name: 'endless fork bomb',
    parts: {
      script: `
import os, time
end = time.monotonic() + 6
while time.monotonic() < end and len(os.listdir("/proc")) < 400:
  try: os.fork()
  except OSError: pass
`,
      timeoutSeconds: 2,
    },
    expected: timesOut,
  },
  {
    name: 'thread bomb',
    parts: {
      script: `
import threading
stop = threading.Event()
count = 0
try:
  while count < 500: threading.Thread(target=stop.wait, daemon=True).start(); count += 1
except RuntimeError: pass
print(40 < count < 65)
`,
    },
    expected: finishes(/^True\n$/),
  },
  {
    name: 'many open files in many processes',
    parts: {
      script: `
import os, sys
least = most = None
for _ in range(20):
  read, write = os.pipe()
  if os.fork() == 0:
    files = []
    try:
      while len(files) < 5000: files.append(os.open("/dev/null", 0))
    except OSError: pass
    for file in files: os.close(file)
    os.write(write, b"%d" % len(files)); os._exit(0)
  count = int(os.read(read, 9)); most = max(most or 0, count)
print(most < 256)
`,
    },
    expected: finishes(/^True\n$/),
  },
  {
    name: 'many timers and message queues, which the kernel counts per user over all containers',
    parts: {
      args: [
        'python',
        '-c',
        `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def most(way, count):
  made = 0
  while made < count and way(made) >= 0: made += 1
  return made
timer = ctypes.c_void_p()
timers = most(lambda _: libc.timer_create(1, None, ctypes.byref(timer)), 20_000)
queues = most(lambda at: libc.mq_open(b"/%d" % at, 0o102, 0o600, None), 200)
print(timers <= 2048 or timers, queues <= 5 or queues)
`,
      ],
    },
    image: { changes: ['USER root'] },
    expected: finishes(/^True True\n$/),
  },
  {
    name: 'endless loops on every core',
    parts: {
      script: `
import os, signal
for _ in range(8):
  if os.fork() == 0: break
signal.alarm(20)
while True: pass
`,
      timeoutSeconds: 1,
    },
    expected: timesOut,
  },
  {
    name: 'memory hog',
    parts: { script: `${HOG}\nhog(lambda block: bytearray(block))` },
    expected: runsOutOfMemory,
  },
  {
    name: 'memory hog that locks its memory',
    parts: {
      script: `${HOG}
import ctypes
ctypes.CDLL(None).mlockall(3)
open("/proc/self/oom_score_adj", "w").write("0")
hog(lambda block: bytearray(block))`,
    },
    expected: runsOutOfMemory,
  },
  {
    name: 'memory hog in a child process',
    parts: {
      script: `${HOG}
if os.fork() == 0: hog(lambda block: bytearray(block)); os._exit(0)
print(os.WTERMSIG(os.wait()[1]))`,
    },
    expected: finishes(/^9\n$/),
  },
  {
    name: 'memory hog with shared mappings',
    parts: {
      script: `${HOG}
import mmap
def take(block):
  shared = mmap.mmap(-1, len(block)); shared.write(block); return shared
hog(take)`,
    },
    expected: runsOutOfMemory,
  },
  {
    name: 'memory hog with memfd files',
    parts: {
      script: `${HOG}
file = os.memfd_create("x")
hog(lambda block: os.write(file, block))`,
      timeoutSeconds: 30,
    },
    // With the default setting the limit on file sizes would end it before the memory limit does.
    settings: { OUTPUT_MAX_SIZE_BYTES: `${1024 * 1024 * 1024}` },
    expected: runsOutOfMemory,
  },
  {
    name: 'memory hog with pipes',
    parts: {
      script: `${HOG}
import fcntl
def take(block):
  ends = os.pipe(); os.set_blocking(ends[1], False)
  try:
    fcntl.fcntl(ends[1], 1031, 1 << 20)
    return ends, os.write(ends[1], block)
  except OSError: return ends
try: hog(take)
except OSError as error: print(error.errno)`,
    },
    // An unprivileged user has at most 64 MiB in pipes, so the limit of open files ends it before the memory limit
    // does.
    settings: { MEMORY_LIMIT_BYTES: `${256 * 1024 * 1024}` },
    expected: finishes(/^24\n$/),
  },
  {
    name: 'memory hog in /dev/shm, /tmp and its own memory',
    parts: {
      script: `${HOG}
for folder in ("/dev/shm", "/tmp"):
  try: hog(open(folder + "/x", "wb", buffering=0).write)
  except OSError: pass
hog(lambda block: bytearray(block))`,
    },
    settings: { TMP_SIZE_BYTES: `${96 * 1024 * 1024}`, SHM_SIZE_BYTES: `${64 * 1024 * 1024}` },
    expected: runsOutOfMemory,
  },
]
