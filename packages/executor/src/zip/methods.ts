/** The compression methods of zip entries (APPNOTE.TXT 4.4.5). */

export const STORED = 0
export const DEFLATED = 8
export const BZIP2 = 12
export const LZMA = 14
export const ZSTD = 93

export const READABLE: readonly number[] = [STORED, DEFLATED, BZIP2, LZMA, ZSTD]

/** The names of methods that are not supported. */
const NAMES: Record<number, string> = {
  1: 'Shrink',
  2: 'Reduce',
  3: 'Reduce',
  4: 'Reduce',
  5: 'Reduce',
  6: 'Implode',
  9: 'Deflate64',
  10: 'PKWARE Implode',
  16: 'IBM CMPSC',
  18: 'IBM TERSE',
  19: 'IBM LZ77',
  20: 'Zstandard of old',
  94: 'MP3',
  95: 'XZ',
  96: 'JPEG',
  97: 'WavPack',
  98: 'PPMd',
}

/** Returns the name of a method, with its number. */
export function methodName(method: number): string {
  const name = NAMES[method]
  return name === undefined ? `method ${method}` : `${name} (method ${method})`
}
