import { describe, expect, it } from 'vitest'
import { epochRange, epochsByFormula, epochsByState, indexByFormula } from './epochs.ts'

describe('epochsByFormula', () => {
  it('begins an epoch where (block + netuid + 1) mod (tempo + 1) = 0', () => {
    for (const [netuid, tempo] of [
      [1, 9],
      [12, 360],
      [3, 1],
    ] as const) {
      for (let block = 0; block < 800; block += 1) {
        const { index, nextBlock } = epochsByFormula(netuid, tempo, block)
        const next = nextBlock ?? 0
        expect((next + netuid + 1) % (tempo + 1)).toBe(0)
        expect(next - block).toBe(tempo - ((block + netuid + 1) % (tempo + 1)) + 1)
        expect(indexByFormula(netuid, tempo, next - 1)).toBe(index)
        expect(indexByFormula(netuid, tempo, next)).toBe(index + 1)
      }
    }
  })

  it('gives the first and last block of an epoch', () => {
    const epochs = epochsByFormula(1, 9, 12)
    expect(epochs).toMatchObject({ index: 1, nextBlock: 18 })
    expect(epochRange(epochs, 1)).toEqual({ first: 12, last: 17 })
    expect(epochRange(epochs, 2)).toEqual({ first: 18, last: 27 })
    expect(epochRange(epochs, 4)).toEqual({ first: 38, last: 47 })
    expect(epochRange(epochs, 0)).toBeUndefined()
  })

  it('has no epochs with tempo 0', () => {
    expect(epochsByFormula(1, 0, 50)).toMatchObject({ index: 0, nextBlock: null })
    expect(epochRange(epochsByFormula(1, 0, 50), 1)).toBeUndefined()
  })
})

describe('epochsByState', () => {
  const state = { tempo: 360, epochIndex: 7, lastEpochBlock: 1_000, pendingEpochAt: 0, announcedBlock: null }

  it('begins an epoch `tempo` blocks after the last one', () => {
    const epochs = epochsByState(12, 1_100, state)
    expect(epochs).toMatchObject({ index: 7, nextBlock: 1_360 })
    expect(epochRange(epochs, 7)).toEqual({ first: 1_100, last: 1_359 })
    expect(epochRange(epochs, 8)).toEqual({ first: 1_360, last: 1_719 })
    expect(epochRange(epochs, 9)).toEqual({ first: 1_720, last: 2_079 })
  })

  it('uses an epoch that the owner requested, or the block that the runtime announces', () => {
    expect(epochsByState(12, 1_100, { ...state, pendingEpochAt: 1_111 }).nextBlock).toBe(1_111)
    expect(epochsByState(12, 1_100, { ...state, announcedBlock: 1_361 }).nextBlock).toBe(1_361)
  })

  it('expects an overdue epoch in the next block', () => {
    expect(epochsByState(12, 1_370, state).nextBlock).toBe(1_371)
    expect(epochsByState(12, 1_370, { ...state, tempo: 0 }).nextBlock).toBeNull()
  })
})
