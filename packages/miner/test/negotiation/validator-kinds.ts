/** The validators that our miner meets, and their scripts. */
import { randomUUID } from 'node:crypto'
import { authentication2026, offer2026, signed2026, work2026 } from '@horde/testing/peers/v2026/validator'
import { authentication, validatorKey } from '@horde/testing/peers/validator'
import { expect } from 'vitest'
import { offerOf, workOf } from '../messages.ts'
import { confirmEnd, dialAsValidator, type Message } from './peers.ts'

export const JOB_V0 = ['V0AcceptJobRequest', 'V0ExecutorReadyRequest', 'V0JobFinishedRequest']
const JOB_V2026 = [
  ...['V0AcceptJobRequest', 'V0ExecutorReadyRequest', 'V0VolumesReadyRequest', 'V0ExecutionDoneRequest'],
  'V0JobFinishedRequest',
]
const MANIFEST = 'V0ExecutorManifestRequest'
const ERROR = 'GenericError'
const CAPABILITIES = { 'X-Horde-Capabilities': '2026, large-frames' }
/** A validator of ours that knows v0 alone. */
const CAPABILITIES_OF_V0 = ['large-frames', 'manifest']

/** A validator's side of its connection. */
export interface Side {
  uuid: string
  send(...messages: object[]): Promise<void>
  /** Reads up to a message of this type. */
  until(type: string): Promise<Message>
  /** Reads until the miner closes the connection, with this code. */
  untilClosed(code: number): Promise<void>
}

export interface ValidatorCase {
  validator: string
  headers?: Record<string, string>
  script(side: Side): Promise<unknown>
  /** What the miner sends it. */
  hears: string[]
}

const v0 = () => authentication(validatorKey())
const signedOffer = (uuid: string) => signed2026(offer2026(uuid))
const signedWork = (uuid: string) => signed2026(work2026(uuid))

/** The rest of a job of v0, once the validator is authenticated. */
export async function workOfV0({ uuid, send, until }: Side): Promise<void> {
  await send(offerOf(uuid))
  await until('V0ExecutorReadyRequest')
  await send(workOf(uuid))
  await until('V0JobFinishedRequest')
}

export async function workOf2026({ uuid, send, until }: Side): Promise<void> {
  await send(signedOffer(uuid))
  await until('V0ExecutorReadyRequest')
  await send(signedWork(uuid))
  await until('V0JobFinishedRequest')
}

export const GOOD_VALIDATORS: ValidatorCase[] = [
  {
    validator: 'of 2024',
    script: async side => {
      await side.send(v0())
      await workOfV0(side)
    },
    hears: JOB_V0,
  },
  {
    validator: 'of ours before v2026',
    script: async side => {
      await side.send(authentication(validatorKey(), {}, CAPABILITIES_OF_V0))
      await workOfV0(side)
    },
    hears: [MANIFEST, ...JOB_V0],
  },
  {
    validator: 'of January 2026, which signs nothing, and offers at once',
    script: async ({ uuid, send, until }) => {
      await send(authentication2026(), offer2026(uuid))
      await until('V0ExecutorReadyRequest')
      await send(work2026(uuid))
      await until('V0JobFinishedRequest')
    },
    hears: [MANIFEST, ...JOB_V2026],
  },
  {
    validator: 'of October 2026, which signs, and offers at once',
    script: async ({ uuid, send, until }) => {
      await send(authentication2026(), signedOffer(uuid))
      await until('V0ExecutorReadyRequest')
      await send(signedWork(uuid))
      await until('V0JobFinishedRequest')
    },
    hears: [MANIFEST, ...JOB_V2026],
  },
  {
    validator: 'of ours, which waits for the manifest',
    headers: CAPABILITIES,
    script: async side => {
      await side.send(authentication2026())
      await side.until(MANIFEST)
      await workOf2026(side)
    },
    hears: [MANIFEST, ...JOB_V2026],
  },
  {
    validator: 'of ours that takes this miner for one of v0',
    headers: CAPABILITIES,
    script: async side => {
      await side.send(authentication(validatorKey(), {}, CAPABILITIES_OF_V0))
      await workOfV0(side)
    },
    hears: [MANIFEST, ...JOB_V0],
  },
  {
    validator: 'that sends both authentications, that of v0 first',
    script: async side => {
      await side.send(v0(), authentication2026())
      await workOfV0(side)
    },
    hears: [ERROR, ...JOB_V0],
  },
  {
    validator: 'that sends both authentications, that of v2026 first',
    script: async side => {
      await side.send(authentication2026(), v0())
      await workOf2026(side)
    },
    hears: [MANIFEST, ERROR, ...JOB_V2026],
  },
  {
    validator: 'of v0 that offers in v2026 first',
    script: async side => {
      await side.send(v0(), signedOffer(side.uuid))
      await side.until(ERROR)
      await workOfV0(side)
    },
    hears: [ERROR, ...JOB_V0],
  },
  {
    validator: 'of v2026 that offers in v0 first',
    script: async side => {
      await side.send(authentication2026(), offerOf(side.uuid))
      await side.until(ERROR)
      await workOf2026(side)
    },
    hears: [MANIFEST, ERROR, ...JOB_V2026],
  },
  {
    validator: 'of v0 that sends its work in v2026 first',
    script: async side => {
      await side.send(v0(), offerOf(side.uuid))
      await side.until('V0ExecutorReadyRequest')
      await side.send(signedWork(side.uuid))
      await side.until(ERROR)
      await side.send(workOf(side.uuid))
      await side.until('V0JobFinishedRequest')
    },
    hears: [...JOB_V0.slice(0, 2), ERROR, ...JOB_V0.slice(2)],
  },
  {
    validator: 'of v2026 that sends its work in v0 first',
    script: async side => {
      await side.send(authentication2026(), signedOffer(side.uuid))
      await side.until('V0ExecutorReadyRequest')
      await side.send(workOf(side.uuid))
      await side.until(ERROR)
      await side.send(signedWork(side.uuid))
      await side.until('V0JobFinishedRequest')
    },
    hears: [MANIFEST, ...JOB_V2026.slice(0, 2), ERROR, ...JOB_V2026.slice(2)],
  },
]

export const REFUSED_VALIDATORS: ValidatorCase[] = [
  { validator: 'that offers in v0 first', script: ({ send, uuid }) => send(offerOf(uuid)), hears: [ERROR] },
  { validator: 'that offers in v2026 first', script: ({ send, uuid }) => send(signedOffer(uuid)), hears: [ERROR] },
  {
    validator: 'that says an error first',
    script: ({ send }) => send({ message_type: ERROR, details: 'no' }),
    hears: [ERROR],
  },
  {
    validator: 'whose first message is a manifest',
    script: ({ send }) => send({ message_type: MANIFEST, manifest: {} }),
    hears: [ERROR],
  },
  {
    validator: 'whose authentication of v0 is signed as that of v2026 is',
    script: ({ send }) => send({ ...v0(), signature: (authentication2026() as { signature: string }).signature }),
    hears: [ERROR],
  },
  { validator: 'that says nothing', script: async () => {}, hears: [ERROR] },
]

/** Runs a validator's script on a connection. Returns what the validator heard. */
export async function play(
  miner: { url: string },
  { headers, script }: Pick<ValidatorCase, 'headers' | 'script'>,
): Promise<Message[]> {
  const uuid = randomUUID()
  const heard: Message[] = []
  const peer = await dialAsValidator(miner, headers)
  const next = async () => {
    const message = await peer.next()
    heard.push(message)
    return message
  }
  await script({
    uuid,
    send: async (...messages) => {
      for (const message of messages) await peer.send(message)
    },
    until: async type => {
      let message = await next()
      while (message.message_type !== type) message = await next()
      return message
    },
    untilClosed: async code => {
      heard.push(...(await peer.nextUntilClosed()))
      expect((await peer.closed).code).toBe(code)
    },
  })
  if (heard.some(({ message_type }) => message_type === STEP_OF_2026)) await confirmEnd(peer, uuid)
  await peer.close(1000)
  return heard
}

const STEP_OF_2026 = 'V0VolumesReadyRequest'
