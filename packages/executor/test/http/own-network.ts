/**
 * Runs in a network of its own, with public addresses, and is its own DNS server: it answers each lookup of a name with
 * another address. Prints the results of fetching inputs from such names.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLog } from '@horde/kit/log'
import { systemClock } from '@horde/kit/time'
import { WAIT_MS } from '@horde/testing/limits'
import { fetchUrl } from '../../src/inputs/files/fetch-url.ts'
import { volumeDeps } from '../inputs/volume-deps.ts'

const PUBLIC = '8.8.4.4'
/** Of the internet, and of this machine. */
const OWN = '8.8.8.8'
const LOOPBACK = '127.0.0.1'
const TYPE_A = 1
const HEADER_BYTES = 12
const RETRIES = { msLeft: () => 5_000, clock: systemClock, log: createLog('test', { level: 'silent' }) }

/** The addresses of the name at each lookup. The last ones stay. */
let meanings: string[][] = []
let lookups = 0

async function serveNames(): Promise<void> {
  const socket = createSocket('udp4')
  socket.on('message', (query, { address, port }) => socket.send(answerTo(query), port, address))
  socket.bind(53, LOOPBACK)
  await once(socket, 'listening')
}

function answerTo(query: Buffer): Buffer {
  const end = query.indexOf(0, HEADER_BYTES) + 5
  const found = query.readUInt16BE(end - 4) === TYPE_A ? (meanings[lookups++] ?? meanings.at(-1) ?? []) : []
  const head = Buffer.from([query.readUInt8(0), query.readUInt8(1), 0x81, 0x80, 0, 1, 0, found.length, 0, 0, 0, 0])
  // The question's name, type A, of the internet, to be kept for no time, four bytes.
  const records = found.map(address => [
    0xc0,
    HEADER_BYTES,
    0,
    TYPE_A,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    4,
    ...address.split('.').map(Number),
  ])
  return Buffer.concat([head, query.subarray(HEADER_BYTES, end), ...records.map(record => Buffer.from(record))])
}

async function serveFiles(address: string, listener: RequestListener): Promise<void> {
  await once(createServer(listener).listen(80, address), 'listening')
}

async function outcomeOf(
  path: string,
  answers: string[][],
  host = 'changing.example',
): Promise<{ outcome: string; lookups: number }> {
  meanings = answers
  lookups = 0
  const folder = await mkdtemp(join(tmpdir(), 'own-network-'))
  const deps = volumeDeps(folder, { maxBytes: 1_000, maxEntries: 1, allowPrivate: false }, RETRIES)
  const outcome = await fetchUrl(`http://${host}${path}`, deps, AbortSignal.timeout(WAIT_MS)).then(
    stored => readFile(stored, 'utf8'),
    error => (error as Error).message,
  )
  await rm(folder, { recursive: true })
  return { outcome, lookups }
}

let leaked = 0
await serveNames()
for (const address of [LOOPBACK, OWN]) {
  await serveFiles(address, (_, response) => {
    leaked += 1
    response.end('secret')
  })
}
await serveFiles(PUBLIC, ({ url, socket }, response) => {
  if (url === '/on') response.writeHead(302, { Location: 'http://changing.example/' }).end()
  else if (url === '/broken') socket.destroy()
  else response.end('public')
})
const outcomes = {
  same: await outcomeOf('/', [[PUBLIC], [LOOPBACK]]),
  redirected: await outcomeOf('/on', [[PUBLIC], [LOOPBACK]]),
  retried: await outcomeOf('/broken', [[PUBLIC], [LOOPBACK]]),
  both: await outcomeOf('/', [[LOOPBACK, PUBLIC]]),
  private: await outcomeOf('/', [[LOOPBACK]]),
  own: await outcomeOf('/', [[OWN]]),
  address: await outcomeOf('/', [], OWN),
}
process.stdout.write(JSON.stringify({ ...outcomes, leaked }), () => process.exit())
