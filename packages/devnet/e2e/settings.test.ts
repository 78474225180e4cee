import { settings as executorSettings } from '@horde/executor/config'
import { minerSettings } from '@horde/miner/config'
import { expect, it } from 'vitest'

it('passes on every setting of an executor from the miner, except those that the miner generates', () => {
  const names = minerSettings.EXECUTOR_ENV_NAMES.schema.parse(undefined)
  // The miner sets PREPARE_AHEAD only for executors that it keeps warm.
  const generated = ['MINER_ADDRESS', 'EXECUTOR_TOKEN', 'PREPARE_AHEAD']
  expect([...names].sort()).toEqual(
    Object.keys(executorSettings)
      .filter(name => !generated.includes(name))
      .sort(),
  )
})
