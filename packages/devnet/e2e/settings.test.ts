import { settings as executorSettings } from '@horde/executor/config'
import { minerSettings } from '@horde/miner/config'
import { expect, it } from 'vitest'

it('a miner passes on every setting of its executors, except those that it sets itself', () => {
  const names = minerSettings.EXECUTOR_ENV_NAMES.schema.parse(undefined)
  // Only to executors that it keeps warm does it say that they are to prepare ahead.
  const own = ['MINER_ADDRESS', 'EXECUTOR_TOKEN', 'PREPARE_AHEAD']
  expect([...names].sort()).toEqual(
    Object.keys(executorSettings)
      .filter(name => !own.includes(name))
      .sort(),
  )
})
