/** The `check` lines about a service's settings and its hotkey. */
import { type Finding, ok } from '@horde/kit/check/finding'
import { mistakesOf } from '@horde/kit/check/report'

/** Yields a finding for each mistake in the settings, or one `ok`. Returns the settings; undefined after mistakes. */
export async function* settingsFindings<T>(read: () => T | Promise<T>): AsyncGenerator<Finding, T | undefined> {
  try {
    const settings = await read()
    yield ok('settings', 'all can be read')
    return settings
  } catch (error) {
    yield* mistakesOf(error)
    return undefined
  }
}

/** Yields the hotkey, or why it cannot be read. Returns it; undefined when it cannot be read. */
export async function* hotkeyFindings(
  read: () => Promise<{ ss58: string }>,
): AsyncGenerator<Finding, string | undefined> {
  try {
    const { ss58 } = await read()
    yield ok('hotkey', ss58)
    return ss58
  } catch (error) {
    yield* mistakesOf(error)
    return undefined
  }
}
