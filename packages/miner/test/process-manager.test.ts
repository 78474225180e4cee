/** Executors as processes outlive a miner that is killed: what the next one does with them. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from '@horde/kit/time'
import { expect, it } from 'vitest'
import { processManager } from '../src/horde/process.ts'

const main = fileURLToPath(new URL('fixtures/sleeper.mjs', import.meta.url))
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
