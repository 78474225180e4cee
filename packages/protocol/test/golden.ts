/** Reads the golden frames of the three links: each message as a frame, and as it is parsed. */
import { readFileSync } from 'node:fs'

export type Golden = {
  /** The frame as it is sent. */
  frame: unknown
  /** The parsed message, when it differs from the frame: absent and null fields filled in, unknown ones dropped. */
  reads?: unknown
  /** The rule, or a peer's habit, that this frame is an example of. */
  shows?: string
}

export type GoldenLink = Record<string, Record<string, Golden[]>>

/** @param folder the folder of the dialect among the fixtures, ending with a slash */
export function readGolden(link: string, folder: string): GoldenLink {
  return JSON.parse(readFixture(`${folder}golden-${link}.json`)) as GoldenLink
}

export function readFixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8')
}
