/** What the jobs of one miner's connection have yet to read. */
import type { Log } from '@horde/kit/log'
import { Inbox } from '@horde/kit/socket/inbox'
import type { Clock } from '@horde/kit/time'
import type { JobReport } from '@horde/protocol/job/messages'
import { uuidKey } from '@horde/protocol/primitives'
import type { ChannelEvent } from './job-channel.ts'

/** How many events of one channel may wait to be read; what comes beyond it is dropped. */
const MAX_WAITING = 100

export class JobInboxes {
  readonly #deps: { clock: Clock; log: Log }
  /** By job; under a symbol for a channel of no job. */
  readonly #inboxes = new Map<string | symbol, Inbox<ChannelEvent>>()

  constructor(deps: { clock: Clock; log: Log }) {
    this.#deps = deps
  }

  /** Without a job it gets only what concerns the connection itself. */
  open(jobUuid: string | undefined): Inbox<ChannelEvent> {
    const inbox = new Inbox<ChannelEvent>({ clock: this.#deps.clock, maxWaiting: MAX_WAITING })
    this.#inboxes.set(jobUuid === undefined ? Symbol('no job') : uuidKey(jobUuid), inbox)
    return inbox
  }

  close(closed: Inbox<ChannelEvent>): void {
    for (const [key, inbox] of this.#inboxes) if (inbox === closed) this.#inboxes.delete(key)
  }

  /** @param at when the report's frame arrived, in ms of the monotonic clock */
  deliver(report: JobReport, connection: number, at: number): void {
    const { log } = this.#deps
    const { jobUuid, type } = report
    const inbox = this.#inboxes.get(uuidKey(jobUuid))
    if (!inbox) log.debug({ jobUuid, type }, 'message about an unknown job ignored')
    else if (!inbox.put({ type: 'message', report, connection, at })) {
      log.debug({ jobUuid, type }, 'message dropped: too many are waiting')
    }
  }

  deliverToAll(event: ChannelEvent): void {
    for (const inbox of this.#inboxes.values()) inbox.put(event)
  }

  endAll(event: ChannelEvent): void {
    for (const inbox of this.#inboxes.values()) inbox.end(event)
  }
}
