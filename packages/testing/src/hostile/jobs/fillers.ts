/** Jobs that fill every writable place with bytes or with files. Each ends by itself if no limit stops it. */
import { finishes, runsOutOfMemory, type Trial } from '../trial.ts'

const MIB = 1024 * 1024

/** `fill` writes files of a MiB until one fails, at most `most`. Returns their number and the error. */
const FILL = `
import errno, os, sys
def fill(folder, most=64):
  count = 0
  try:
    while count < most:
      with open(f"{folder}/{count}", "wb", buffering=0) as file:
        for _ in range(256):
          if file.write(b"x" * 4096) != 4096: raise OSError(errno.ENOSPC, "short")
      count += 1
  except OSError as error: return count, errno.errorcode[error.errno]
  return count, "nothing"
`

/** `flood` makes empty files until one fails, at most `most`. Returns the error. */
const FLOOD = `
import errno, os
def flood(folder, most=100_000):
  count = 0
  try:
    for count in range(most): os.close(os.open(f"{folder}/{count}", os.O_CREAT | os.O_WRONLY))
  except OSError as error: return errno.errorcode[error.errno]
  return f"nothing after {count}"
`

const filler = (name: string, folder: string, least: number, most: number): Trial => ({
  name: `fills ${name}`,
  parts: { script: `${FILL}\ncount, why = fill("${folder}")\nprint(${least} <= count <= ${most} or count, why)` },
  expected: finishes(/^True ENOSPC\n$/),
})

const flood = (name: string, folder: string): Trial => ({
  name: `floods ${name} with files`,
  parts: { script: `${FLOOD}\nprint(flood("${folder}"))` },
  expected: finishes(/^ENOSPC\n$/),
})

export const fillers: readonly Trial[] = [
  filler('/tmp', '/tmp', 6, 8),
  filler('/dev/shm', '/dev/shm', 3, 4),
  filler('/output', '/output', 15, 20),
  {
    name: 'fills /output beyond its memory',
    parts: { script: `${FILL}\nfill("/output", 400)` },
    settings: { OUTPUT_MAX_SIZE_BYTES: `${1024 * MIB}` },
    expected: runsOutOfMemory,
  },
  {
    name: 'fills every folder of the root',
    parts: {
      script: `${FILL}
found = set()
for folder, folders, files in os.walk("/"):
  skipped = ("/proc", "/sys", "/dev/shm", "/dev/mqueue", "/tmp", "/output")
  folders[:] = [name for name in folders if os.path.join(folder, name) not in skipped]
  if os.access(folder, os.W_OK): found.add(folder)
  try: os.mkdir(folder + "/made-by-a-job"); found.add(folder)
  except OSError as error: found.add(errno.errorcode[error.errno])
print(*sorted(found))
`,
    },
    expected: finishes(/^(EACCES )?(EPERM )?EROFS\n$/),
  },
  {
    name: 'fills the home folder',
    parts: { args: ['python', '-c', `${FILL}\ncount, why = fill("/home/job")\nprint(6 <= count <= 8, why)`] },
    image: { changes: ['ENV HOME=/home/job'] },
    expected: finishes(/^True ENOSPC\n$/),
  },
  {
    name: 'fills a VOLUME of the image',
    parts: { args: ['python', '-c', `${FILL}\ncount, why = fill("/data")\nprint(count <= 16, why)`] },
    image: { changes: ['VOLUME /data'] },
    expected: finishes(/^True (ENOSPC|EACCES|EROFS)\n$/),
  },
  flood('/tmp', '/tmp'),
  flood('/dev/shm', '/dev/shm'),
  flood('/output', '/output'),
  {
    name: 'floods a VOLUME of the image with files',
    parts: { args: ['python', '-c', `${FLOOD}\nprint(flood("/data"))`] },
    image: { changes: ['VOLUME /data'] },
    expected: finishes(/^(ENOSPC|EACCES|EROFS)\n$/),
  },
  {
    name: 'huge sparse files',
    parts: {
      script: `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
found = set()
for folder in ("/output", "/tmp", "/dev/shm"):
  file = os.open(folder + "/giant", os.O_CREAT | os.O_RDWR)
  size = 1 << 40
  ways = [lambda: os.truncate(file, size), lambda: os.posix_fallocate(file, 0, size)]
  ways.append(lambda: os.pwrite(file, b"x", size))
  for way in ways:
    try: way(); found.add(folder + " took it")
    except OSError as error: found.add(errno.errorcode[error.errno])
print(*sorted(found))
`,
    },
    expected: finishes(/^EFBIG( EINVAL)?( ENOSPC)?\n$/),
  },
  {
    name: 'folders nested deeper than any path',
    parts: {
      script: `
import os
os.chdir("/output")
for depth in range(3000): os.mkdir("x" * 50); os.chdir("x" * 50)
open("bottom", "w").write("deep")
print("deep")
`,
    },
    settings: { FOLDER_MAX_FILES: '10000' },
    uploads: [{ 'no zip': '' }],
    expected: {
      type: 'V0FailedRequest',
      exitStatus: 0,
      timedOut: false,
      stdout: /^deep\n$/,
      lastLine: 'The outputs are nested too deeply',
    },
  },
  {
    name: 'fills a writable root',
    parts: {
      script: `
import os, time
for count in range(200):
  with open(f"/home/job/{count}", "wb", buffering=0) as file: file.write(os.urandom(1 << 20))
time.sleep(20)
`,
    },
    settings: { WRITABLE_ROOT: 'true', ROOT_MAX_SIZE_BYTES: `${16 * MIB}`, ROOT_WATCH_SECONDS: '0.5' },
    expected: {
      type: 'V0FailedRequest',
      exitStatus: null,
      timedOut: false,
      lastLine: /^The job was killed because it wrote more than \d+ bytes to the folders of its image\.$/,
    },
  },
  {
    name: 'floods a writable root with files',
    parts: { script: `${FLOOD}\nprint(flood("/home/job", 20_000))` },
    settings: { WRITABLE_ROOT: 'true', ROOT_WATCH_SECONDS: '0.5' },
    // Only the disk's own limit of files would stop it. The files are removed with the container.
    expected: finishes(/^nothing after 19999\n$/),
  },
]
