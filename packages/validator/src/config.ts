/** The validator's settings, each an environment variable. */
import { homedir } from 'node:os'
import { neuronSettings } from '@horde/chain/settings'
import {
  defineSettings,
  envBoolean,
  envDatabaseUrl,
  envInteger,
  envNumber,
  envUrl,
  readSettings,
  type SettingsOf,
  setting,
} from '@horde/kit/config'
import { diskSettings, serviceSettings } from '@horde/kit/config/service-settings'
import { z } from 'zod'
import type { StartLimits } from './batches/start-limiter.ts'
import type { Algorithm } from './benchmarks/hashcat.ts'
import { ALGORITHMS } from './benchmarks/hashcat.ts'
import type { BenchmarkSettings } from './benchmarks/load-benchmark.ts'
import type { StageLimits } from './benchmarks/synthetic-job.ts'
import type { OrganicLimits } from './organic/organic-job.ts'
import { organicLimitsOf, organicSettings } from './organic/settings.ts'
import type { Scoring } from './scoring/job-score.ts'
import type { ScoringRules } from './scoring/network-scores.ts'
import { scoringOf, scoringRulesOf, scoringSettings } from './scoring/settings.ts'
import { COMMITS_BY } from './weights/weight-method.ts'

const seconds = (byDefault: number, min = 0) => envNumber({ min, max: 86_400 }).default(byDefault)
const [SHA256, SHA384, SHA512] = ALGORITHMS

const passwordLength = ({ name, passwordLength: byDefault }: Algorithm) =>
  setting(envInteger({ min: 1, max: 16 }).default(byDefault), {
    about: `How many characters the password of a ${name} hashcat job has; fewer for slow executors.`,
    example: '3',
  })

const reference = ({ name, referenceSeconds }: Algorithm) =>
  setting(seconds(referenceSeconds, 0.001), {
    about: `How long a barely adequate executor takes for a ${name} hashcat job, in seconds.`,
    example: String(referenceSeconds),
  })

const timeout = ({ name, timeoutSeconds }: Algorithm) =>
  setting(seconds(timeoutSeconds, 1), {
    about: `How long a ${name} hashcat job may take, in seconds.`,
    example: String(timeoutSeconds),
  })

export const validatorSettings = defineSettings({
  ...neuronSettings,
  DATABASE_URL: setting(envDatabaseUrl.optional(), {
    about: [
      'Where batches, jobs and weights are stored: postgres://user:password@host/name, or pglite://folder for the',
      'embedded database. Unset: the embedded one in ~/.compute-horde/validator.',
    ].join(' '),
    example: 'postgres://validator:password@localhost/validator',
    secret: true,
  }),
  FACILITATOR_URI: setting(envUrl.optional(), {
    about: 'The facilitator whose jobs this validator takes. Unset: only synthetic jobs.',
    example: 'wss://facilitator.example/ws/v0/',
  }),
  BATCH_INTERVAL_SECONDS: setting(seconds(7_200, 1), {
    about: [
      'The window in which each validator runs one batch of synthetic jobs, in its own turn by its rank, in seconds.',
      'Windows are counted from the Unix epoch, so that all validators have the same ones.',
    ].join(' '),
    example: '7200',
  }),
  BATCH_AT_START: setting(envBoolean.default(false), {
    about: "Whether a batch runs as soon as the validator starts. Otherwise it runs at the validator's next turn.",
    example: 'true',
  }),
  BATCHES_OUTSIDE_VALIDATORS: setting(envBoolean.default(false), {
    about: 'Whether batches run although this hotkey is no validator of the subnet; its turn comes after theirs.',
    example: 'true',
  }),
  BATCH_DEADLINE_SECONDS: setting(seconds(600, 1), {
    about: 'When a batch closes at the latest, even with jobs still running, in seconds from its start.',
    example: '600',
  }),
  BATCH_GATHER_SECONDS: setting(seconds(15), {
    about: 'How long the first job of a batch waits for all miners to connect and send their manifests, in seconds.',
    example: '15',
  }),
  BATCH_JOBS_AT_ONCE: setting(envInteger({ min: 1, max: 100_000 }).default(1_024), {
    about: 'How many synthetic jobs run at once at most.',
    example: '1024',
  }),
  BATCH_JOB_STARTS_PER_SECOND: setting(envInteger({ min: 1, max: 100_000 }).default(250), {
    about: [
      'How many synthetic jobs are offered in a second at most. Set a lower number on a slow machine: it measures',
      'correctly only while it keeps up.',
    ].join(' '),
    example: '250',
  }),
  MAX_JOBS_PER_MINER: setting(envInteger({ min: 1, max: 10_000 }).default(64), {
    about: [
      'How many synthetic jobs a miner gets in a batch at most, whatever its manifest lists. When a miner is picked for',
      'a v2026 job, as many of its executors count at most, for each class.',
    ].join(' '),
    example: '64',
  }),
  BENCHMARK: setting(z.string().min(1).default('hashcat'), {
    about: [
      'What synthetic jobs are: hashcat (64 passwords a job; with SCORING=2024 one), echo, or the path of a module of',
      'your own (packages/validator/README.md).',
    ].join(' '),
    example: 'hashcat',
  }),
  ECHO_JOB_IMAGE: setting(z.string().default('compute-horde/echo:v0'), {
    about: 'The image of echo jobs: it prints /volume/payload.txt.',
    example: 'compute-horde/echo:v0',
  }),
  ECHO_TIMEOUT_SECONDS: setting(seconds(30, 1), { about: 'How long an echo job may take, in seconds.', example: '30' }),
  ECHO_REFERENCE_SECONDS: setting(seconds(2, 0.001), {
    about: 'How long a barely adequate executor takes for an echo job, in seconds.',
    example: '2',
  }),
  SYNTHETIC_JOB_IMAGE: setting(z.string().default('backenddevelopersltd/compute-horde-job:v0-latest'), {
    about: 'The image of hashcat jobs: its entry point is hashcat.',
    example: 'compute-horde/hashcat:v0',
  }),
  HASHCAT_PASSWORD_LENGTH_SHA256: passwordLength(SHA256),
  HASHCAT_PASSWORD_LENGTH_SHA384: passwordLength(SHA384),
  HASHCAT_PASSWORD_LENGTH_SHA512: passwordLength(SHA512),
  HASHCAT_TIMEOUT_SECONDS_SHA256: timeout(SHA256),
  HASHCAT_TIMEOUT_SECONDS_SHA384: timeout(SHA384),
  HASHCAT_TIMEOUT_SECONDS_SHA512: timeout(SHA512),
  HASHCAT_REFERENCE_SECONDS_SHA256: reference(SHA256),
  HASHCAT_REFERENCE_SECONDS_SHA384: reference(SHA384),
  HASHCAT_REFERENCE_SECONDS_SHA512: reference(SHA512),
  CONNECT_SECONDS: setting(seconds(70), {
    about: 'How long connecting to a miner may take, all attempts together, in seconds.',
    example: '70',
  }),
  MANIFEST_WAIT_MS: setting(envInteger({ min: 0, max: 60_000 }).default(1_000), {
    about: [
      'How long a connected miner may take to send its manifest, in milliseconds. After that it counts as a v0 miner,',
      'with one executor of the default class.',
    ].join(' '),
    example: '1000',
  }),
  ACCEPT_SECONDS: setting(seconds(30), {
    about: 'How long a miner that sent a manifest may take to accept or decline an offer, in seconds.',
    example: '30',
  }),
  SLOW_ACCEPT_SECONDS: setting(seconds(300), {
    about: [
      'How long a v0 miner, which sends no manifest, may take to accept or decline an offer, in seconds: it holds an',
      'offer until its executor is free. No other job waits for it.',
    ].join(' '),
    example: '300',
  }),
  RESERVATION_SECONDS: setting(envInteger({ min: 1, max: 3_600 }).default(7), {
    about: [
      'How long a v2026 miner keeps an executor for an offer, in seconds: the ttl of its receipt. A user waits no longer',
      'than that for the answer of such a miner.',
    ].join(' '),
    example: '7',
  }),
  DIALECT_KEPT_SECONDS: setting(seconds(86_400, 0), {
    about: [
      'How long the validator remembers which dialect a miner speaks, in seconds. An unknown miner is asked first, which',
      'takes two seconds at most. 0: each miner is asked on each connection.',
    ].join(' '),
    example: '86400',
  }),
  READY_SLACK_SECONDS: setting(seconds(120), {
    about: "How long an executor may take to be ready, beyond its class's spin-up time, in seconds.",
    example: '120',
  }),
  RESULT_GRACE_SECONDS: setting(seconds(11), {
    about: "How long to wait for a result beyond the job's timeout, in seconds. A result that late scores nothing.",
    example: '11',
  }),
  ...organicSettings,
  ALLOW_PRIVATE_MINERS: setting(envBoolean.default(false), {
    about: 'Whether to connect to miners on loopback, private and link-local addresses. For local networks.',
    example: 'false',
  }),
  ...scoringSettings,
  WEIGHTS_VERSION_KEY: setting(envInteger({ min: 0 }).default(2), {
    about: 'The version key sent with the weights. The chain refuses one below the WeightsVersionKey of the subnet.',
    example: '2',
  }),
  WEIGHTS_COMMIT_BY: setting(z.enum(COMMITS_BY).default('auto'), {
    about: [
      'How weights are committed on a subnet with commit-reveal, if the chain has both ways. timelock: sealed for a',
      'round of drand, and opened by the chain itself. hash: revealed by this validator an epoch or more later, so it',
      'must run then. auto: timelock while the chain receives drand rounds, else hash.',
    ].join(' '),
    example: 'hash',
  }),
  WEIGHTS_WAIT_BLOCKS: setting(envInteger({ min: 0, max: 10_000 }).default(100), {
    about: "How many blocks setting weights waits for the chain's rate limit before it is postponed.",
    example: '100',
  }),
  WEIGHTS_CHECK_SECONDS: setting(seconds(60, 1), {
    about: 'How often to check whether weights are due, in seconds.',
    example: '60',
  }),
  RETENTION_DAYS: setting(envInteger({ min: 2, max: 36_500 }).default(30), {
    about: [
      'How long ended batches and jobs are kept, in days. What is not scored yet, and what scoring still reads, is',
      'kept for longer.',
    ].join(' '),
    example: '30',
  }),
  RECEIPTS_RETENTION_DAYS: setting(envInteger({ min: 2, max: 36_500 }).default(7), {
    about: 'How long the receipts of jobs on v2026 miners are kept, in days.',
    example: '7',
  }),
  WEIGHTS_RETENTION_DAYS: setting(envInteger({ min: 2, max: 36_500 }).default(365), {
    about: 'How long settings of weights are kept, in days. The last one and a pending one are always kept.',
    example: '365',
  }),
  ...diskSettings,
  ...serviceSettings,
})

export type ValidatorConfig = SettingsOf<typeof validatorSettings> & {
  /** DATABASE_URL, or where the embedded database is without it. */
  databaseUrl: string
  /** What synthetic jobs consist of. */
  benchmarkSettings: BenchmarkSettings
  /** How synthetic jobs start. */
  starts: StartLimits
  /** How long the stages of a synthetic job may take. */
  limits: StageLimits
  /** How long the stages of a user's job may take. */
  organicLimits: OrganicLimits
  /** How synthetic jobs are scored. */
  scoring: Scoring
  /** How scores become shares of the weights. */
  scoringRules: ScoringRules
}

/** @throws ConfigError that lists every mistake */
export function readValidatorConfig(env: NodeJS.ProcessEnv): ValidatorConfig {
  const settings = readSettings(validatorSettings, env)
  return {
    ...settings,
    databaseUrl: settings.DATABASE_URL ?? `pglite://${homedir()}/.compute-horde/validator`,
    benchmarkSettings: {
      benchmark: settings.BENCHMARK,
      hashcat: {
        image: settings.SYNTHETIC_JOB_IMAGE,
        algorithms: algorithmsOf(settings),
        // The 2024 scoring must send the same jobs as v0 validators. Any other scoring needs jobs of equal length: with
        // random lengths a miner would gain by registering twice.
        knownLength: settings.SCORING !== '2024',
      },
      echo: {
        image: settings.ECHO_JOB_IMAGE,
        timeoutSeconds: settings.ECHO_TIMEOUT_SECONDS,
        referenceSeconds: settings.ECHO_REFERENCE_SECONDS,
      },
    },
    starts: { atOnce: settings.BATCH_JOBS_AT_ONCE, perSecond: settings.BATCH_JOB_STARTS_PER_SECOND },
    limits: {
      connectMs: settings.CONNECT_SECONDS * 1000,
      manifestMs: settings.MANIFEST_WAIT_MS,
      acceptMs: settings.ACCEPT_SECONDS * 1000,
      slowAcceptMs: settings.SLOW_ACCEPT_SECONDS * 1000,
      reservationMs: settings.RESERVATION_SECONDS * 1000,
      readySlackMs: settings.READY_SLACK_SECONDS * 1000,
      resultGraceMs: settings.RESULT_GRACE_SECONDS * 1000,
    },
    organicLimits: organicLimitsOf(settings),
    scoring: scoringOf(settings),
    scoringRules: scoringRulesOf(settings),
  }
}

function algorithmsOf(settings: SettingsOf<typeof validatorSettings>): readonly [Algorithm, Algorithm, Algorithm] {
  return [
    {
      ...SHA256,
      passwordLength: settings.HASHCAT_PASSWORD_LENGTH_SHA256,
      timeoutSeconds: settings.HASHCAT_TIMEOUT_SECONDS_SHA256,
      referenceSeconds: settings.HASHCAT_REFERENCE_SECONDS_SHA256,
    },
    {
      ...SHA384,
      passwordLength: settings.HASHCAT_PASSWORD_LENGTH_SHA384,
      timeoutSeconds: settings.HASHCAT_TIMEOUT_SECONDS_SHA384,
      referenceSeconds: settings.HASHCAT_REFERENCE_SECONDS_SHA384,
    },
    {
      ...SHA512,
      passwordLength: settings.HASHCAT_PASSWORD_LENGTH_SHA512,
      timeoutSeconds: settings.HASHCAT_TIMEOUT_SECONDS_SHA512,
      referenceSeconds: settings.HASHCAT_REFERENCE_SECONDS_SHA512,
    },
  ]
}
