/** Jobs that refuse to end, or that leave processes or IPC objects behind. */
import { exitsWith, finishes, type Trial, timesOut } from '../trial.ts'

/** Ends the job after 30 seconds if the sandbox does not. */
const ALARM = 'import os, signal, time\nsignal.alarm(30)\n'

export const survivors: readonly Trial[] = [
  {
    name: 'sleeps beyond its timeout',
    parts: { script: `${ALARM}time.sleep(60)`, timeoutSeconds: 1 },
    expected: timesOut,
  },
  {
    name: 'ignores every signal',
    parts: {
      script: `${ALARM}
for number in range(1, 65):
  try: signal.signal(number, signal.SIG_IGN)
  except (OSError, ValueError): pass
end = time.monotonic() + 30
while time.monotonic() < end: time.sleep(1)
`,
      timeoutSeconds: 1,
    },
    expected: timesOut,
  },
  {
    name: 'stops itself',
    parts: { script: `${ALARM}os.kill(os.getpid(), signal.SIGSTOP)`, timeoutSeconds: 1 },
    expected: timesOut,
  },
  {
    name: 'stops itself and its init process',
    parts: {
      script: `${ALARM}os.kill(1, signal.SIGSTOP); os.kill(1, signal.SIGKILL); os.kill(os.getpid(), signal.SIGSTOP)`,
      timeoutSeconds: 1,
    },
    expected: timesOut,
  },
  {
    name: 'kills all other processes',
    parts: {
      script: `${ALARM}
for _ in range(5):
  if os.fork() == 0: signal.pause()
os.kill(-1, signal.SIGKILL); print("alone", flush=True); os._exit(6)
`,
    },
    expected: exitsWith(6),
  },
  {
    name: 'kills itself',
    parts: { script: `${ALARM}os.kill(os.getpid(), signal.SIGKILL)` },
    expected: exitsWith(137, { lastLine: /killed/ }),
  },
  {
    name: 'daemons that outlive their parent process',
    parts: {
      script: `${ALARM}
for _ in range(5):
  if os.fork() == 0:
    os.setsid()
    if os.fork() != 0: os._exit(0)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
    for file in range(3): os.close(file)
    signal.alarm(120)
    while True:
      open("/output/alive", "a").write("x"); time.sleep(0.01)
while not os.path.exists("/output/alive"): time.sleep(0.05)
print("alive")
`,
    },
    expected: finishes(/^alive\n$/),
  },
  {
    name: 'zombie processes',
    parts: {
      script: `${ALARM}
for _ in range(50):
  if os.fork() == 0: os._exit(0)
def dead(): return sum("Z" in open(f"/proc/{name}/stat").read() for name in os.listdir("/proc") if name.isdigit())
while dead() <= 40: time.sleep(0.05)
print("dead")
`,
    },
    expected: finishes(/^dead\n$/),
  },
  {
    name: 'crashes with core dumps enabled',
    parts: {
      script: `${ALARM}
import resource
try: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except ValueError: print("refused", flush=True)
os.chdir("/output")
if os.fork() == 0: os.abort()
print(os.WTERMSIG(os.wait()[1]), os.listdir("/output"))
`,
    },
    expected: finishes(/^refused\n6 \[\]\n$/),
  },
  {
    name: 'leaves shared memory, semaphores and queues behind',
    parts: {
      script: `${ALARM}
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
made = [libc.shmget(0x686f7264, 4096, 0o1666), libc.semget(0x686f7264, 1, 0o1666), libc.msgget(0x686f7264, 0o1666)]
made.append(libc.mq_open(b"/horde", os.O_CREAT | os.O_RDWR, 0o666, 0))
print(all(each >= 0 for each in made))
`,
    },
    expected: finishes(/^True\n$/),
  },
  {
    name: 'looks for what earlier jobs left behind',
    parts: {
      script: `${ALARM}
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print([libc.shmget(0x686f7264, 0, 0), libc.semget(0x686f7264, 0, 0), libc.msgget(0x686f7264, 0)])
print([name for folder in ("/tmp", "/output", "/volume", "/dev/shm", "/dev/mqueue") for name in os.listdir(folder)])
`,
    },
    expected: finishes(/^\[-1, -1, -1\]\n\[\]\n$/),
  },
]
