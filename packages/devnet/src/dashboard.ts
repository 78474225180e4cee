/** What happens in a running horde, as a short table now and then. */
import type { ServiceLine } from './child.ts'
import { NETUID } from './genesis.ts'
import type { Horde } from './network.ts'
import { short, table } from './view.ts'

type Standing = { state: string; ended: Record<string, number> }

/** Follows what each miner's log says of its jobs. */
export class Standings {
  readonly #byMiner = new Map<string, Standing>()

  hear({ service, fields }: ServiceLine): void {
    if (!service.startsWith('miner') || fields?.msg !== 'job moved') return
    const to = String(fields.to)
    const standing = this.#byMiner.get(service) ?? { state: '', ended: {} }
    this.#byMiner.set(service, standing)
    standing.state = to
    if (['finished', 'failed', 'rejected', 'broken'].includes(to)) standing.ended[to] = (standing.ended[to] ?? 0) + 1
  }

  of(miner: string): Standing {
    return this.#byMiner.get(miner) ?? { state: 'idle', ended: {} }
  }
}

/** Runs the validator until the signal, and says the table whenever weights have changed. */
export async function watchHorde(horde: Horde, say: (text: string) => void, signal: AbortSignal): Promise<void> {
  const standings = new Standings()
  for (const { service } of horde.miners) service.watch(line => standings.hear(line))
  let known = ''
  const service = horde.startValidator([], line => {
    if (line.fields?.msg === 'validator started')
      say(`\n  validator  http://127.0.0.1:${line.fields.adminPort}/health\n`)
    if (line.fields?.msg === 'weights set') void show()
  })
  const show = async () => {
    const weights = await horde.chain.weightsOf(NETUID, horde.validator.uid).catch(() => [])
    const block = await horde.chain.blockNumber().catch(() => 0)
    const rows = horde.miners.map(({ member }) => {
      const { state, ended } = standings.of(member.name)
      const counts = Object.entries(ended).map(([end, count]) => `${count} ${end}`)
      const weight = weights.find(({ uid }) => uid === member.uid)?.weight ?? 0
      return [member.name, String(member.uid), short(member.hotkey), state, counts.join(', '), String(weight)]
    })
    const text = table([['miner', 'uid', 'hotkey', 'last job', 'jobs ended', 'weight'], ...rows])
    if (text !== known) say(`\nblock ${block}\n${text}\n`)
    known = text
  }
  const stopped = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => stopped.resolve(), { once: true })
  if (signal.aborted) stopped.resolve()
  await Promise.race([stopped.promise, horde.broken(), service.ended()])
}
