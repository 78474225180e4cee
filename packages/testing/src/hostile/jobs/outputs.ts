/** Jobs that leave links, special files and misleading names in /output. */
import { finishes, type Trial, timesOut } from '../trial.ts'

export const outputs: readonly Trial[] = [
  {
    name: 'setuid, special and device files in /output',
    parts: {
      script: `
import errno, os, socket
os.chdir("/output")
results = []
for name, kind in (("block", 0o060666), ("char", 0o020666)):
  try: os.mknod(name, kind, os.makedev(1, 3)); results.append("made")
  except OSError as error: results.append(errno.errorcode[error.errno])
for mode in (0o4755, 0o2755, 0o1755, 0):
  open(f"mode-{mode:o}", "w").write(f"{mode:o}"); os.chmod(f"mode-{mode:o}", mode)
os.mkfifo("fifo"); socket.socket(socket.AF_UNIX).bind("socket")
os.mkdir("closed"); open("closed/file", "w").write("in"); os.chmod("closed", 0)
print(*results)
`,
    },
    uploads: [{ 'mode-4755': '4755', 'mode-2755': '2755', 'mode-1755': '1755', 'mode-0': '0', 'closed/file': 'in' }],
    expected: finishes(/^EPERM EPERM\n$/),
  },
  {
    name: 'links out of /output',
    parts: {
      script: `
import os
os.chdir("/output")
for at, target in enumerate(["/etc/shadow", "/proc/self/environ", "/proc/1/root/etc/shadow", "/proc/1/root", "/etc",
    "..", ".", "/", "/var/run/docker.sock", "/var/lib/docker", "loop", "nowhere", "../../../../../../etc/shadow",
    "/dev/zero", "/proc/kcore"]):
  os.symlink(target, f"link-{at}")
os.symlink("loop", "loop")
os.mkdir("folder"); os.symlink("/etc", "folder/etc"); os.symlink("../../etc/passwd", "folder/passwd")
open("real", "w").write("real"); os.link("real", "second"); os.link("real", "folder/third")
for path in ("/script.py", "/etc/passwd", "/proc/self/environ"):
  try: os.link(path, "hard"); print(path)
  except OSError: pass
`,
    },
    uploads: [{ real: 'real', second: 'real', 'folder/third': 'real' }],
    expected: finishes(/^$/),
  },
  {
    name: 'a folder and a link that swap places until the end',
    parts: {
      script: `
import os, time
os.chdir("/output")
os.mkdir("a"); open("a/shadow", "w").write("mine"); os.symlink("/etc", "b")
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
end = time.monotonic() + 20
while time.monotonic() < end: libc.renameat2(-100, b"a", -100, b"b", 2)
`,
      timeoutSeconds: 5,
    },
    // Either name may be the folder at the end.
    uploads: [{ 'a/shadow': 'mine' }, { 'b/shadow': 'mine' }],
    expected: timesOut,
  },
  {
    name: 'misleading file names',
    parts: {
      script: String.raw`
import os
os.chdir(b"/output")
names = [b"..\\..\\etc\\passwd", b"C:\\x", b"new\nline", b"-rf", b"...", b"x" * 255, b"bad\xff\xfeutf8", b"\x1b[2J"]
for name in names + [b"stdout.txt", b"nul"]:
  open(name, "wb").write(b"text")
print("written")
`,
    },
    uploads: [
      {
        '.._.._etc_passwd': 'text',
        C__x: 'text',
        'new\nline': 'text',
        '-rf': 'text',
        '...': 'text',
        ['x'.repeat(255)]: 'text',
        'bad\ufffd\ufffdutf8': 'text',
        '\x1b[2J': 'text',
        nul: 'text',
      },
    ],
    expected: finishes(/^written\n$/),
  },
  {
    name: 'too many output files',
    parts: { script: 'for at in range(1_001): open(f"/output/{at}", "w")' },
    uploads: [{ 'no zip': '' }],
    expected: {
      type: 'V0FailedRequest',
      exitStatus: 0,
      timedOut: false,
      lastLine: /^There are too many output files$/,
    },
  },
  {
    name: 'a large sparse file',
    parts: { script: 'import os\nos.truncate(os.open("/output/sparse", os.O_CREAT | os.O_WRONLY), 15 << 20)' },
    settings: { OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES: '1000000', OUTPUT_MAX_FILES: '1' },
    uploads: [{ sparse: '\0'.repeat(15 << 20) }],
    expected: finishes(/^$/),
  },
]
