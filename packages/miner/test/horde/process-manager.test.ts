/** What a miner does with the executor processes of an earlier run that was killed. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { manualClock, systemClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { processManager } from '../../src/horde/process/process-manager.ts'

const main = fileURLToPath(new URL('../fixtures/sleeper.mjs', import.meta.url))
const PATH = process.env.PATH ?? ''

function managerOf(owner: string) {
  return processManager({ main, owner, environment: { PATH }, stopWithinMs: 2_000, clock: systemClock })
}

const orderOf = (token: string, environment: Record<string, string> = {}) => {
  return { token, minerAddress: 'ws://127.0.0.1:1', executorClass: 'always_on.test', environment }
}

const newToken = () => `${randomUUID()}-${randomUUID()}`
const pidOf = ({ id }: { id: string }) => Number(id.replace('pid ', ''))
const runs = async (pid: number) => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !stat.includes(') Z ')
}

/** Returns the name of a process, which a sleeper changes once it handles SIGTERM. */
async function nameOf(pid: number): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8')).trim()
}

it('takes over the executors of open jobs, and ends the others, even if they ignore SIGTERM', async () => {
  const owner = `test ${randomUUID()}`
  const before = managerOf(owner)
  const [wanted, other, deaf] = [newToken(), newToken(), newToken()]
  const first = await before.start(orderOf(wanted))
  const ended = [await before.start(orderOf(other)), await before.start(orderOf(deaf, { IS_DEAF: 'true' }))]
  const survivor = await managerOf(`test ${randomUUID()}`).start(orderOf(newToken()))

  const found = await managerOf(owner).takeOver?.(new Set([wanted, newToken()]))
  expect([...(found?.keys() ?? [])]).toEqual([wanted])
  for (const executor of ended) await executor.exited
  expect(await runs(pidOf(survivor)), 'the other one goes on').toBe(true)

  const executor = found?.get(wanted)
  expect(executor?.id).toBe(first.id)
  await executor?.stop()
  expect(await executor?.exited).toBe('exited; only the miner that started it knows how')
  expect(await runs(pidOf(first))).toBe(false)
  await executor?.stop()
  await survivor.stop()
})

it('kills an executor that ignores SIGTERM when it gets less time during its stop', async () => {
  const waits = manualClock()
  const owner = `test ${randomUUID()}`
  const options = { main, owner, environment: { PATH }, stopWithinMs: 60_000 }
  const manager = processManager({ ...options, clock: { ...systemClock, sleep: waits.sleep } })
  const executor = await manager.start(orderOf(newToken(), { IS_DEAF: 'true' }))
  await expect.poll(() => nameOf(pidOf(executor))).toBe('sleeper-ready')
  const stopping = executor.stop()
  await waits.whenSleeping()
  const killing = executor.stop(0)
  await waits.whenSleeping(2)
  await waits.advance(0)
  await Promise.all([killing, stopping])
  expect(await executor.exited).toBe('signal SIGKILL')
})

it('reports the exit of an executor that it took over', async () => {
  const owner = `test ${randomUUID()}`
  const token = newToken()
  const first = await managerOf(owner).start(orderOf(token))
  const executor = (await managerOf(owner).takeOver?.(new Set([token])))?.get(token)
  process.kill(pidOf(first), 'SIGKILL')
  expect(await executor?.exited).toBe('exited; only the miner that started it knows how')
})

it('finds no executors when an earlier run left none', async () => {
  expect(await managerOf(`test ${randomUUID()}`).takeOver?.(new Set([newToken()]))).toEqual(new Map())
})
