/** Jobs that fill every writable folder with bytes or with files. Each stops by itself if nothing stops it. */
import { finishes, runsOutOfMemory, type Trial } from '../trial.ts'

const MIB = 1024 * 1024

/** Writes files of one MiB each until an error, at most `most`. Returns how many it wrote, and the error's name. */
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

/** Makes empty files until an error, at most `most`. Returns the error's name. */
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
  name: `filler of ${name}`,
  parts: { script: `${FILL}\ncount, why = fill("${folder}")\nprint(${least} <= count <= ${most} or count, why)` },
  expected: finishes(/^True ENOSPC\n$/),
})

const flood = (name: string, folder: string): Trial => ({
  name: `flood of files in ${name}`,
  parts: { script: `${FLOOD}\nprint(flood("${folder}"))` },
  expected: finishes(/^ENOSPC\n$/),
})

export const fillers: readonly Trial[] = [
  filler('/tmp', '/tmp', 6, 8),
  filler('/dev/shm', '/dev/shm', 3, 4),
  filler('/output', '/output', 15, 20),
  {
    name: 'filler of /output beyond its memory',
    parts: { script: `${FILL}\nfill("/output", 400)` },
    settings: { OUTPUT_MAX_SIZE_BYTES: `${1024 * MIB}` },
    expected: runsOutOfMemory,
  },
  {
    name: 'filler of every folder of the root',
    parts: {
      script: `${FILL}
told = set()
for folder, folders, files in os.walk("/"):
  folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/dev/shm", "/dev/mqueue", "/tmp", "/output")]
  if os.access(folder, os.W_OK): told.add(folder)
  try: os.mkdir(folder + "/made-by-a-job"); told.add(folder)
  except OSError as error: told.add(errno.errorcode[error.errno])
print(*sorted(told))
`,
    },
    expected: finishes(/^(EACCES )?(EPERM )?EROFS\n$/),
  },
  {
    name: 'filler of the home folder',
    parts: { args: ['python', '-c', `${FILL}\ncount, why = fill("/home/job")\nprint(6 <= count <= 8, why)`] },
    image: { changes: ['ENV HOME=/home/job'] },
    expected: finishes(/^True ENOSPC\n$/),
  },
  {
    name: 'filler of a folder that the image calls a volume',
    parts: { args: ['python', '-c', `${FILL}\ncount, why = fill("/data")\nprint(count <= 16, why)`] },
    image: { changes: ['VOLUME /data'] },
    expected: finishes(/^True (ENOSPC|EACCES|EROFS)\n$/),
  },
  flood('/tmp', '/tmp'),
  flood('/dev/shm', '/dev/shm'),
  flood('/output', '/output'),
  {
    name: 'flood of files in a folder that the image calls a volume',
    parts: { args: ['python', '-c', `${FLOOD}\nprint(flood("/data"))`] },
    image: { changes: ['VOLUME /data'] },
    expected: finishes(/^(ENOSPC|EACCES|EROFS)\n$/),
  },
  {
    name: 'giants without contents',
    parts: {
      script: `
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
told = set()
for folder in ("/output", "/tmp", "/dev/shm"):
  file = os.open(folder + "/giant", os.O_CREAT | os.O_RDWR)
  for way in (lambda: os.truncate(file, 1 << 40), lambda: os.posix_fallocate(file, 0, 1 << 40), lambda: os.pwrite(file, b"x", 1 << 40)):
    try: way(); told.add(folder + " took it")
    except OSError as error: told.add(errno.errorcode[error.errno])
print(*sorted(told))
`,
    },
    expected: finishes(/^EFBIG( EINVAL)?( ENOSPC)?\n$/),
  },
  {
    name: 'a folder deeper than any path',
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
    name: 'filler of a root that may be written to',
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
    name: 'flood of files in a root that may be written to',
    parts: { script: `${FLOOD}\nprint(flood("/home/job", 20_000))` },
    settings: { WRITABLE_ROOT: 'true', ROOT_WATCH_SECONDS: '0.5' },
    // Only a lack of inodes would stop it. The files are removed with the container.
    expected: finishes(/^nothing after 19999\n$/),
  },
]
