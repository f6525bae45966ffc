import { generateKeyPairSync, sign } from 'node:crypto'

/** DER: a tag, the length, the contents. */
function der(tag: number, ...contents: (Buffer | string)[]): Buffer {
  const bytes = Buffer.concat(contents.map((content) => (typeof content === 'string' ? Buffer.from(content) : content)))
  const length = bytes.length < 128 ? [bytes.length] : [0x82, bytes.length >> 8, bytes.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), bytes])
}

const sequence = (...contents: Buffer[]) => der(0x30, ...contents)
const hex = (tag: number, digits: string) => der(tag, Buffer.from(digits, 'hex'))
const pem = (bytes: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${bytes.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`

/** A certificate for localhost that nobody but itself vouches for, and its key. Node can read certificates, not make them. */
export function selfSigned(): { cert: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = sequence(hex(0x06, '2a8648ce3d040302'))
  const name = sequence(der(0x31, sequence(hex(0x06, '550403'), der(0x0c, 'localhost'))))
  const certificate = sequence(
    der(0xa0, hex(0x02, '02')),
    hex(0x02, '01'),
    ecdsaWithSha256,
    name,
    sequence(der(0x17, '200101000000Z'), der(0x17, '491231235959Z')),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', certificate, privateKey))
  return {
    cert: pem(sequence(certificate, ecdsaWithSha256, signature)),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}
