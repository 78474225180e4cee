/** Prints a table of the miners whenever weights were set. */

import { NETUID } from './genesis.ts'
import type { ServiceLine } from './service.ts'
import type { Horde } from './start-horde.ts'
import { short, table } from './view.ts'

/** The state of a miner's last job, and how many of its jobs ended in which way. */
type Progress = { state: string; ended: Record<string, number> }

/** Follows each miner's jobs by its log. */
class MinerProgress {
  readonly #byMiner = new Map<string, Progress>()

  read({ service, fields }: ServiceLine): void {
    if (!service.startsWith('miner') || fields?.msg !== 'job moved') return
    const to = String(fields.to)
    const progress = this.#byMiner.get(service) ?? { state: '', ended: {} }
    this.#byMiner.set(service, progress)
    progress.state = to
    if (['finished', 'failed', 'rejected', 'broken'].includes(to)) progress.ended[to] = (progress.ended[to] ?? 0) + 1
  }

  of(miner: string): Progress {
    return this.#byMiner.get(miner) ?? { state: 'idle', ended: {} }
  }
}

/** Runs the validator until the signal, and prints the table whenever weights have changed. */
export async function showProgress(horde: Horde, print: (text: string) => void, signal: AbortSignal): Promise<void> {
  const progress = new MinerProgress()
  for (const { service } of horde.miners) service.watch(line => progress.read(line))
  let lastTable = ''
  const service = horde.startValidator([], line => {
    if (line.fields?.msg === 'validator started')
      print(`\n  validator  http://127.0.0.1:${line.fields.adminPort}/status\n`)
    if (line.fields?.msg === 'weights set') void show()
  })
  const show = async () => {
    const weights = await horde.chain.weightsOf(NETUID, horde.validator.uid).catch(() => [])
    const block = await horde.chain.blockNumber().catch(() => 0)
    const rows = horde.miners.map(({ member }) => {
      const { state, ended } = progress.of(member.name)
      const counts = Object.entries(ended).map(([end, count]) => `${count} ${end}`)
      const weight = weights.find(({ uid }) => uid === member.uid)?.weight ?? 0
      return [member.name, String(member.uid), short(member.hotkey), state, counts.join(', '), String(weight)]
    })
    const text = table([['miner', 'uid', 'hotkey', 'last job', 'jobs ended', 'weight'], ...rows])
    if (text !== lastTable) print(`\nblock ${block}\n${text}\n`)
    lastTable = text
  }
  const stopped = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => stopped.resolve(), { once: true })
  if (signal.aborted) stopped.resolve()
  await Promise.race([stopped.promise, horde.rejectOnExit(), service.rejectOnExit()])
}
