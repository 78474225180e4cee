import { jobUuid } from '@horde/protocol/primitives'
import { expect, it } from 'vitest'
import { dialectV2026 } from './dialect-v2026.ts'

const uuid = jobUuid.parse('b4793a02-33a2-4a49-b4e2-4a7b903847e7')

it('keeps what a job printed beside an answer of an upload that fits as UTF-8', () => {
  const uploadAnswers = { a: { headers: {}, body: 'é'.repeat(9_000_000) } }
  const answer = dialectV2026().answer(uuid, {
    ...{ end: 'finished', stdout: 'out', stderr: 'err', artifacts: null },
    uploadAnswers,
  })
  expect(answer).toMatchObject({ docker_process_stdout: 'out', docker_process_stderr: 'err' })
})
