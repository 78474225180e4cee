/** The folders that a job may write to: each bounded in bytes and in files, each as its image means it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { TrialImages } from '@horde/testing/hostile/trial-images'
import { result } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HOLDER_IMAGE } from '../../src/workspace/holder.ts'

const docker = promisify(execFile)
const MIB = 1024 * 1024
/** Some file of the Python image of several MiB. */
const LARGE_FILE = '/usr/bin/python3.11'
const SIZE_OF = 'import os; print(os.path.getsize'

let miner: TestMiner
let images: TrialImages
let largeBytes: number
beforeAll(async () => {
  miner = await TestMiner.start()
  images = new TrialImages()
  largeBytes = Number(await printed({ script: `${SIZE_OF}("${LARGE_FILE}"))` }))
})
afterAll(async () => {
  await miner[Symbol.asyncDispose]()
  await images[Symbol.asyncDispose]()
})

/**
 * Returns a script that makes files of `bytes` bytes in a folder until that fails, at most `most`. It prints how many
 * it made, and the error.
 */
function filling(folder: string, bytes: number, most: number): string {
  return `
import errno
made, why = 0, None
try:
  while made < ${most}:
    with open(f"${folder}/{made}", "wb") as file: file.write(b"x" * ${bytes})
    made += 1
except OSError as error: why = errno.errorcode[error.errno]
print(made, why)
`
}

async function printed(parts: Parameters<typeof result>[1], env: Record<string, string> = {}): Promise<string> {
  const answer = await result(miner, parts, env)
  expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stderr: '' })
  return answer.docker_process_stdout.trim()
}

describe('/output', () => {
  test('holds as many bytes as the setting says, and no more, in however many files', async () => {
    const env = { OUTPUT_MAX_SIZE_BYTES: `${4 * MIB}`, OUTPUT_MAX_FILES: '8' }
    expect(await printed({ script: filling('/output', MIB, 100) }, env)).toBe('4 ENOSPC')
  })

  test('holds as many files as the setting says', async () => {
    const [made, why] = (await printed({ script: filling('/output', 0, 5_000) }, { FOLDER_MAX_FILES: '100' })).split(
      ' ',
    )
    expect(Number(made)).toBeGreaterThan(90)
    expect(Number(made)).toBeLessThan(100)
    expect(why).toBe('ENOSPC')
  })

  test('keeps what a job wrote until it is uploaded, also after the job was killed', async () => {
    const bodies: Buffer[] = []
    await using web = await TestWeb.start(async (request, response) => {
      bodies.push(Buffer.concat(await request.toArray()))
      response.end()
    })
    const script = 'import time; open("/output/kept", "w").write("x" * 1000); time.sleep(60)'
    const upload = { output_upload_type: 'zip_and_http_put', url: web.url('/') }
    const answer = await result(miner, { script, upload, timeoutSeconds: 5 }, { ALLOW_PRIVATE_TARGETS: 'true' })
    expect(answer).toMatchObject({ message_type: 'V0FailedRequest', timeout: true })
    expect(bodies).toHaveLength(1)
    expect(bodies[0]?.includes('kept')).toBe(true)
  })
})

test.each(['/tmp', '/dev/shm'])('%s holds as many files as the setting says', async folder => {
  const [made, why] = (await printed({ script: filling(folder, 0, 5_000) }, { FOLDER_MAX_FILES: '100' })).split(' ')
  expect(Number(made)).toBeGreaterThan(80)
  expect(Number(made)).toBeLessThan(100)
  expect(why).toBe('ENOSPC')
})

describe('the home', () => {
  const HOME = {
    copies: { '/home/job/tool': { from: LARGE_FILE, mode: 0o755 } },
    changes: ['ENV HOME=/home/job'],
  }

  test.each(['/home/job', '/no/such/home'])(
    '%s holds as many files as the setting says, for any user',
    async folder => {
      const image = await images.ready(folder, { changes: [`ENV HOME=${folder}`] })
      const env = { FOLDER_MAX_FILES: '100' }
      const [made, why] = (await printed({ image, args: ['python', '-c', filling(folder, 0, 5_000)] }, env)).split(' ')
      expect(Number(made)).toBeGreaterThan(80)
      expect(Number(made)).toBeLessThan(100)
      expect(why).toBe('ENOSPC')
    },
  )

  test('keeps what the image has there, and its owner may write', async () => {
    const image = await images.ready('home', HOME)
    const script = `${SIZE_OF}("/home/job/tool"))
open("/home/job/new", "w").write("x")
print(os.path.isfile("/home/job/new"))`
    expect(await printed({ image, args: ['python', '-c', script] })).toBe(`${largeBytes}\nTrue`)
  })

  test('that does not fit into its volume stays as it is, and read-only', async () => {
    const image = await images.ready('home', HOME)
    const script = `${SIZE_OF}("/home/job/tool"))
try: open("/home/job/new", "w")
except OSError as error: print(error.strerror)`
    expect(await printed({ image, args: ['python', '-c', script] }, { TMP_SIZE_BYTES: `${MIB}` })).toBe(
      `${largeBytes}\nRead-only file system`,
    )
  })
})

describe("an image's volumes", () => {
  test('hold what the image has there, and are bounded', async () => {
    const image = await images.ready('volumes', {
      copies: { '/data/seed': { from: '/etc/debian_version', mode: 0o644 } },
      changes: ['USER root', 'VOLUME ["/data", "/more/", "/tmp", "/output"]'],
    })
    const fill = filling('/data', MIB / 2, 100) + filling('/more', MIB / 2, 100)
    const script = `print(open("/data/seed").read().strip())${fill}`
    const env = { TMP_SIZE_BYTES: `${4 * MIB}` }
    expect(await printed({ image, args: ['python', '-c', script] }, env)).toMatch(/^\d+\.\d+\n3 ENOSPC\n4 ENOSPC$/)
  })

  test.each(['/output/results', '/volume/data', '/'])('at %s are refused', async folder => {
    const image = await images.ready(folder, { changes: [`VOLUME ["${folder}"]`] })
    expect(await result(miner, { image })).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: null,
      docker_process_stdout: 'The image has a VOLUME at / or within /volume or /output',
    })
  })

  test('that are too small for what the image has there fail the job', async () => {
    const copies = { '/data/large': { from: LARGE_FILE, mode: 0o644 } }
    const image = await images.ready('large volume', { copies, changes: ['VOLUME ["/data"]'] })
    expect(await result(miner, { image }, { TMP_SIZE_BYTES: `${MIB}` })).toMatchObject({
      docker_process_exit_status: null,
      docker_process_stdout: "The image's VOLUME folders and home hold more than they may here",
    })
  })

  test('are at most 16', async () => {
    const changes = Array.from({ length: 17 }, (_, index) => `VOLUME ["/data${index}"]`)
    const image = await images.ready('many volumes', { changes })
    expect(await result(miner, { image })).toMatchObject({
      docker_process_stdout: 'The image has more than 16 VOLUMEs',
    })
  })
})

describe('a writable root', () => {
  const env = { WRITABLE_ROOT: 'true', ROOT_MAX_SIZE_BYTES: `${8 * MIB}`, ROOT_WATCH_SECONDS: '0.2' }
  const writing = (mib: number) => `
import time
for index in range(${mib}): open(f"/root-{index}", "wb").write(b"x" * ${MIB})
print("written", flush=True)
time.sleep(${mib > 8 ? 50 : 0.5})
`

  test('may be written to', async () => {
    const image = await images.ready('root', { changes: ['USER root'] })
    expect(await printed({ image, args: ['python', '-c', writing(4)] }, env)).toBe('written')
  })

  test("is the only part of the engine's disk that the job can write to", async () => {
    const image = await images.ready('root', { changes: ['USER root'] })
    const script = `
KERNEL = "overlay tmpfs proc sysfs cgroup cgroup2 mqueue devpts".split()
for line in open("/proc/mounts"):
  source, folder, kind, options = line.split()[:4]
  if kind not in KERNEL and "ro" not in options.split(","): print(folder)
try: open("/etc/hostname", "a"); print("opened")
except OSError as error: print(error.strerror)
open("/etc/hosts", "a").write("127.0.0.1 here")
`
    expect(await printed({ image, args: ['python', '-c', script] }, env)).toBe('Read-only file system')
  })

  test('ends a job that writes too much, with a note', async () => {
    const image = await images.ready('root', { changes: ['USER root'] })
    const note = `The job was killed because it wrote more than ${8 * MIB} bytes to the folders of its image.\n`
    expect(await result(miner, { image, args: ['python', '-c', writing(16)] }, env)).toMatchObject({
      message_type: 'V0FailedRequest',
      docker_process_exit_status: null,
      timeout: false,
      docker_process_stderr: note,
    })
  })

  test('does not take a file that is larger than all it may hold', async () => {
    const image = await images.ready('root', { changes: ['USER root'] })
    const env = { WRITABLE_ROOT: 'true', ROOT_WATCH_SECONDS: '600' }
    const small = { ROOT_MAX_SIZE_BYTES: `${8 * MIB}`, OUTPUT_MAX_SIZE_BYTES: `${MIB}`, OUTPUT_MAX_FILES: '1' }
    const smaller = { TMP_SIZE_BYTES: `${MIB}`, SHM_SIZE_BYTES: `${MIB}` }
    expect(
      await printed({ image, args: ['python', '-c', filling('/etc', 9 * MIB, 1)] }, { ...env, ...small, ...smaller }),
    ).toBe('0 EFBIG')
  })
})

describe('/volume', () => {
  const files = { 'folder/file': 'x' }
  const script = `
for path in ("/volume/folder/file", "/volume/new", "/volume/folder/new"):
  try: print(open(path, "a").write("y"))
  except OSError as error: print("refused")
`

  test('is read-only', async () => {
    expect(await printed({ script, files })).toBe('refused\nrefused\nrefused')
  })

  test('is writable, by any user, where the setting says so, and bounded', async () => {
    const env = { WRITABLE_VOLUME: 'true', VOLUME_MAX_SIZE_BYTES: `${2 * MIB}`, VOLUME_MAX_FILES: '4' }
    expect(await printed({ script: script + filling('/volume', MIB, 50), files }, env)).toBe('1\n1\n1\n2 ENOSPC')
  })
})

test("builds the holder's image again when it is gone", async () => {
  await docker('docker', ['image', 'rm', '--force', HOLDER_IMAGE])
  expect(await printed({ script: 'print("well")' })).toBe('well')
  await docker('docker', ['image', 'inspect', HOLDER_IMAGE])
})
