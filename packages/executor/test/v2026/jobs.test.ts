/** Jobs of a miner of 2026, in real containers: what they get, and what comes back. */
import { zipBase64, zipBytes } from '@horde/testing/jobs/executor-job'
import { TestWeb, UploadServer } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { RawMiner } from '@horde/testing/peers/raw-miner'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { filePost, filePut, Job2026 } from './job-2026.ts'

let miner: RawMiner
let spawner: TestMiner
let store: UploadServer
beforeAll(async () => {
  miner = await RawMiner.start()
  spawner = await TestMiner.start()
  store = await UploadServer.start((_, response) => {
    response.setHeader('ETag', '"x"').end('stored')
  })
})
beforeEach(() => store.clear())
afterAll(async () => {
  await store[Symbol.asyncDispose]()
  await spawner[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

const WALK = `
import os
for top, _, names in sorted(os.walk("/volume")):
  for name in sorted(names): print(os.path.join(top, name), open(os.path.join(top, name)).read())
print(os.environ["GREETING"], os.environ["EMPTY"] == "", os.environ["NVIDIA_VISIBLE_DEVICES"])
print(os.listdir("/specs"))
os.makedirs("/output/o")
open("/output/o/1.bin", "w").write("one")
open("/output/o/2.txt", "w").write("two")
open("/output/rest", "w").write("rest")
os.mkdir("/artifacts/deep")
open("/artifacts/deep/x", "w").write("deep")
open("/artifacts/r.txt", "w").write("hello")
open("/artifacts/large", "w").write("x" * 1_000_000)
os.symlink("/etc/passwd", "/artifacts/link")
os.link("/artifacts/deep/x", "/artifacts/also")
`

test('gives a job its environment and volumes, and brings back uploads and artifacts', async () => {
  const zip = await zipBytes({ 'a.txt': 'from the url' })
  await using web = await TestWeb.start((request, response) => {
    response.end(request.url === '/a.zip' ? zip : 'the file')
  })
  const volumes = [
    { volume_type: 'inline', contents: await zipBase64({ 'x/i.txt': 'inline' }), relative_path: 'in' },
    { volume_type: 'zip_url', contents: web.url('/a.zip'), relative_path: null },
    { volume_type: 'single_file', url: web.url('/f'), relative_path: 'd/f' },
  ]
  const output_upload = {
    output_upload_type: 'multi_upload',
    uploads: [
      filePut(store.web.url('/put'), 'o/1.bin', { 'X-Sig': '1', 'Content-Length': '9' }),
      filePost(store.web.url('/post'), 'o/2.txt', { key: 'v' }),
    ],
    system_output: { output_upload_type: 'zip_and_http_put', url: store.web.url('/zip') },
  }
  const job = await Job2026.begin(miner, spawner, {
    script: WALK,
    offer: { volume: { volume_type: 'multi_volume', volumes } },
    work: {
      env: { GREETING: 'hé', EMPTY: '', NVIDIA_VISIBLE_DEVICES: 'all' },
      output_upload,
      artifacts_dir: '/artifacts',
    },
  })
  await job.prepare()
  await job.run()
  const answer = expect.toSatisfy((text: string) => {
    const { headers, body } = JSON.parse(text)
    return headers.etag === '"x"' && body === 'stored'
  }, 'has the headers and the body of the answer')
  await job.expectFinished({
    docker_process_stdout:
      '/volume/a.txt from the url\n/volume/d/f the file\n/volume/in/x/i.txt inline\nhé True void\n[]\n',
    artifacts: { '/artifacts/r.txt': 'aGVsbG8=', '/artifacts/also': 'ZGVlcA==' },
    upload_results: { 'o/1.bin': answer, 'o/2.txt': answer, system_output: answer },
  })
  expect(store.to('/put')).toMatchObject({ method: 'PUT', headers: { 'x-sig': '1', 'content-length': '3' } })
  expect(store.to('/put')?.headers).not.toHaveProperty('content-type')
  expect(store.to('/put')?.zip.toString()).toBe('one')
  expect(store.to('/post')).toMatchObject({ method: 'POST', form: ['key=v', 'file: 2.txt (text/plain)'] })
  expect(store.to('/post')?.zip.toString()).toBe('two')
  expect(store.to('/zip')?.headers).not.toHaveProperty('content-type')
  expect(Object.keys(await store.texts('/zip')).sort()).toEqual(['rest', 'stderr.txt', 'stdout.txt'])
})

test('runs a script with its arguments in an image of the job, and uploads what it printed', async () => {
  const job = await Job2026.begin(miner, spawner, {
    work: {
      raw_script: 'import sys; print(sys.argv[1:]); sys.stderr.write("and this")',
      docker_run_cmd: ['python', '/script.py', 'a', 'b c'],
      output_upload: filePut(store.web.url('/out'), 'stdout.txt'),
    },
  })
  await job.prepare()
  await job.run()
  await job.expectFinished({
    docker_process_stdout: "['a', 'b c']\n",
    docker_process_stderr: 'and this',
    upload_results: { 'stdout.txt': expect.any(String) },
  })
  expect(store.arrived.map(({ zip }) => zip.toString())).toEqual(["['a', 'b c']\n"])
})

test('uploads a lone zip without a type, its files stored', async () => {
  const script = 'open("/output/a", "w").write("a" * 1000); print("p")'
  const output_upload = { output_upload_type: 'zip_and_http_put', url: store.web.url('/zip') }
  const job = await Job2026.begin(miner, spawner, { script, work: { output_upload } })
  await job.prepare()
  await job.run()
  await job.expectFinished({ docker_process_stdout: 'p\n', upload_results: { 'output.zip': expect.any(String) } })
  expect(await store.texts()).toEqual({ a: 'a'.repeat(1_000), 'stdout.txt': 'p\n', 'stderr.txt': '' })
  expect(store.arrived[0]?.headers).not.toHaveProperty('content-type')
  expect(store.arrived[0]?.zip.includes('a'.repeat(1_000))).toBe(true)
})

test('leaves out artifacts beyond what a frame can hold, and says so', async () => {
  const script = 'for i in range(20): open(f"/a/{i:02}", "w").write("x" * 999_999)'
  const job = await Job2026.begin(miner, spawner, { script, work: { artifacts_dir: '/a' } })
  await job.prepare()
  await job.run()
  const artifacts = expect.toSatisfy((files: object) => Object.keys(files).length === 16, 'holds 16 files')
  await job.expectFinished({ artifacts, docker_process_stderr: expect.stringContaining('Some artifacts are left out') })
})

test('runs a job of NVIDIA GPUs without them where the operator says so', async () => {
  const parts = { script: 'print("ran")', env: { DEBUG_NO_GPU_MODE: '1' } }
  const job = await Job2026.begin(miner, spawner, { ...parts, work: { docker_run_options_preset: 'nvidia_all' } })
  await job.prepare()
  await job.run()
  await job.expectFinished({ docker_process_stdout: 'ran\n' })
})

test('bounds the artifacts folder as it bounds /output', async () => {
  const script = `
import json
def fill(path):
  size = 0
  try:
    with open(path, "wb", buffering=0) as file:
      while True: size += file.write(bytes(65536))
  except OSError as error: return [size <= 1 << 21, error.strerror]
print(json.dumps([fill("/output/a"), fill("/artifacts/a")]))`
  const env = { OUTPUT_MAX_SIZE_BYTES: `${1024 * 1024}`, OUTPUT_MAX_FILES: '16' }
  const job = await Job2026.begin(miner, spawner, { script, env, work: { artifacts_dir: '/artifacts' } })
  await job.prepare()
  await job.run()
  const full = '[true, "No space left on device"]'
  await job.expectFinished({ docker_process_stdout: `[${full}, ${full}]\n` })
})

test('hides what the image has where the artifacts folder is, also its home', async () => {
  const script = 'import os; print(os.listdir("/root"), os.access("/root", os.W_OK)); open("/root/r", "w").write("x")'
  const job = await Job2026.begin(miner, spawner, { script, work: { artifacts_dir: '/root/' } })
  await job.prepare()
  await job.run()
  await job.expectFinished({ docker_process_stdout: '[] True\n', artifacts: { '/root//r': 'eA==' } })
})

test('runs in an executor that prepared ahead of the offer', async () => {
  const parts = { script: 'print("warm")', env: { PREPARE_AHEAD: 'true' } }
  const job = await Job2026.begin(miner, spawner, { ...parts, work: { artifacts_dir: '/a', env: { A: '1' } } })
  await job.prepare()
  await job.run()
  await job.expectFinished({ docker_process_stdout: 'warm\n' })
})
