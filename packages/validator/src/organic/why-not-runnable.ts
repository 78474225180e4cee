import type { FacilitatorJobRequest } from '@horde/protocol/facilitator-validator'

/** Why a request is refused before anybody is asked, in words; undefined for one that can be run. */
export function whyNotRunnable({ env, docker_image, raw_script, args, ...urls }: FacilitatorJobRequest) {
  // What would be dropped silently is refused aloud: V0's link to the miner has no place for it.
  if (Object.keys(env).length > 0) return 'Environment variables cannot be passed on to miners.'
  const texts = [docker_image, raw_script, ...args, urls.input_url, urls.output_url]
  if (texts.some(text => text.includes('\0') || !text.isWellFormed())) {
    return 'The request has characters that no program can be given: NUL, or halves of others.'
  }
  return undefined
}
