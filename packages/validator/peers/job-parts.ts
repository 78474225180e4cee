/** What jobs read and deliver, in our words and as the package has it. */
import type { Volume } from '@horde/protocol/job/volumes'
import { EMPTY_ZIP_BASE64 } from '@horde/protocol/v0/job'

export const VOLUMES: [string, Volume, object][] = [
  [
    'a zip in the offer',
    { kind: 'inline-zip', base64: EMPTY_ZIP_BASE64, folder: null },
    { volume_type: 'inline', contents: EMPTY_ZIP_BASE64, relative_path: null },
  ],
  [
    'a zip behind a URL',
    { kind: 'zip-url', url: 'https://files.example/ü?a=1&b=%20', folder: 'in/put' },
    { volume_type: 'zip_url', contents: 'https://files.example/ü?a=1&b=%20', relative_path: 'in/put' },
  ],
  [
    'a file behind a URL',
    { kind: 'file-url', url: 'https://files.example/f', path: 'a/b.txt' },
    { volume_type: 'single_file', url: 'https://files.example/f', relative_path: 'a/b.txt' },
  ],
  [
    'a repository of Hugging Face',
    {
      ...{ kind: 'hugging-face', repoId: 'owner/name', repoType: 'dataset', revision: 'main', folder: 'data' },
      ...{ allowPatterns: ['*.json', 'a/**'], token: 'hf_secret' },
    },
    {
      ...{ volume_type: 'huggingface_volume', repo_id: 'owner/name', repo_type: 'dataset', revision: 'main' },
      ...{ relative_path: 'data', allow_patterns: ['*.json', 'a/**'], token: 'hf_secret' },
    },
  ],
]

export const PUT = { url: 'https://files.example/put', path: 'put.txt', headers: { 'X-A': 'ü' } }
export const POST = { url: 'https://files.example/post', path: 'a/post.txt', headers: {}, formFields: { key: 'value' } }
export const WIRE_PUT = {
  ...{ output_upload_type: 'single_file_put', url: PUT.url, relative_path: 'put.txt' },
  signed_headers: { 'X-A': 'ü' },
}
export const WIRE_POST = {
  ...{ output_upload_type: 'single_file_post', url: POST.url, form_fields: { key: 'value' } },
  ...{ relative_path: 'a/post.txt', signed_headers: {} },
}
export const ZIP = { url: 'https://files.example/zip', format: 'exact' } as const
export const WIRE_ZIP = { output_upload_type: 'zip_and_http_put', url: ZIP.url }
