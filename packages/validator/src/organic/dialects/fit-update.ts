/** Keeps an update of v2026 below the limit of a frame. One that no facilitator takes would block all that follow. */
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { fitFrame, MAX_OUTPUT_CHARACTERS, shorten } from '@horde/protocol/shorten'
import type { V0JobStatusUpdate } from '@horde/protocol/v2026/facilitator-validator'

type Details = NonNullable<V0JobStatusUpdate['metadata']>
type Response = NonNullable<Details['miner_response']>

/** The most characters of a message, and of each text of its context, that a facilitator is sent. */
const MAX_MESSAGE_CHARACTERS = 10_000
/** Room in a frame for what surrounds a result, in bytes. */
const ENVELOPE_BYTES = 1_000
const MAX_RESPONSE_BYTES = LARGE_FRAME_BYTES - ENVELOPE_BYTES

/** Returns the update with the texts of miners cut, so that it is smaller than the largest frame. */
export function fitUpdate(update: V0JobStatusUpdate): V0JobStatusUpdate {
  return cutUpdate(update, MAX_MESSAGE_CHARACTERS, MAX_OUTPUT_CHARACTERS, fitResponse)
}

/** An update whose JSON is not longer, in characters, has no details worth leaving out. */
const BRIEF_CHARACTERS = 4_000
const BRIEF_TEXT_CHARACTERS = 1_000

/** Returns the update with as little of its details as its status needs: itself when there is no more. */
export function briefUpdate(update: V0JobStatusUpdate): V0JobStatusUpdate {
  if (update.metadata === null || JSON.stringify(update).length <= BRIEF_CHARACTERS) return update
  return cutUpdate(update, BRIEF_TEXT_CHARACTERS, BRIEF_TEXT_CHARACTERS, response => {
    const brief = {
      ...response,
      docker_process_stdout: shorten(response.docker_process_stdout, BRIEF_TEXT_CHARACTERS),
      docker_process_stderr: shorten(response.docker_process_stderr, BRIEF_TEXT_CHARACTERS),
    }
    return withoutFiles(brief, 'the facilitator did not take them in time, or not at all')
  })
}

function cutUpdate(
  update: V0JobStatusUpdate,
  messageCharacters: number,
  outputCharacters: number,
  cutResponse: (response: Response) => Response,
): V0JobStatusUpdate {
  const { metadata } = update
  if (metadata === null) return update
  const { miner_response, job_rejection_details, job_failure_details, horde_failure_details } = metadata
  const cut = <D extends Said>(said: D | null) => said && cutMessage(said, messageCharacters)
  return {
    ...update,
    metadata: {
      ...metadata,
      miner_response: miner_response && cutResponse(miner_response),
      job_rejection_details: cut(job_rejection_details),
      job_failure_details: cut(job_failure_details && cutOutput(job_failure_details, outputCharacters)),
      horde_failure_details: cut(horde_failure_details),
    },
  }
}

type Said = { message: string; context: Record<string, unknown> | null }

function cutMessage<D extends Said>(said: D, characters: number): D {
  const { message, context } = said
  const texts = Object.entries(context ?? {}).map(([name, value]) => [
    name,
    typeof value === 'string' ? shorten(value, characters) : value,
  ])
  return { ...said, message: shorten(message, characters), context: context && Object.fromEntries(texts) }
}

function cutOutput(
  failure: NonNullable<Details['job_failure_details']>,
  characters: number,
): NonNullable<Details['job_failure_details']> {
  const { docker_process_stdout: stdout, docker_process_stderr: stderr } = failure
  return {
    ...failure,
    docker_process_stdout: stdout === null ? null : shorten(stdout, characters),
    docker_process_stderr: stderr === null ? null : shorten(stderr, characters),
  }
}

function fitResponse(response: Response): Response {
  const fitted = fitFrame(response, MAX_RESPONSE_BYTES, 'utf-8')
  const isCut = fitted.docker_process_stdout === '' && fitted.docker_process_stderr === ''
  if (!isCut || Buffer.byteLength(JSON.stringify(fitted)) <= MAX_RESPONSE_BYTES) return fitted
  return withoutFiles(response, 'the result is too large for a frame')
}

/** Returns the result without its files and the answers of its uploads; its stderr says so. */
function withoutFiles(response: Response, why: string): Response {
  const fitted = fitFrame({ ...response, artifacts: {}, upload_results: {} }, MAX_RESPONSE_BYTES, 'utf-8')
  const note = `[the validator left out the artifacts and the answers of uploads: ${why}]`
  return { ...fitted, docker_process_stderr: `${fitted.docker_process_stderr}\n${note}\n` }
}
