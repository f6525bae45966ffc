export type Format = 'text' | 'html' | 'pdf' | 'docx' | 'pptx' | 'xlsx' | 'opendocument' | 'unknown' | 'unsupported'

const extensions: Record<Exclude<Format, 'unknown'>, string> = {
  text:
    'txt text md markdown mdx rst adoc org tex bib log csv tsv json jsonl ndjson json5 ipynb xml xsd xsl yaml yml toml ini cfg ' +
    'conf properties env css scss sass less js mjs cjs jsx ts mts cts tsx vue svelte py pyi rb php java kt kts scala ' +
    'groovy c h cc cpp cxx hpp hh cs fs go rs swift m mm dart lua pl pm r jl hs ml ex exs erl clj lisp sh bash zsh ' +
    'fish ps1 bat cmd sql graphql proto tf hcl gradle cmake diff patch srt vtt eml ics',
  html: 'html htm xhtml',
  pdf: 'pdf',
  docx: 'docx docm dotx dotm',
  pptx: 'pptx pptm ppsx ppsm potx potm',
  xlsx: 'xlsx xlsm xltx xltm',
  opendocument: 'odt ott odp otp ods ots',
  unsupported:
    'doc xls ppt rtf pages numbers key epub mobi png jpg jpeg gif webp bmp tif tiff ico heic avif psd mp3 mp4 m4a wav ' +
    'flac ogg oga opus webm mov avi mkv zip gz tgz bz2 xz zst 7z rar tar jar war exe dll so dylib bin dat iso dmg pkg deb rpm ' +
    'apk class o a wasm pyc db sqlite parquet avro woff woff2 ttf otf',
}

const byExtension = new Map<string, Format>(
  Object.entries(extensions).flatMap(([format, list]) => list.split(' ').map((one) => [one, format as Format])),
)

/** What a file says it is by its name; its bytes are still to agree. */
export function formatOf(filename: string): Format {
  const extension = /\.([^./\\]{1,16})$/.exec(filename.slice(-32))?.[1]
  return byExtension.get(extension?.toLowerCase() ?? '') ?? 'unknown'
}

const isText = (format: Format) => format === 'text' || format === 'html' || format === 'unknown'

export interface ByteLimits {
  /** Of a file. */
  file: number
  /** Of all that is inflated of a file that is a zip archive. */
  inflated: number
}

const mebibyte = 1024 * 1024

/**
 * How many bytes a process of so much memory can take. The text of a file is held as a string beside its bytes, with two
 * bytes a character when it is not Latin-1; an archive is inflated piece by piece.
 */
export function byteLimitsOf(format: Format, memoryMiB: number): ByteLimits {
  const share = isText(format) ? 8 : 4
  return { file: (memoryMiB / share) * mebibyte, inflated: (memoryMiB / 2) * mebibyte }
}
