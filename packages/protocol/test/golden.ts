/** The golden frames of the three links: who says what, as it stands on the wire, and what is read from it. */
import { readFileSync } from 'node:fs'

export type Golden = {
  /** The frame as it stands on the wire. */
  frame: unknown
  /** What the reader gets, when it differs from the frame: absent and null fields filled in, unknown ones gone. */
  reads?: unknown
  /** A peer's habit or a rule that this one shows. */
  shows?: string
}

export type GoldenLink = Record<string, Record<string, Golden[]>>

export function readGolden(link: string): GoldenLink {
  return JSON.parse(readFixture(`golden-${link}.json`)) as GoldenLink
}

export function readFixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8')
}
