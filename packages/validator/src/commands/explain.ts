/** The command `explain`: explains a miner's weight. */
import { explainMiner, reportMiner } from '../explain/explain-miner.ts'
import type { CommandDeps } from './command-line.ts'
import { openValidator } from './open-validator.ts'

/** @param miner a hotkey, or a uid */
export async function explain(
  { miner }: { miner: string },
  { environment, print, complain }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const { chain, hotkey, config, database } = await openValidator(
    environment,
    { destination: process.stderr },
    signal,
    stack,
  )
  const report = await reportMiner(config.BITTENSOR_NETUID, miner, { chain, hotkey, db: database.db })
  if (!report) {
    complain(`${miner} is no neuron of subnet ${config.BITTENSOR_NETUID}, and is not in the last setting of weights\n`)
    return 1
  }
  print(explainMiner(report))
  return 0
}
