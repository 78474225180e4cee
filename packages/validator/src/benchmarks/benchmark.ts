/** Defines what a benchmark is, and the messages that send its work to a miner. */

import { buffer } from 'node:stream/consumers'
import { CLASSES, DEFAULT_CLASS, type ExecutorClass } from '@horde/protocol/classes'
import type { OfferMessage, WorkMessage } from '@horde/protocol/job/messages'
import { NO_UPLOADS } from '@horde/protocol/job/uploads'
import type { JobUuid } from '@horde/protocol/primitives'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'
import { ZipFile } from 'yazl'
import type { Work } from '../db/json-columns.ts'

/** The output of a job that exited with status 0. */
export interface Answer {
  readonly stdout: string
  readonly stderr: string
}

/** The judgement of an answer. */
export interface Judgement {
  /** 0 for a wrong answer, 1 for a right one, and between for a partly right one. */
  readonly score: number
  /** The reason, for people. */
  readonly comment: string
}

/** A kind of synthetic work. An operator's own benchmark is a module with one of these as its default export. */
export interface Benchmark {
  readonly name: string
  /**
   * Makes a new piece of work. No two jobs get the same.
   *
   * @param batchStartMs start of the batch, in ms since the epoch. All jobs of a batch should measure the same thing.
   */
  prepare(batchStartMs: number): Work | Promise<Work>
  /** Judges the answer of a job. */
  verify(challenge: Work['challenge'], answer: Answer): Judgement
}

/**
 * Returns the offer of a job, which a miner gets before an executor is ready. It does not contain the work.
 *
 * @param executorClass undefined for a miner without a manifest; the offer then has no class, as `v0` miners expect
 */
export function offerOf(work: Work, jobUuid: JobUuid, executorClass: ExecutorClass | undefined): OfferMessage {
  return {
    type: 'offer',
    jobUuid,
    executorClass: executorClass ?? null,
    image: work.image,
    limits: { kind: 'run', seconds: Math.ceil(work.timeoutSeconds) },
    isStreaming: false,
    volumeKind: 'inline-zip',
    volumes: [],
  }
}

/** Returns the message with the work itself, which is sent only once an executor is ready. */
export function workOf(work: Work, jobUuid: JobUuid, executorClass: ExecutorClass | undefined): WorkMessage {
  return {
    type: 'work',
    jobUuid,
    image: work.image,
    script: null,
    preset: CLASSES[executorClass ?? DEFAULT_CLASS].preset,
    args: [...work.command],
    env: {},
    volumes: [{ kind: 'inline-zip', base64: work.input ?? EMPTY_ZIP_BASE64, folder: null }],
    uploads: NO_UPLOADS,
    artifactsFolder: null,
  }
}

/** Returns a zip file with one file, in base64: the `input` of a `Work`. */
export async function zipOf(name: string, contents: string): Promise<string> {
  const zip = new ZipFile()
  zip.addBuffer(Buffer.from(contents), name, { compress: false })
  zip.end()
  return (await buffer(zip.outputStream)).toString('base64')
}
