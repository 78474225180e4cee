import { connectDefaultEngine } from '@horde/engine/connect'

/** The machine's engine. */
export const engine = await connectDefaultEngine()
