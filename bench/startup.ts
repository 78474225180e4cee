/**
 * Measures how long an executor takes from the start of its process to its connection, compared with a bare `node -e
 * 0`. The two alternate. Counts the modules that it loads before it is connected. Then measures its memory while it waits
 * for its offer, compared with an idle node.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { TestMiner } from '@horde/testing/peers/miner-for-executors'
import { type ConnectedExecutor, startExecutor, startWarmExecutor } from './start-executor.ts'
import { table } from './table.ts'

/** How long a process idles before its memory is read, in ms. */
const REST_MS = 1_000
const COUNT_MODULES = fileURLToPath(new URL('count-modules.mjs', import.meta.url))
const IDLE = 'setInterval(() => {}, 60_000)'
const KIB_PER_MIB = 1024

type Memory = { rss: number; pss: number }

/** Prints the table of start-up and memory. */
export async function benchStartup(rounds: number): Promise<void> {
  await using miner = await TestMiner.start()
  await measureStart(miner)
  const times: { bare: number; connected: number }[] = []
  const bare: Memory[] = []
  const executors: Memory[] = []
  const warm: Memory[] = []
  for (let round = 0; round < rounds; round += 1) {
    times.push({ bare: await startBare(), connected: await measureStart(miner) })
  }
  for (let round = 0; round < Math.min(rounds, 5); round += 1) {
    bare.push(await memoryOfBare())
    executors.push(await memoryOfExecutor(await startExecutor(miner)))
    warm.push(await memoryOfExecutor(await startWarmExecutor(miner)))
  }
  const tables = [
    table('milliseconds', [
      { name: 'node -e 0', values: times.map(each => each.bare) },
      { name: 'executor: start to connected', values: times.map(each => each.connected) },
    ]),
    table('MiB at rest', [
      { name: 'node, RSS', values: bare.map(each => each.rss) },
      { name: 'executor waiting, RSS', values: executors.map(each => each.rss) },
      { name: 'executor waiting, PSS', values: executors.map(each => each.pss) },
      { name: 'executor prepared ahead, RSS', values: warm.map(each => each.rss) },
      { name: 'executor prepared ahead, PSS', values: warm.map(each => each.pss) },
    ]),
  ]
  const modules = `modules loaded before the connection: ${await countModules(miner)}`
  process.stdout.write(`${[...tables, modules].join('\n\n')}\n`)
}

async function countModules(miner: TestMiner): Promise<number> {
  const executor = miner.spawn({ NODE_OPTIONS: `--import=${COUNT_MODULES}` })
  const connection = await executor.connection()
  await connection.close()
  await executor.exit()
  return Number(/^modules loaded: (\d+)$/m.exec(executor.log)?.[1])
}

async function startBare(): Promise<number> {
  const started = performance.now()
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit')
  return performance.now() - started
}

async function measureStart(miner: TestMiner): Promise<number> {
  const executor = await startExecutor(miner)
  const exited = once(executor.process, 'exit')
  await executor.socket.close()
  await exited
  return executor.connectedMs
}

async function memoryOfBare(): Promise<Memory> {
  const child = spawn(process.execPath, ['-e', IDLE], { stdio: 'ignore' })
  const memory = await memoryAtRest(child.pid)
  child.kill()
  await once(child, 'exit')
  return memory
}

async function memoryOfExecutor(executor: ConnectedExecutor): Promise<Memory> {
  const memory = await memoryAtRest(executor.process.pid)
  const exited = once(executor.process, 'exit')
  await executor.socket.close()
  await exited
  return memory
}

async function memoryAtRest(pid: number | undefined): Promise<Memory> {
  await sleep(REST_MS)
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const mib = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1]) / KIB_PER_MIB
  return { rss: mib('Rss'), pss: mib('Pss') }
}
