import { bad, type Finding, findingLine, findingSentence, ok, unknown, warn, worst } from '@horde/kit/check/finding'
import { createLog, type Log } from '@horde/kit/log'
import { manualClock } from '@horde/kit/time'
import { describe, expect, it } from 'vitest'
import { type Watch, Watches } from './watches.ts'

const { signal } = new AbortController()

function listen(): { log: Log; lines: { level: string; msg: string; found?: string[] }[] } {
  const lines: { level: string; msg: string }[] = []
  const log = createLog('test', { destination: { write: line => void lines.push(JSON.parse(line)) } })
  return { log, lines }
}

describe('watches', () => {
  const watchOf = (look: () => Promise<Finding[]>): Watch => ({ name: 'disk', everyMs: 1_000, look })

  it('look repeatedly, and keep what they found and when', async () => {
    const clock = manualClock(5_000)
    let found = 'nothing'
    await using watches = new Watches([watchOf(async () => [ok('disk', found)])], { clock, log: listen().log, signal })
    expect(watches.state()).toEqual([{ watch: 'disk', lookedAtMs: null, verdict: 'ok', findings: [] }])
    await clock.advance(0)
    expect(watches.state()).toMatchObject([{ lookedAtMs: 5_000, findings: [{ found: 'nothing' }] }])
    found = 'room'
    await clock.advance(1_000)
    expect(watches.state()).toMatchObject([{ lookedAtMs: 6_000, findings: [{ found: 'room' }] }])
  })

  it('log each change once', async () => {
    const clock = manualClock()
    const { log, lines } = listen()
    let next: Finding[] = [ok('disk', 'room')]
    await using _ = new Watches([watchOf(async () => next)], { clock, log, signal })
    await clock.advance(1_500)
    expect(lines).toEqual([])
    next = [ok('disk', 'room'), bad('disk', 'full', 'make room')]
    await clock.advance(3_000)
    next = [ok('disk', 'room')]
    await clock.advance(2_000)
    expect(lines).toMatchObject([
      { level: 'warn', watch: 'disk', verdict: 'bad', found: ['full'] },
      { level: 'info', watch: 'disk' },
    ])
  })

  it('warn when a look fails, and look again', async () => {
    const clock = manualClock()
    let isBroken = true
    const look = async () => {
      if (isBroken) throw new Error('the chain is away')
      return [ok('disk', 'room')]
    }
    await using watches = new Watches([watchOf(look)], { clock, log: listen().log, signal })
    await clock.advance(0)
    expect(watches.state()).toMatchObject([
      { verdict: 'warn', findings: [{ found: 'could not be looked at: the chain is away' }] },
    ])
    isBroken = false
    await clock.advance(1_000)
    expect(watches.state()).toMatchObject([{ verdict: 'ok' }])
  })
})

describe('a look that hangs', () => {
  it('is a warning, is not repeated, and does not delay the stop', async () => {
    const clock = manualClock()
    let looks = 0
    let end = (_: Finding[]) => {}
    const hanging = new Promise<Finding[]>(resolve => {
      end = resolve
    })
    const look = () => {
      looks += 1
      return looks === 1 ? hanging : Promise.resolve([ok('disk', 'room')])
    }
    const watch = { name: 'disk', everyMs: 60_000, look }
    const watches = new Watches([watch], { clock, log: listen().log, signal })
    await clock.advance(30_000)
    expect(watches.state()).toMatchObject([
      { verdict: 'warn', findings: [{ found: expect.stringMatching(/^could not be looked at: .*30000 ms/) }] },
    ])
    await clock.advance(60_000)
    expect([looks, watches.state()[0]?.verdict]).toEqual([1, 'warn'])
    end([ok('disk', 'slow')])
    await clock.advance(60_000)
    expect([looks, watches.state()[0]?.verdict]).toEqual([2, 'ok'])
    await watches[Symbol.asyncDispose]()

    const stuck = { ...watch, look: () => new Promise<Finding[]>(() => {}) }
    const stopped = new Watches([stuck], { clock, log: listen().log, signal })
    await clock.advance(0)
    await stopped[Symbol.asyncDispose]()
    expect(stopped.state()).toMatchObject([{ lookedAtMs: null }])
  })
})

describe('a bad finding about pools', () => {
  const closes = (subject: string, ...pools: string[]) => ({ ...bad(subject, 'away', 'mend it'), pools })
  const shown = (watches: Watches) =>
    watches.state().flatMap(({ findings }) => findings.map(({ subject, verdict, pools }) => [subject, verdict, pools]))

  it('is checked again sooner, or at once when asked to, and stays bad while the state is unknown', async () => {
    const clock = manualClock()
    const looks: (() => Finding[])[] = [
      () => [closes('engine', 'a', 'b'), closes('image', 'c')],
      () => [{ ...unknown('engine', 'no answer', ''), pools: ['a'] }],
      () => {
        throw new Error('no answer')
      },
      () => [ok('engine', 'well')],
    ]
    const look = async () => (looks.shift() as () => Finding[])()
    const watch = { name: 'hosts', everyMs: 60_000, againMs: 10_000, look }
    await using watches = new Watches([watch], { clock, log: listen().log, signal })
    await clock.advance(10_000)
    expect(shown(watches)).toEqual([
      ['engine', 'warn', ['a']],
      ['engine', 'bad', ['a']],
    ])
    watches.lookNow('hosts')
    await clock.advance(0)
    expect(shown(watches)).toEqual([
      ['hosts', 'warn', undefined],
      ['engine', 'bad', ['a']],
    ])
    await clock.advance(10_000)
    expect(shown(watches)).toEqual([['engine', 'ok', undefined]])
    await clock.advance(50_000)
    expect(looks).toEqual([])
  })
})

describe('findings', () => {
  it('are printed as lines and as sentences', () => {
    const finding = bad('clock', '12.0 s behind', 'set it by NTP')
    expect(findingLine(finding)).toBe('bad  clock: 12.0 s behind. To do: set it by NTP')
    expect(findingLine(ok('clock', 'well'))).toBe('ok   clock: well')
    expect(findingSentence(finding)).toBe('Clock: 12.0 s behind. To do: set it by NTP.')
    expect(findingSentence(ok('clock', 'well'))).toBe('Clock: well.')
  })

  it('are as bad as the worst of them', () => {
    expect([worst([]), worst([ok('a', 'b')]), worst([bad('a', 'b', ''), warn('a', 'b', '')])]).toEqual([
      'ok',
      'ok',
      'bad',
    ])
  })
})
