/**
 * The request of the command `unpin` to the running miner. It is the only one that changes something, so the admin port
 * answers it to programs of this machine alone.
 */
import type { Database } from '@horde/kit/database'
import type { AdminApp } from '@horde/operator/admin/admin-port'
import { isFromThisMachine } from '@horde/operator/admin/from-this-machine'
import { hotkey } from '@horde/protocol/primitives'
import { z } from 'zod'
import { removePin } from '../db/receipts.ts'

export const UNPIN_PATH = '/unpin'

export type Unpinned = { wasPinned: boolean }

const wanted = z.object({ validator: hotkey })

/** Adds the route. */
export function addUnpinRoute(app: AdminApp, db: Database): void {
  app.post(UNPIN_PATH, async (request, reply) => {
    if (!isFromThisMachine(request)) {
      return reply.code(403).send({ error: 'not_from_here', message: 'Only programs of this machine may do this' })
    }
    const read = wanted.safeParse(request.body)
    if (!read.success) return reply.code(400).send({ error: 'bad_body', message: z.prettifyError(read.error) })
    const answer: Unpinned = { wasPinned: await removePin(db, read.data.validator) }
    return reply.send(answer)
  })
}
