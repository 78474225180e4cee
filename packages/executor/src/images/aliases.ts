/** Other images in place of those that jobs name, as the operator wants it. */
import { canonicalName, withTag } from '@horde/engine/images/image-name'

/** Returns the image to use for a name, by the aliases (`wanted=used`) of this host. */
export function resolveAlias(name: string, aliases: readonly string[]): string {
  const wanted = canonicalName(name)
  for (const alias of aliases) {
    const [from = '', to = ''] = alias.split('=')
    if (canonicalName(from) === wanted) return withTag(to)
  }
  return withTag(name)
}
