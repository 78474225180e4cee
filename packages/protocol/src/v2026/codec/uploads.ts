/** Converts uploads, and what their targets answered, between v2026 and the vocabulary of ../../job. */
import {
  type FileUpload,
  NO_UPLOADS,
  type UploadAnswer,
  type Uploads,
  type ZipName,
  type ZipUpload,
} from '../../job/uploads.ts'
import type * as wire from '../job.ts'

export function uploadsFromV2026(upload: wire.Upload | null): Uploads {
  if (upload === null) return NO_UPLOADS
  switch (upload.output_upload_type) {
    case 'multi_upload': {
      const zip = upload.system_output === null ? null : zipOf(upload.system_output, 'system_output')
      return { files: upload.uploads.map(fileOf), zip, afterFailure: false }
    }
    case 'single_file_put':
    case 'single_file_post':
      return { files: [fileOf(upload)], zip: null, afterFailure: false }
    default:
      return { files: [], zip: zipOf(upload, 'output.zip'), afterFailure: false }
  }
}

/**
 * A v2026 executor packs every zip in its own format, and uploads nothing of a job that failed, whatever a job of v0
 * asks for.
 */
export function uploadsToV2026({ files, zip }: Uploads): wire.Upload | null {
  if (files.length === 0 && zip === null) return null
  if (files.length === 0 && zip?.name === 'output.zip') return wireZipOf(zip)
  return {
    output_upload_type: 'multi_upload',
    uploads: files.map(wireFileOf),
    system_output: zip === null ? null : wireZipOf(zip),
  }
}

function fileOf(upload: wire.SingleUpload): FileUpload {
  const file = { url: upload.url, path: upload.relative_path, headers: upload.signed_headers ?? {} }
  if (upload.output_upload_type === 'single_file_put') return { ...file, method: 'PUT' }
  return { ...file, method: 'POST', formFields: upload.form_fields ?? {} }
}

function wireFileOf(upload: FileUpload): wire.SingleUpload {
  const { url, path: relative_path, headers: signed_headers } = upload
  if (upload.method === 'PUT') return { output_upload_type: 'single_file_put', url, relative_path, signed_headers }
  const { formFields: form_fields } = upload
  return { output_upload_type: 'single_file_post', url, form_fields, relative_path, signed_headers }
}

function zipOf(upload: wire.ZipUpload, name: ZipName): ZipUpload {
  const zip = { url: upload.url, name, format: 'exact' } as const
  if (upload.output_upload_type === 'zip_and_http_put') return { ...zip, method: 'PUT' }
  return { ...zip, method: 'POST', formFields: upload.form_fields ?? {} }
}

function wireZipOf(zip: ZipUpload): wire.ZipUpload {
  if (zip.method === 'PUT') return { output_upload_type: 'zip_and_http_put', url: zip.url }
  return { output_upload_type: 'zip_and_http_post', url: zip.url, form_fields: zip.formFields }
}

type UploadResults = Record<string, string> | null

export function answersToV2026(answers: Record<string, UploadAnswer> | null): Record<string, string> {
  const results = Object.entries(answers ?? {}).map(([name, { headers, body }]) => {
    return [name, JSON.stringify({ headers, body })]
  })
  return Object.fromEntries(results)
}

export function answersFromV2026(results: UploadResults): Record<string, UploadAnswer> | null {
  if (results === null) return null
  return Object.fromEntries(Object.entries(results).map(([name, json]) => [name, answerOf(json)]))
}

/** An answer that is not of the usual form becomes a body, so that its validator gets it all the same. */
function answerOf(json: string): UploadAnswer {
  try {
    const { headers, body } = JSON.parse(json) as { headers?: unknown; body?: unknown }
    if (typeof body === 'string' && isTextMap(headers)) return { headers, body }
  } catch {
    // Not JSON.
  }
  return { headers: {}, body: json }
}

function isTextMap(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every(each => typeof each === 'string')
}
