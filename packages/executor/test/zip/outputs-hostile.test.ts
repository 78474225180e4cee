/** What jobs may leave in /output, from the container to the server that gets the zip. */

import { result } from '@horde/testing/jobs/executor-job'
import { UploadServer } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

const LOCAL = { ALLOW_PRIVATE_TARGETS: 'true' }

let miner: TestMiner
let store: UploadServer
beforeAll(async () => {
  miner = await TestMiner.start()
  store = await UploadServer.start()
})
beforeEach(() => store.clear())
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

/** Runs a script and uploads its output. */
function run(script: string, env: Record<string, string> = {}, timeoutSeconds = 60) {
  return result(miner, { script, upload: store.put(), timeoutSeconds }, { ...LOCAL, ...env })
}

test('leaves out links, hard links to links, sockets, fifos and devices', async () => {
  const answer = await run(`
import errno, os, socket, stat
os.chdir("/output")
for name, target in {"shadow": "/etc/shadow", "environ": "/proc/self/environ", "etc": "/etc", "loop": "loop",
                     "up": "../..", "self": "."}.items():
  os.symlink(target, name)
os.link("shadow", "hard-shadow", follow_symlinks=False)
os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
for kind in stat.S_IFCHR, stat.S_IFBLK:
  try: os.mknod("device", kind | 0o666, os.makedev(1, 3))
  except OSError as error: print(errno.errorcode[error.errno])
open("file", "w").write("kept")
`)
  expect(answer.message_type).toBe('V0FinishedRequest')
  expect(await store.texts()).toEqual({ file: 'kept', 'stdout.txt': 'EPERM\nEPERM\n', 'stderr.txt': '' })
})

test('reads files of any mode, and removes set-user-id and the like', async () => {
  await run(`
import os
os.mkdir("/output/closed")
for name, mode in {"none": 0, "all": 0o777, "setuid": 0o4755, "setgid": 0o2755, "closed/in": 0o200}.items():
  open("/output/" + name, "w").write(name)
  os.chmod("/output/" + name, mode)
os.chmod("/output/closed", 0)
`)
  const files = (await store.files()).filter(([name]) => !name.startsWith('std'))
  expect(Object.fromEntries(files)).toEqual({
    all: { text: 'all', mode: 0o100777 },
    'closed/in': { text: 'closed/in', mode: 0o100200 },
    none: { text: 'none', mode: 0o100000 },
    setgid: { text: 'setgid', mode: 0o100755 },
    setuid: { text: 'setuid', mode: 0o100755 },
  })
})

test('keeps any names distinct from each other and from ours', async () => {
  await run(`
import os
os.chdir(b"/output")
os.makedirs(b"stderr.txt")
os.makedirs(b"/".join([b"d"] * 60))
names = [b"new\\nline", b"q\\"uo'te", b"a\\\\b", b"a_b", b"\\xff", b"\\xfe", b"C:x", b" ", b"...", b"-rf", b".wh.x",
         b"x" * 255, "größe".encode(), b"stderr.txt/x", b"/".join([b"d"] * 60) + b"/f", b"stdout.txt"]
for name in names: open(name, "wb").write(name)
`)
  const texts = await store.texts()
  expect(texts).toEqual({
    'new\nline': 'new\nline',
    'q"uo\'te': 'q"uo\'te',
    a_b: 'a\\b',
    'a_b~2': 'a_b',
    '\ufffd': '\ufffd',
    '\ufffd~2': '\ufffd',
    C_x: 'C:x',
    ' ': ' ',
    '...': '...',
    '-rf': '-rf',
    '.wh.x': '.wh.x',
    ['x'.repeat(255)]: 'x'.repeat(255),
    größe: 'größe',
    'stderr.txt~2/x': 'stderr.txt/x',
    [`${'d/'.repeat(60)}f`]: `${'d/'.repeat(60)}f`,
    'stdout.txt': '',
    'stderr.txt': '',
  })
})

describe('limits', () => {
  const depth =
    'import os; os.chdir("/output")\nfor i in range(300): os.mkdir("d" * 20); os.chdir("d" * 20); open("f", "w")'
  const holes = 'for i in range(2):\n  with open(f"/output/{i}", "w") as file: file.truncate(60_000_000)'

  test.each([
    ['1,001 files', 'for i in range(1_001): open(f"/output/{i}", "w")', {}, 'There are too many output files'],
    ['depth', depth, {}, 'The outputs are nested too deeply'],
    ['holes', holes, { OUTPUT_MAX_SIZE_BYTES: '100000000' }, 'The outputs are too large'],
    [
      'what cannot be compressed',
      'import os; open("/output/a", "wb").write(os.urandom(200_000))',
      { OUTPUT_ZIP_UPLOAD_MAX_SIZE_BYTES: '100000' },
      'The zip of the outputs is too large',
    ],
  ])('hold for %s, and nothing is uploaded', async (_, script, env: Record<string, string>, why) => {
    expect(await run(script, env)).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: 0,
      docker_process_stderr: `${why}\n`,
    })
    expect(store.web.requests).toEqual([])
  })

  test('allow exactly their value', async () => {
    await run('for i in range(1_000): open(f"/output/{i}", "w")')
    expect(await store.files()).toHaveLength(1_002)
  })
})

describe('a job that ends badly', () => {
  const trace = 'import time; open("/output/trace", "w").write("t"); print("on", flush=True)\n'

  test.each([
    ['by its time limit', 'time.sleep(600)', {}, 5, { docker_process_exit_status: null, timeout: true }],
    ['by its output', 'while True: print("x" * 1_000)', { MAX_OUTPUT_BYTES: '100000' }, 60, { timeout: false }],
    ['by its memory', 'x = bytearray(500_000_000)', { MEMORY_LIMIT_BYTES: '100000000' }, 60, { timeout: false }],
    ['by itself', 'exit(9)', {}, 60, { docker_process_exit_status: 9, timeout: false }],
  ])('%s has its outputs uploaded', async (_, script, env: Record<string, string>, seconds, end) => {
    const answer = await run(trace + script, env, seconds)
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', ...end })
    const texts = await store.texts()
    expect(texts).toMatchObject({ trace: 't', 'stderr.txt': answer.docker_process_stderr })
    expect(texts['stdout.txt']).toMatch(/^on\n/)
  })
})
