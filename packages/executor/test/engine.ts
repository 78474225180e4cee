import { Engine } from '../src/engine/container.ts'

/** The machine's engine. */
export const engine = new Engine()
