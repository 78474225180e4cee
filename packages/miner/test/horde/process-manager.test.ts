/** Executors as processes outlive a miner that is killed: what the next one does with them. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { manualClock, systemClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { processManager } from '../../src/horde/process.ts'

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

/** Whether a process has a handler of its own for SIGTERM. */
async function hearsSigterm(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const caught = BigInt(`0x${/^SigCgt:\s+(\S+)/m.exec(status)?.[1] ?? '0'}`)
  return (caught & (1n << 14n)) !== 0n
}

it('takes over those that it has a job for, and ends the others, also deaf ones', async () => {
  const owner = `test ${randomUUID()}`
  const before = managerOf(owner)
  const [wanted, other, deaf] = [newToken(), newToken(), newToken()]
  const first = await before.start(orderOf(wanted))
  const ended = [await before.start(orderOf(other)), await before.start(orderOf(deaf, { IS_DEAF: 'true' }))]
  const neighbour = await managerOf(`test ${randomUUID()}`).start(orderOf(newToken()))

  const found = await managerOf(owner).takeOver?.(new Set([wanted, newToken()]))
  expect([...(found?.keys() ?? [])]).toEqual([wanted])
  for (const executor of ended) await executor.exited
  expect(await runs(pidOf(neighbour)), "a neighbour's goes on").toBe(true)

  const executor = found?.get(wanted)
  expect(executor?.id).toBe(first.id)
  await executor?.stop()
  expect(await executor?.exited).toBe('it is gone; how it ended only its first miner could tell')
  expect(await runs(pidOf(first))).toBe(false)
  await executor?.stop()
  await neighbour.stop()
})

it('kills a deaf one that is given less time while it is being stopped', async () => {
  const waits = manualClock()
  const owner = `test ${randomUUID()}`
  const options = { main, owner, environment: { PATH }, stopWithinMs: 60_000 }
  const manager = processManager({ ...options, clock: { ...systemClock, sleep: waits.sleep } })
  const executor = await manager.start(orderOf(newToken(), { IS_DEAF: 'true' }))
  await expect.poll(() => hearsSigterm(pidOf(executor))).toBe(true)
  const stopping = executor.stop()
  await waits.whenSleeping()
  const killing = executor.stop(0)
  await waits.whenSleeping(2)
  await waits.advance(0)
  await Promise.all([killing, stopping])
  expect(await executor.exited).toBe('signal SIGKILL')
})

it('tells the exit of one that it took over', async () => {
  const owner = `test ${randomUUID()}`
  const token = newToken()
  const first = await managerOf(owner).start(orderOf(token))
  const executor = (await managerOf(owner).takeOver?.(new Set([token])))?.get(token)
  process.kill(pidOf(first), 'SIGKILL')
  expect(await executor?.exited).toMatch(/^it is gone/)
})

it('finds nothing where nothing was left', async () => {
  expect(await managerOf(`test ${randomUUID()}`).takeOver?.(new Set([newToken()]))).toEqual(new Map())
})
