import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { promisify } from 'node:util'
import { result } from '@horde/testing/jobs/executor-job'
import { TestWeb } from '@horde/testing/peers/http-target'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

let miner: TestMiner
let web: TestWeb
beforeAll(async () => {
  miner = await TestMiner.start()
  web = await TestWeb.start((_, response) => response.end('reached'))
})
afterAll(async () => {
  await web[Symbol.asyncDispose]()
  await miner[Symbol.asyncDispose]()
})

/** The address of this machine on the engine's bridge. */
async function bridgeAddress(): Promise<string> {
  const format = '{{range .IPAM.Config}}{{.Subnet}}{{end}}'
  const { stdout } = await promisify(execFile)('docker', ['network', 'inspect', 'bridge', '--format', format])
  return stdout.trim().replace(/\.\d+\/\d+$/, '.1')
}

/** Runs a script and gives what it printed, as JSON. */
async function printedBy(script: string, env: Record<string, string> = {}): Promise<unknown> {
  const answer = await result(miner, { script }, env)
  expect(answer).toMatchObject({ message_type: 'V0FinishedRequest', docker_process_stderr: '' })
  return JSON.parse(answer.docker_process_stdout)
}

test('gives a job no network, neither by name nor by address', async () => {
  const bridge = await bridgeAddress()
  const listener = createServer(socket => socket.end('reached')).listen(0, bridge)
  await using _ = { [Symbol.asyncDispose]: () => new Promise<void>(resolve => listener.close(() => resolve())) }
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  const own = Object.values(networkInterfaces()).flatMap(list => list?.map(({ address }) => address) ?? [])
  const addresses = [...own.map(address => [address, port]), ['127.0.0.1', web.port], [bridge, port], ['1.1.1.1', 443]]
  const moreAddresses = [
    ['8.8.8.8', 53],
    ['169.254.169.254', 80],
    ['2606:4700:4700::1111', 443],
    ['255.255.255.255', 9],
  ]
  const names = [
    ['localhost', web.port],
    ['example.com', 80],
    ['host.docker.internal', port],
    ['deb.debian.org', 80],
  ]
  const targets = [...addresses, ...moreAddresses, ...names]
  // Both listeners answer who is on this machine: one on loopback, one where containers with a network would find it.
  expect(await (await fetch(web.url('/'))).text()).toBe('reached')
  const [received] = await once(connect(port, bridge), 'data')
  expect(String(received)).toBe('reached')
  const script = `
import json, os, socket
tried = {}
for host, port in ${JSON.stringify(targets)}:
  for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
      found = socket.getaddrinfo(host, port, 0, kind)
      s = socket.socket(found[0][0], kind); s.settimeout(2)
      s.connect(found[0][4]); s.send(b"GET / HTTP/1.0\\r\\n\\r\\n"); tried[host] = "reached: " + repr(s.recv(99))
    except OSError as error:
      tried.setdefault(host, type(error).__name__)
links = sorted(os.listdir("/sys/class/net"))
routes = open("/proc/net/route").read().count("\\n") - 1
print(json.dumps({"tried": tried, "links": links, "routes": routes, "unix": os.path.exists("/var/run/docker.sock")}))
`
  const seen = (await printedBy(script)) as { tried: Record<string, string> }
  expect(seen).toMatchObject({ links: ['lo'], routes: 0, unix: false })
  expect(Object.keys(seen.tried).sort()).toEqual([...new Set(targets.map(([host]) => host))].sort())
  expect(Object.values(seen.tried).filter(outcome => outcome.startsWith('reached'))).toEqual([])
})

describe('a job', () => {
  test('has no capabilities or new privileges, a seccomp profile, and its own namespaces', async () => {
    const script = `
import json
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
print(json.dumps({name: status[name].strip() for name in ("CapBnd", "CapEff", "CapPrm", "NoNewPrivs", "Seccomp")}))
`
    expect(await printedBy(script)).toEqual({
      CapBnd: '0000000000000000',
      CapEff: '0000000000000000',
      CapPrm: '0000000000000000',
      NoNewPrivs: '1',
      Seccomp: '2',
    })
  })

  test('writes to /output and /tmp and nowhere else', async () => {
    const script = `
import json, os
def works(path):
  try:
    open(path, "w").write("x"); return True
  except OSError: return False
paths = ["/output/a", "/tmp/a", "/volume/a", "/a", "/script.py", "/etc/a", "/usr/bin/a", "/sys/a"]
paths.append("/proc/sys/kernel/hostname")
print(json.dumps({path: works(path) for path in paths} | {"output": os.listdir("/output")}))
`
    expect(await printedBy(script)).toEqual({
      '/output/a': true,
      '/tmp/a': true,
      '/volume/a': false,
      '/a': false,
      '/script.py': false,
      '/etc/a': false,
      '/usr/bin/a': false,
      '/sys/a': false,
      '/proc/sys/kernel/hostname': false,
      output: ['a'],
    })
  })

  test('has a /tmp and /dev/shm as large as the settings say', async () => {
    const script = `
import json
def fill(path):
  size = 0
  try:
    with open(path, "wb", buffering=0) as file:
      while size < 64 << 20: size += file.write(b"x" * 65536)
  except OSError: pass
  return size >> 20
print(json.dumps([fill("/tmp/a"), fill("/dev/shm/a")]))
`
    const env = { TMP_SIZE_BYTES: `${8 << 20}`, SHM_SIZE_BYTES: `${4 << 20}` }
    expect(await printedBy(script, env)).toEqual([8, 4])
  })

  test('cannot start more processes than its limit', async () => {
    const script = `
import json, os, signal
children = []
try:
  while len(children) < 500:
    pid = os.fork()
    if pid == 0: signal.pause()
    children.append(pid)
except OSError as error: pass
print(json.dumps(len(children)))
`
    const children = await printedBy(script, { PIDS_LIMIT: '30' })
    expect(children).toBeGreaterThan(10)
    expect(children).toBeLessThan(30)
  })

  test('cannot open more files or fill /output beyond its limits', async () => {
    const script = `
import json, os
files = []
try:
  while len(files) < 5000: files.append(os.open("/dev/null", 0))
except OSError: pass
for file in files: os.close(file)
size = 0
try:
  with open("/output/a", "wb", buffering=0) as file:
    while size < 64 << 20: size += file.write(b"x" * 65536)
except OSError: pass
print(json.dumps([len(files) < 100, size >> 20]))
`
    const env = { OPEN_FILES_LIMIT: '100', OUTPUT_MAX_SIZE_BYTES: `${3 << 20}`, OUTPUT_MAX_FILES: '1' }
    expect(await printedBy(script, env)).toEqual([true, 3])
  })

  test('can write to the folders of its image where the setting says so', async () => {
    const script = 'open("/tmp/../home/job/a", "w").write("x"); print("true")'
    expect(await printedBy(script, { WRITABLE_ROOT: 'true' })).toBe(true)
  })
})
