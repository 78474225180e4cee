import type { Log } from '@horde/kit/log'
import type { Chain } from './chain.ts'

/** The ms between blocks, or a block whenever a transaction is ready. */
export type Pace = number | 'per-extrinsic'

/** Makes blocks at the chain's pace until disposed of. */
export function startProducer(chain: Chain, pace: Pace, log: Log): Disposable {
  const produce = () => {
    try {
      chain.produce(Date.now())
    } catch (err) {
      log.error({ err }, 'no block could be made')
    }
  }
  return pace === 'per-extrinsic' ? onDemand(chain, produce) : onTime(pace, produce)
}

function onTime(everyMs: number, produce: () => void): Disposable {
  const timer = setInterval(produce, everyMs)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** Makes a block of the ready transactions once the answer to their submission was sent. */
function onDemand(chain: Chain, produce: () => void): Disposable {
  let next: NodeJS.Immediate | undefined
  const stop = chain.pool.onAdd(() => {
    next ??= setImmediate(() => {
      next = undefined
      if (chain.hasReady()) produce()
    })
  })
  return {
    [Symbol.dispose]: () => {
      stop()
      if (next) clearImmediate(next)
    },
  }
}
