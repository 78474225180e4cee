import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InputTree } from './input-tree.ts'

const file = { size: 1, isExecutable: false, contents: async () => Buffer.alloc(1) }

/** Where each path leads: the position of its volume, or `folder`. */
function layout(tree: InputTree): Record<string, number | 'folder'> {
  return Object.fromEntries([...tree.nodes].map(([path, node]) => [path, node === 'folder' ? node : node.volume]))
}

test('a later file replaces an earlier one of its path', () => {
  const tree = new InputTree()
  expect(tree.addFile('a/b/c', file, 0)).toBe(3)
  expect(tree.addFile('a/d', file, 0)).toBe(1)
  expect(tree.addFile('a/b/c', file, 1)).toBe(1)
  expect(tree.addFolder('a/b')).toBe(0)
  expect(tree.addFolder('a/e/f')).toBe(2)
  expect(tree.addFolder('')).toBe(0)
  expect(layout(tree)).toEqual({
    a: 'folder',
    'a/b': 'folder',
    'a/b/c': 1,
    'a/d': 0,
    'a/e': 'folder',
    'a/e/f': 'folder',
  })
})

describe('refuses', () => {
  const filled = () => {
    const tree = new InputTree()
    tree.addFile('a/file', file, 0)
    return tree
  }

  test.each([
    ['a path through a file', () => filled().addFile('a/file/b', file, 1), 'It needs a folder where an earlier volume'],
    ['a folder for a file', () => filled().addFolder('a/file'), 'It needs a folder where an earlier volume has a file'],
    ['a file for a folder', () => filled().addFile('a', file, 1), 'It has a file where an earlier volume has a folder'],
  ])('%s', (_, add, why) => {
    expect(add).toThrow(why)
  })
})

test('whatever is added, each path is one file or one folder, below folders that come first', () => {
  const name = fc.constantFrom('a', 'b', 'c', '__proto__')
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map(parts => parts.join('/'))
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), path)), added => {
      const tree = new InputTree()
      for (const [index, [isFile, path]] of added.entries()) {
        try {
          if (isFile) tree.addFile(path, file, index)
          else tree.addFolder(path)
        } catch {
          // Refused.
        }
      }
      const seen = new Map<string, unknown>()
      for (const [path, node] of tree.nodes) {
        const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')))
        expect(parent === '' || seen.get(parent) === 'folder').toBe(true)
        seen.set(path, node)
      }
    }),
    { numRuns: 1_000 },
  )
})
