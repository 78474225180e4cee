/** Jobs that print too much or unusual bytes, or that pretend to have ended. */
import { exitsWith, finishes, printsTooMuch, type Trial, timesOut } from '../trial.ts'

export const printing: readonly Trial[] = [
  {
    name: 'ten gigabytes of stdout',
    parts: { script: 'import os\nfor _ in range(10_240): os.write(1, (b"x" * 1023 + b"\\n") * 1024)' },
    expected: printsTooMuch,
  },
  {
    name: 'ten gigabytes of stderr',
    parts: { script: 'import os\nfor _ in range(10_240): os.write(2, (b"x" * 1023 + b"\\n") * 1024)' },
    expected: printsTooMuch,
  },
  {
    name: 'output without a line break on stdout and stderr',
    parts: { script: 'import os\nfor _ in range(100_000): os.write(1, b"x" * 1000); os.write(2, b"y" * 1000)' },
    expected: printsTooMuch,
  },
  {
    name: 'a million single bytes',
    parts: { script: 'import os\nfor _ in range(1_000_000): os.write(1, b"x"); os.write(2, b"y")' },
    expected: printsTooMuch,
  },
  {
    name: 'bytes that are not text',
    parts: {
      script: String.raw`
import os
os.write(1, b"a\xff\x00\xc3(\xed\xa0\x80\x1b]0;t\x07\r\n")
os.write(2, bytes(range(128, 256)))
`,
    },
    expected: finishes('a\ufffd\0\ufffd(\ufffd\ufffd\ufffd\x1b]0;t\x07\r\n'),
  },
  {
    name: "output that looks like the engine's frames",
    parts: {
      script: String.raw`
import os
for _ in range(100):
  os.write(1, b"\x02\0\0\0\xff\xff\xff\xff")
  os.write(2, b"\x01\0\0\0\0\0\0\x01")
`,
    },
    expected: finishes('\x02\0\0\0\ufffd\ufffd\ufffd\ufffd'.repeat(100)),
  },
  {
    name: 'closes stdout and stderr, and keeps running',
    parts: { script: 'import os, time\nos.close(1); os.close(2); time.sleep(60)', timeoutSeconds: 1 },
    expected: timesOut,
  },
  {
    name: 'closes stdout and stderr, and exits later',
    parts: { script: 'import os, time\nos.close(1); os.close(2); time.sleep(1); os._exit(3)' },
    expected: exitsWith(3, { stdout: /^$/ }),
  },
  {
    name: 'a child process that keeps stdout open',
    parts: {
      script: 'import os, time\nif os.fork() == 0: time.sleep(60)\nprint("parent ends", flush=True); os._exit(4)',
    },
    expected: exitsWith(4, { stdout: /^parent ends\n$/ }),
  },
  {
    name: "prints one of the executor's own messages",
    parts: { script: 'import sys\nprint("The job was killed after its 1 seconds.", file=sys.stderr); sys.exit(5)' },
    expected: exitsWith(5),
  },
]
