import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connect, genesis, NETUID, startNet, validator } from './client.ts'

const MAIN = join(import.meta.dirname, '../src/main.ts')

let folder: string
let children: ChildProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'devchain-'))
  children = []
})
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true })
})

function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  let stderr = ''
  child.stderr.on('data', data => {
    stderr += data
  })
  const exited = once(child, 'exit').then(([code]) => ({ code: code as number, stderr }))
  return { child, exited }
}

/** The URL that the command prints. */
async function urlOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const { url } = JSON.parse(line) as { url?: string }
    if (url) return url
  }
  throw new Error('it ended without a URL')
}

test('runs a chain from a genesis file and continues from its state file', async () => {
  const [genesisFile, stateFile] = [join(folder, 'genesis.json'), join(folder, 'state.json')]
  await writeFile(genesisFile, JSON.stringify(genesis()))
  const args = ['--port', '0', '--genesis', genesisFile, '--block-ms', 'per-extrinsic', '--state', stateFile]

  const first = start(...args)
  const client = await connect(await urlOf(first.child))
  const genesisHash = client.api.genesisHash.toHex()
  const { block } = await client.include(
    client.call('subtensorModule.setWeights', NETUID, [1, 2], [1, 2], 0),
    validator,
  )
  await client[Symbol.asyncDispose]()
  first.child.kill('SIGTERM')
  expect(await first.exited).toEqual({ code: 0, stderr: '' })
  expect((await readdir(folder)).sort()).toEqual(['genesis.json', 'state.json'])

  const second = start(...args)
  const again = await connect(await urlOf(second.child))
  expect(again.api.genesisHash.toHex()).toBe(genesisHash)
  expect((await again.api.rpc.chain.getBlockHash(1)).toHex()).toBe(block)
  expect((await again.api.rpc.chain.getBlock(block)).block.extrinsics).toHaveLength(2)
  expect(await again.read('subtensorModule.weights', NETUID, 0)).toEqual([
    [1, 32768],
    [2, 65535],
  ])
  const more = await again.include(again.call('subtensorModule.setWeights', NETUID, [1], [1], 0), validator)
  expect(more.error).toBe(null)
  await again[Symbol.asyncDispose]()
  second.child.kill('SIGINT')
  expect((await second.exited).code).toBe(0)
})

test('reports all mistakes of the flags at once and exits with 78', async () => {
  const { code, stderr } = await start('--port', '99999', '--block-ms', '0').exited
  expect(code).toBe(78)
  expect(stderr).toMatch(/--genesis: is not set/)
  expect(stderr).toMatch(/--port: must be/)
  expect(stderr).toMatch(/--block-ms: must be/)
  expect(stderr).not.toMatch(/ at /)
})

test('reports mistakes of a genesis and exits with 78', async () => {
  const file = join(folder, 'genesis.json')
  await writeFile(file, JSON.stringify({ sudo: 'no address' }))
  const { code, stderr } = await start('--genesis', file).exited
  expect([code, stderr]).toEqual([78, expect.stringContaining('sudo: not an SS58 address')])
  expect((await start('--genesis', join(folder, 'none.json')).exited).stderr).toContain('cannot be read')
})

test('writes the state file while the chain runs, and refuses a broken one', async () => {
  const stateFile = join(folder, 'state.json')
  {
    await using net = await startNet(genesis(), { stateFile })
    await net.mine(3)
    expect(await net.read('system.number')).toBe(3)
  }
  const saved = JSON.parse(await readFile(stateFile, 'utf8'))
  expect(saved.blocks).toHaveLength(3)
  {
    await using net = await startNet(genesis(), { stateFile })
    expect(net.chain.blockNumber()).toBe(3)
    expect(await net.read('subtensorModule.subnetworkN', NETUID)).toBe(3)
  }
  await writeFile(stateFile, '{"format":2}')
  await expect(startNet(genesis(), { stateFile })).rejects.toThrow('is no state file of this chain')
})
