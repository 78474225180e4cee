/** The settings of users' jobs; most are about those of v2026, for which the validator picks the miner. */
import { isAddress } from '@horde/chain/wallet'
import { defineSettings, envBoolean, envInteger, envList, envNumber, type SettingsOf, setting } from '@horde/kit/config'
import { z } from 'zod'
import type { OrganicLimits } from './organic-job.ts'
import type { SignatureRules } from './users/user-signature.ts'

const DAY = 86_400

const addresses = envList.refine(list => list.every(isAddress), 'must be ss58 addresses, separated by commas')

export const organicSettings = defineSettings({
  ORGANIC_READY_SECONDS: setting(envNumber({ min: 1, max: DAY }).default(300), {
    about: "How long a user's job may take from its offer to a ready executor, in seconds.",
    example: '300',
  }),
  ORGANIC_JOB_SECONDS: setting(envNumber({ min: 1, max: DAY }).default(300), {
    about: "How long a user's job of v0 may take as a whole, in seconds. One of v2026 says its limits itself.",
    example: '300',
  }),
  USER_KEYS: setting(addresses.default([]), {
    about: [
      'The keys of users whose v2026 jobs this validator runs: ss58 addresses, separated by commas. Jobs that another',
      'key signed are rejected.',
    ].join(' '),
    example: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty',
  }),
  OWN_HOTKEY_AS_USER: setting(envBoolean.default(true), {
    about: "Whether v2026 jobs that this validator's own hotkey signed are run, too.",
    example: 'false',
  }),
  USER_SIGNATURE_SECONDS: setting(envInteger({ min: 0, max: DAY }).default(3_600), {
    about: "How old a user's signature of a v2026 job may be, in seconds. 0: of any age.",
    example: '3600',
  }),
  USER_SIGNATURE_ONCE: setting(envBoolean.default(true), {
    about: "Whether a user's signature is good for one v2026 job only, also over restarts.",
    example: 'false',
  }),
  USER_JOB_MAX_SECONDS: setting(envNumber({ min: 1, max: DAY / 2 }).default(3_600), {
    about:
      'How long the download, run and upload of a v2026 job may take together, in seconds. Longer ones are rejected.',
    example: '3600',
  }),
  USER_JOB_TRIES: setting(envInteger({ min: 1, max: 20 }).default(3), {
    about: [
      'On how many miners a v2026 job is tried: on another one when a miner declines it or fails before the job ran,',
      'never twice on the same.',
    ].join(' '),
    example: '1',
  }),
  TRUSTED_MINER: setting(z.string().min(1).optional(), {
    about: [
      'The miner for v2026 jobs that must run on a trusted one: a hotkey, a uid, or hotkey@host:port, which need not be on',
      'the chain. Unset: such jobs are rejected.',
    ].join(' '),
    example: '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty@192.0.2.7:8000',
  }),
  MANIFEST_POLL_SECONDS: setting(envNumber({ min: 1, max: DAY }).default(300), {
    about: [
      'How often each miner is asked which executors it has, in seconds, so that one can be picked for a v2026 job. Only',
      'with a facilitator.',
    ].join(' '),
    example: '300',
  }),
})

/** @param hotkey the validator's */
export function signatureRulesOf(settings: SettingsOf<typeof organicSettings>, hotkey: string): SignatureRules {
  const { USER_KEYS, OWN_HOTKEY_AS_USER, USER_SIGNATURE_SECONDS, USER_SIGNATURE_ONCE } = settings
  return {
    signers: new Set([...USER_KEYS, ...(OWN_HOTKEY_AS_USER ? [hotkey] : [])]),
    maxAgeMs: USER_SIGNATURE_SECONDS === 0 ? Number.POSITIVE_INFINITY : USER_SIGNATURE_SECONDS * 1000,
    once: USER_SIGNATURE_ONCE,
  }
}

type StageSettings = Pick<SettingsOf<typeof organicSettings>, 'ORGANIC_READY_SECONDS' | 'ORGANIC_JOB_SECONDS'> & {
  readonly CONNECT_SECONDS: number
  readonly MANIFEST_WAIT_MS: number
  readonly RESERVATION_SECONDS: number
}

export function organicLimitsOf(settings: StageSettings): OrganicLimits {
  return {
    connectMs: settings.CONNECT_SECONDS * 1000,
    manifestMs: settings.MANIFEST_WAIT_MS,
    readyMs: settings.ORGANIC_READY_SECONDS * 1000,
    reservationMs: settings.RESERVATION_SECONDS * 1000,
    jobMs: settings.ORGANIC_JOB_SECONDS * 1000,
  }
}
