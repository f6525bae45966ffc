import type { Blobs } from '../blobs.ts'
import { BlobTooLargeError } from '../blobs.ts'
import { type Clock, seconds } from '../clock.ts'
import { ApiError, invalidRequest } from '../errors.ts'
import { newId, newPartId, newUploadId } from '../ids.ts'
import type { Ingestor } from '../retrieval/ingest.ts'
import type { CompleteUpload, CreateUpload, File, FileForm, Upload, UploadPart } from '../schemas/files.ts'
import type { Store } from '../store/store.ts'

const mebibyte = 1024 * 1024
export const maxFileBytes = 512 * mebibyte
const maxPartBytes = 64 * mebibyte
/** An upload that is not completed by then expires. */
const uploadSeconds = 3600
/** Bytes that belong to nothing for so long were left by a process that died. */
const orphanMs = 2 * uploadSeconds * 1000

type Bytes = AsyncIterable<Uint8Array>

/** The bytes of a file that has come, but is no file before `keep`. */
export interface Received {
  /** Throws an ApiError if there was nothing in it. */
  keep(form: FileForm, filename: string): Promise<File>
  drop(): Promise<void>
}

export interface FileService {
  /** Throws an ApiError past 512 MB. */
  receive(source: Bytes): Promise<Received>
  /** Throws an ApiError if there is no such file, here as below. */
  get(id: string): Promise<File>
  content(id: string): Promise<{ file: File; bytes: Bytes }>
  delete(id: string): Promise<void>
  createUpload(body: CreateUpload): Promise<Upload>
  /** Parts may come in any order and at once. */
  addPart(upload_id: string, source: Bytes): Promise<UploadPart>
  /** Throws an ApiError, and leaves the upload pending, if the parts are not what was announced. */
  complete(upload_id: string, body: CompleteUpload): Promise<Upload & { file: File }>
  cancel(upload_id: string): Promise<Upload>
  /** Deletes what is over, and whatever else is kept and belongs to nothing. */
  sweep(): Promise<void>
}

export function createFileService(store: Store, blobs: Blobs, ingestor: Ingestor, clock: Clock): FileService {
  const noFile = (id: string) => new ApiError(404, `No such File object: ${id}`, { param: 'id' })

  async function existing(id: string): Promise<File> {
    const file = await store.files.get(id)
    if (!file || (file.expires_at !== null && file.expires_at <= seconds(clock))) throw noFile(id)
    return file
  }

  async function pending(id: string) {
    await store.uploads.expire(seconds(clock))
    const upload = await store.uploads.get(id)
    if (!upload) throw new ApiError(404, `No such Upload object: ${id}`, { param: 'upload_id' })
    if (upload.status !== 'pending') throw notPending(upload)
    return upload
  }

  async function put(key: string, source: Bytes, maxBytes: number, what: string) {
    try {
      return await blobs.put(key, source, maxBytes)
    } catch (error) {
      if (!(error instanceof BlobTooLargeError)) throw error
      throw new ApiError(413, `${what} is larger than ${maxBytes / mebibyte} MB.`, { code: 'request_too_large' })
    }
  }

  const fileOf = (id: string, form: FileForm, filename: string, bytes: number, created_at: number): File => ({
    id,
    object: 'file',
    purpose: form.purpose,
    filename,
    bytes,
    created_at,
    expires_at: form.expires_after ? created_at + form.expires_after.seconds : null,
    status: 'processed',
    status_details: null,
  })

  return {
    async receive(source) {
      const id = newId('file-')
      const { bytes } = await put(id, source, maxFileBytes, 'The file')
      return {
        async keep(form, filename) {
          if (bytes === 0) throw invalidRequest('File is empty.', { param: 'file' })
          const file = fileOf(id, form, filename, bytes, seconds(clock))
          await store.files.insert(file)
          return file
        },
        drop: () => blobs.delete(id),
      }
    },

    get: existing,

    async content(id) {
      const file = await existing(id)
      const bytes = await blobs.get(id)
      if (!bytes) throw noFile(id)
      return { file, bytes }
    },

    async delete(id) {
      await existing(id)
      const places = await store.vectorStoreFiles.keysOf(id)
      if (!(await store.files.delete(id))) throw noFile(id)
      await ingestor.forget(places)
      await blobs.delete(id)
    },

    async createUpload({ filename, purpose, bytes, expires_after }) {
      const created_at = seconds(clock)
      const upload: Upload = {
        id: newUploadId(),
        object: 'upload',
        bytes,
        created_at,
        filename,
        purpose,
        status: 'pending',
        expires_at: created_at + uploadSeconds,
      }
      await store.uploads.insert(upload, expires_after?.seconds ?? null)
      return upload
    },

    async addPart(upload_id, source) {
      const upload = await pending(upload_id)
      const id = newPartId()
      const { bytes } = await put(id, source, maxPartBytes, 'The part')
      const part: UploadPart = { id, object: 'upload.part', created_at: seconds(clock), upload_id }
      if (await store.uploads.addPart(part, bytes)) return part
      await blobs.delete(id)
      throw notPending((await store.uploads.get(upload_id)) ?? upload)
    },

    async complete(upload_id, { part_ids, md5 }) {
      const { file_lifetime, ...upload } = await pending(upload_id)
      const parts = await store.uploads.parts(upload_id)
      checkParts(upload, parts, part_ids)
      const id = newId('file-')
      const blob = await put(id, joined(blobs, part_ids), upload.bytes, 'The upload')
      try {
        if (md5 && blob.md5 !== md5.toLowerCase()) {
          throw invalidRequest(`The MD5 of the upload is ${blob.md5}, not '${md5}'.`, { param: 'md5' })
        }
        const form: FileForm = {
          purpose: upload.purpose,
          ...(file_lifetime !== null && { expires_after: { anchor: 'created_at', seconds: file_lifetime } }),
        }
        const file = fileOf(id, form, upload.filename, blob.bytes, upload.created_at)
        const completed = await store.uploads.end(upload_id, 'completed', file)
        if (!completed) throw notPending((await store.uploads.get(upload_id)) ?? upload)
        for (const part of parts) await blobs.delete(part.id)
        return { ...completed, file }
      } catch (error) {
        if (!(await store.files.get(id))) await blobs.delete(id)
        throw error
      }
    },

    async cancel(upload_id) {
      const upload = await pending(upload_id)
      const parts = await store.uploads.parts(upload_id)
      const cancelled = await store.uploads.end(upload_id, 'cancelled')
      if (!cancelled) throw notPending((await store.uploads.get(upload_id)) ?? upload)
      for (const part of parts) await blobs.delete(part.id)
      return cancelled
    },

    async sweep() {
      await store.files.expire(seconds(clock))
      await store.uploads.expire(seconds(clock))
      for (const key of await store.files.unknown(await blobs.keysBefore(clock() - orphanMs))) await blobs.delete(key)
      await ingestor.reconcile()
    },
  }
}

const notPending = ({ id, status }: Upload) => invalidRequest(`Upload '${id}' is ${status}, not pending.`)

function checkParts(upload: Upload, parts: readonly { id: string; bytes: number }[], part_ids: readonly string[]) {
  const sizes = new Map(parts.map(({ id, bytes }) => [id, bytes]))
  let sum = 0
  for (const [index, id] of part_ids.entries()) {
    const bytes = sizes.get(id)
    const param = `part_ids[${index}]`
    if (bytes === undefined) throw invalidRequest(`No part found with id '${id}' in upload '${upload.id}'.`, { param })
    if (part_ids.indexOf(id) !== index) throw invalidRequest(`The part '${id}' is listed twice.`, { param })
    sum += bytes
  }
  if (sum === upload.bytes) return
  throw invalidRequest(`The parts have ${sum} bytes together, but the upload was to have ${upload.bytes}.`, {
    param: 'part_ids',
  })
}

async function* joined(blobs: Blobs, keys: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const key of keys) {
    const bytes = await blobs.get(key)
    if (!bytes) throw new Error(`The bytes of ${key} are gone.`)
    yield* bytes
  }
}
