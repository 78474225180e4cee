/** Closes the connections of those who are no validators any more: their open jobs finish first, and they hear how. */
import type { Log } from '@horde/kit/log'
import type { LiveJobs } from '../jobs/live-job.ts'
import type { ValidatorList } from '../validators.ts'
import type { ValidatorSessions } from './validator-sessions.ts'

export type DismissDeps = {
  sessions: ValidatorSessions
  validators: ValidatorList
  live: LiveJobs
  log: Log
}

export async function dismissStrangers({ sessions, validators, live, log }: DismissDeps): Promise<void> {
  const strangers = sessions.all().filter(({ validator }) => !validators.has(validator))
  const idle = strangers.filter(({ validator }) => live.of(validator).length === 0)
  for (const { validator, number: connection } of idle) log.info({ validator, connection }, 'validator dismissed')
  await Promise.all(idle.map(session => session.dismiss('You are no validator of this subnet any more')))
}
